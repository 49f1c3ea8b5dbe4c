"""sr-train takes its settings from files and options, and its dry run prints the time and memory needed."""

import builtins
import importlib
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import refused, run
from PIL import Image

from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.shipped import FORMER_PRIOR
from sr_model import PRESETS, Checkpoint, Preset, TrainingCallback
from sr_model.cli.train import main as train
from sr_model.training import dry_run

train_module = importlib.import_module("sr_model.cli.train")

pytestmark = pytest.mark.usefixtures("tiny_demo")


def test_a_file_alone_suffices_and_the_command_line_counts_more(prior: Path):
    Path("a.toml").write_text(
        'prior = "dict.npz"\nsteps = 3\nout = "run"\nseed = 5\n[training]\nbatch = 4\n[network]\nwidth = 12\n'
    )
    assert run(train, "--config", "a.toml", "--seed", 6, "--set", "network.width=10").exit_code == 0
    notes = (checkpoint := Checkpoint.load("run/last.safetensors")).notes
    assert (notes["step"], notes["seed"], notes["training"]["batch"]) == (3, 6, 4)
    assert checkpoint.network.width == 10
    assert "for 4 steps, from step 3" in run(train, "--config", "run/../a.toml", "--resume", "--steps", 4,
                                             "--seed", 6, "--set", "network.width=10").output  # fmt: skip
    timed = run(train, "--config", "a.toml", "--minutes", 0.001, "--out", "timed")
    assert "for 0.001 minutes" in timed.output


def test_the_settings_of_a_run_make_another_like_it(prior: Path):
    changed = ("--set", "training.batch=3", "--set", "training.degradation.noise.sigma=1,2")
    assert run(train, "--prior", prior, "--steps", 1, "--out", "a", *changed).exit_code == 0
    again = ("--config", "a/settings.toml", "--preset", "paper")
    assert run(train, "--prior", prior, "--steps", 1, "--out", "b", *again).exit_code == 0
    written = Path("a/settings.toml").read_text()
    assert written.replace('out = "a"', 'out = "b"') == Path("b/settings.toml").read_text()
    ours, theirs = (Checkpoint.load(f"{name}/last.safetensors") for name in "ab")
    assert ours.notes == theirs.notes
    assert ours.notes["training"]["degradation"]["noise"]["sigma"] == [1.0, 2.0]


def test_a_run_that_began_on_the_reference_prior_of_0_1_0_is_resumed_on_it(
    photographs: Path, monkeypatch: pytest.MonkeyPatch
):
    former = Dictionary.reference(FORMER_PRIOR)
    begin = ("--images", photographs, "--steps", 1, "--out", "run")
    with monkeypatch.context() as patch:
        patch.setattr(Dictionary, "reference", lambda: former)
        assert run(train, *begin).exit_code == 0
    assert "from step 1" in run(train, "--config", "run/settings.toml", "--steps", 2, "--resume").output
    kernels = Checkpoint.load("run/last.safetensors").dictionary
    assert {*map(tuple, kernels.tolist())} <= {*map(tuple, former.cholesky.tolist())}


def test_a_dry_run_says_what_it_takes_shows_the_first_batch_and_trains_nothing(prior: Path):
    result = run(train, "--prior", prior, "--steps", 7000, "--dry-run", "--out", "run")
    assert result.exit_code == 0, result.output
    network, memory, time, sheet = result.stdout.strip().splitlines()
    assert "parameters" in network
    assert "GB in a step" in memory
    assert "for 7,000 steps" in time
    assert sheet == "first batch: run/first-batch.png"
    assert sorted(path.name for path in Path("run").iterdir()) == ["first-batch.png", "settings.toml"]
    width, height = Image.open("run/first-batch.png").size
    assert width > 2 * 16
    assert height > 2 * 16
    assert run(train, "--prior", prior, "--steps", 1, "--out", "run").exit_code == 0
    assert "steps in 3 minutes" in run(train, "--prior", prior, "--minutes", 3, "--dry-run").stdout


def test_a_dry_run_of_what_does_not_fit_into_memory_says_so_and_lives(prior: Path, monkeypatch):
    monkeypatch.setattr(dry_run, "free_memory", lambda device: 10**5)
    result = run(train, "--prior", prior, "--dry-run", "--out", "run")
    assert result.exit_code == 0, result.output
    assert "time: not measured" in result.stdout
    assert "training.accumulate" in result.stdout


def test_a_step_that_does_not_fit_into_memory_is_one_sentence(prior: Path, monkeypatch):
    def too_large(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("sr_model.training.state.batch_loss", too_large)
    common = ("--prior", prior, "--steps", 1, "--out", "run")
    for way in ((), ("--dry-run",)):
        refused(run(train, *common, *way), 1, "does not fit into memory", "training.accumulate", "crop (8)")


def test_wrong_settings_are_one_sentence_and_status_two(prior: Path):
    Path("a.toml").write_text("[training]\nbach = 3\n")
    Path("b.toml").write_text("priorr = 'dict.npz'\n")
    Path("c.toml").write_text("steps = 'many'\n")
    common = ("--prior", prior, "--out", "new")
    refused(run(train, *common, "--config", "a.toml"), 2, "a.toml", "training.bach", "batch")
    refused(run(train, *common, "--config", "b.toml"), 2, "b.toml", "priorr", "prior")
    refused(run(train, *common, "--config", "c.toml"), 2, "steps", "many")
    refused(run(train, *common, "--config", "missing.toml"), 2, "missing.toml")
    refused(run(train, *common, "--set", "training.scales=4"), 2, "training.scales", "list of 2 numbers")
    refused(run(train, *common, "--set", "training.batch=7", "--set", "training.accumulate=2"), 2, "multiple")
    custom = ("--set", "training.degradation.custom=nowhere:f")
    refused(run(train, *common, *custom, "--steps", 1), 1, "nowhere:f", "PYTHONPATH")
    assert not Path("new").exists()


def test_an_effect_that_fails_in_training_is_one_sentence(prior: Path, monkeypatch: pytest.MonkeyPatch):
    Path("failing_effects.py").write_text("def fails(image, random):\n    return image.nothing\n")
    monkeypatch.syspath_prepend(Path.cwd())
    custom = ("--set", "training.degradation.custom=failing_effects:fails")
    result = run(train, "--prior", prior, "--out", "failing", *custom, "--steps", 1)
    refused(result, 1, "failing_effects:fails failed (AttributeError")


def test_validation_images_are_named_by_their_own_option(prior: Path):
    Path("empty").mkdir()
    Path("small").mkdir()
    Image.new("RGB", (10, 10)).save("small/a.png")
    common = ("--prior", prior, "--out", "new", "--steps", 1)
    refused(run(train, *common, "--val", "empty"), 1, "empty", "--val")
    refused(run(train, *common, "--val", "missing"), 1, "missing", "--val")
    refused(run(train, *common, "--val", "small"), 1, "small", "--val")


@pytest.mark.parametrize("folder", ["--images", "--val"])
def test_unusable_images_are_named_the_training_goes_on_and_the_status_is_three(
    prior: Path, photographs: Path, monkeypatch, folder: str
):
    Path("mixed").mkdir()
    for path in photographs.iterdir():
        path.rename(f"mixed/{path.name}")
    Image.new("RGB", (10, 10)).save("mixed/small.png")
    Image.new("RGB", (64, 64)).save(photographs / "large.png")
    Path("mixed/text.png").write_text("not an image")
    arguments = {"--prior": prior, "--images": photographs, "--steps": 1, folder: "mixed"}
    given = [part for pair in arguments.items() for part in pair]
    trained = run(train, *given, "--out", "run")
    assert trained.exit_code == 3, trained.output
    assert "small.png has 10x10 pixels" in trained.stderr
    assert "text.png" in trained.stderr
    assert "without 2 images" in trained.stderr
    assert trained.stdout.strip().endswith("run/best.safetensors")
    monkeypatch.setattr(train_module, "started_by_torchrun", lambda: True)
    assert run(train, *given, "--out", "again").exit_code == 0


def test_a_prior_of_other_units_is_refused(prior: Path, photographs: Path):
    with np.load(prior) as arrays:
        entries = dict(arrays)
    metadata = json.loads(str(entries["metadata"]))
    entries["metadata"] = np.array(json.dumps({**metadata, "units": "pixel"}))
    np.savez("pixels.npz", **entries)
    common = ("--images", photographs, "--out", "new", "--steps", 1)
    refused(run(train, *common, "--prior", "pixels.npz"), 1, "pixels.npz", "'pixel'", "grid spacing")


def test_what_is_resumed_must_be_a_state_of_this_training(prior: Path):
    assert run(train, "--prior", prior, "--steps", 1, "--out", "run").exit_code == 0
    wider = ("--prior", prior, "--steps", 2, "--out", "run", "--resume", "--set", "network.width=16")
    refused(run(train, *wider), 1, "run", "network.width", "--out")
    Path("run/state.safetensors").write_bytes(Path("run/best.safetensors").read_bytes())
    resume = ("--prior", prior, "--steps", 2, "--out", "run", "--resume")
    refused(run(train, *resume), 1, "state.safetensors", "state of a training")


def test_curves_are_written_for_tensorboard(prior: Path, photographs: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    many = ("--prior", prior, "--val", photographs, "--steps", 12, "--out", "run", "--tensorboard")
    assert run(train, *many).exit_code == 0
    events = EventAccumulator("run/tensorboard")
    events.Reload()
    assert {"loss", "learning_rate", "validation/psnr"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("validation/psnr")] == [3, 6, 9, 12]


def test_tensorboard_that_is_missing_is_one_sentence(prior: Path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("tensorboard"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard.writer", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    result = run(train, "--prior", prior, "--steps", 1, "--tensorboard", "--out", "new")
    refused(result, 1, "tensorboard", "pip install 'dgp-mining[tensorboard]'")


def test_a_preset_is_found_by_its_old_name_with_a_line(prior: Path, tiny: Preset, monkeypatch):
    monkeypatch.setitem(PRESETS, "light", tiny)
    named = run(train, "--prior", prior, "--steps", 1, "--preset", "fast")
    assert named.exit_code == 0, named.output
    assert "--preset fast is now --preset light; the old name will be removed in 0.3." in named.stderr
    assert Path("runs/light/best.safetensors").is_file()
    refused(run(train, "--prior", prior, "--preset", "slow"), 2, "--preset", "demo, light")


def test_ctrl_c_ends_the_training_after_a_step_and_it_can_be_resumed(prior: Path, monkeypatch):
    real = train_module.train

    def interrupted(*arguments, callbacks, **options):
        class Interrupt(TrainingCallback):
            def on_step(self, done):
                if done.step == 2:
                    os.kill(os.getpid(), signal.SIGINT)

        return real(*arguments, callbacks=[*callbacks, Interrupt()], **options)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(train_module, "train", interrupted)
    stopped = run(train, "--prior", prior, "--steps", 5, "--out", "run")
    assert stopped.exit_code == 130
    assert "everything is kept in run; the same command with --resume continues." in stopped.stderr
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.setattr(train_module, "train", real)
    resumed = run(train, "--prior", prior, "--steps", 5, "--out", "run", "--resume")
    assert "from step 2" in resumed.output


def test_pairs_are_trained_on_and_their_folders_recorded(prior: Path, photographs: Path):
    for scale in (2, 4):
        Path(f"X{scale}").mkdir()
        for path in photographs.iterdir():
            Image.open(path).reduce(scale).save(Path(f"X{scale}", f"{path.stem}x{scale}.png"))
    Path("X4/3x4.png").unlink()
    pairs = ("--images", photographs, "--lr", "X2", "--lr", "X4", "--val", photographs)
    result = run(train, *pairs, "--prior", prior, "--steps", 1, "--out", "a")
    assert result.exit_code == 3, result.output  # one image has no partner in X4
    assert "3.png has no LR image in X4" in result.output
    settings = Path("a/settings.toml").read_text()
    assert 'lr = ["X2", "X4"]' in settings
    assert "scales = [2.0, 4.0]" in settings
    assert "# 7 pairs to train on" in settings
    again = run(train, "--config", "a/settings.toml", "--out", "b")
    assert again.exit_code == 3, again.output
    ours, theirs = (Checkpoint.load(f"{name}/last.safetensors") for name in "ab")
    assert ours.notes == theirs.notes
    assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in ours.weights)


def test_one_folder_of_lr_images_may_stand_in_a_file(prior: Path, photographs: Path):
    Path("X2").mkdir()
    for path in photographs.iterdir():
        Image.open(path).reduce(2).save(Path("X2", path.name))
    Path("a.toml").write_text(
        f'prior = "dict.npz"\nimages = "{photographs}"\nlr = "X2"\nsteps = 1\nout = "run"\n'
    )
    assert run(train, "--config", "a.toml").exit_code == 0
    assert Checkpoint.load("run/last.safetensors").notes["training"]["scales"] == [2.0, 2.0]


def test_pairs_that_cannot_be_used_are_one_sentence(prior: Path, photographs: Path):
    Path("X2").mkdir()
    Image.new("RGB", (9, 9)).save("X2/other.png")
    command = (train, "--images", photographs, "--prior", prior, "--out", "run", "--steps", 1)
    refused(run(*command, "--lr", "X2"), 1, "--lr", "has no LR image in X2")
    refused(run(*command, "--lr", "nowhere"), 1, "nowhere", "--lr")
