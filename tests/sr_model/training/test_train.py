"""Training resumes exactly, overwrites nothing, and leaves self-contained checkpoints."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from runs import StopAfter, difference
from safetensors import safe_open
from safetensors.torch import load_file

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Checkpoint, Preset, TrainingCallback, TrainingError, load, train
from sr_model.degradation import Blur, Degradation, Jpeg, Noise, Rain, Resize, Stage
from sr_model.training.image_cache import default_cache
from sr_model.training.samples import ImageSet


def test_a_resumed_run_ends_with_the_bits_of_an_undisturbed_one(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    arguments = {"val": images[:1], "seed": 3}
    train(dictionary, images[1:], tiny, tmp_path / "whole", **arguments)
    train(dictionary, images[1:], tiny, tmp_path / "parts", callbacks=[StopAfter(2)], **arguments)
    train(
        dictionary, images[1:], tiny, tmp_path / "parts", callbacks=[StopAfter(2)], resume=True, **arguments
    )
    train(dictionary, images[1:], tiny, tmp_path / "parts", resume=True, **arguments)
    for name in ("state.safetensors", "last.safetensors", "best.safetensors"):
        whole, parts = (load_file(tmp_path / run / name) for run in ("whole", "parts"))
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[key], parts[key]) for key in whole), name


def test_training_lowers_the_loss(photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path):
    images = list_images(photographs)
    still = replace(tiny, train=replace(tiny.train, learning_rate=1e-30))
    start = train(dictionary, images, still, tmp_path / "start", val=images, budget=Budget(steps=1))
    longer = train(dictionary, images, tiny, tmp_path / "run", val=images, budget=Budget(steps=60))
    before, after = (Checkpoint.load(path).notes["validation"]["psnr"] for path in (start, longer))
    assert after > before + 0.3


def test_a_checkpoint_alone_suffices(photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path):
    path = train(dictionary, list_images(photographs), tiny, tmp_path / "run", budget=Budget(steps=1))
    moved = path.rename(tmp_path / "elsewhere.safetensors")
    notes = Checkpoint.load(moved).notes
    assert notes["step"] == 1
    assert notes["dictionary"] == dictionary.metadata
    assert load(moved)(torch.rand(1, 3, 4, 4)).size == (4, 4)


def test_a_loss_that_is_not_a_number_stops_spares_the_checkpoint_and_shows_the_batch(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    hot = replace(tiny, train=replace(tiny.train, learning_rate=1e30, warmup=0, validate_every=1))
    with pytest.raises(TrainingError, match=r"not a number\) at step \d.*diverged\.safetensors") as error:
        train(dictionary, images, hot, tmp_path)
    assert all(torch.isfinite(t).all() for t in load_file(tmp_path / "last.safetensors").values())
    with safe_open(str(tmp_path / "diverged.safetensors"), framework="pt") as file:
        step = json.loads(file.metadata()["header"])["step"]
        lr, hr = file.get_tensor("lr"), file.get_tensor("hr.0")
    assert f"at step {step}:" in str(error.value)
    assert f"the checkpoints hold the weights of step {step}" in str(error.value)
    batch = ImageSet(images, smallest=24, cache=default_cache()).batch(hot.train, 0, step)
    assert torch.equal(lr, batch.lr)
    assert torch.equal(hr, batch.hr[0])
    assert Image.open(tmp_path / "diverged.png").size == (2 * (hr.shape[-1] + 4), 2 * hr.shape[-1] + 8)


def test_a_training_that_diverges_at_once_says_that_there_is_no_checkpoint(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    hot = replace(tiny, train=replace(tiny.train, learning_rate=1e30, warmup=0, validate_every=100))
    with pytest.raises(TrainingError, match="no checkpoint has been written"):
        train(dictionary, photographs, hot, tmp_path, budget=Budget(steps=100))
    assert not list(tmp_path.glob("*st.safetensors"))
    train(dictionary, photographs, tiny, tmp_path, budget=Budget(steps=1))  # the folder is free for another


def test_unusable_images_are_named_and_the_others_trained_on(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    class Skipped(TrainingCallback):
        def __init__(self):
            self.sentences = []

        def on_skipped(self, sentence):
            self.sentences.append(sentence)

    Image.new("RGB", (20, 50)).save(photographs / "small.png")
    (photographs / "text.png").write_text("not an image")
    skipped = Skipped()
    train(dictionary, photographs, tiny, tmp_path / "run", val=photographs, callbacks=[skipped])
    named = [next(name for name in ("small.png", "text.png") if name in said) for said in skipped.sentences]
    assert sorted(named) == ["small.png", "small.png", "text.png", "text.png"]  # in training and validation
    assert Checkpoint.load(tmp_path / "run" / "last.safetensors").notes["step"] == 6


def test_some_images_are_held_out_only_where_asked_for(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    for index in range(4):
        Image.open(photographs / "0.png").save(photographs / f"more{index}.png")
    best = train(dictionary, photographs, tiny, tmp_path / "a", hold_out=True)
    assert "validation" in Checkpoint.load(best).notes
    state = safe_open(str(tmp_path / "a" / "state.safetensors"), framework="pt")
    assert json.loads(state.metadata()["header"])["identity"]["images"].startswith("7 names")
    assert "validation" not in Checkpoint.load(train(dictionary, photographs, tiny, tmp_path / "b")).notes
    with pytest.raises(TrainingError, match="held out of the others"):
        train(dictionary, photographs, tiny, tmp_path / "c", val=photographs, hold_out=True)


def test_minutes_bound_a_training_and_count_over_all_sessions(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, monkeypatch
):
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 5.0).__next__)  # every look at it is 5 s later
    monkeypatch.setattr("sr_model.training.train.time", clock)
    images = list_images(photographs)

    def steps(budget: Budget | None, **arguments) -> int:
        train(dictionary, images, tiny, tmp_path, budget=budget, **arguments)
        return Checkpoint.load(tmp_path / "last.safetensors").notes["step"]

    first = steps(Budget(minutes=2))
    assert 0 < first < 24
    assert steps(None, resume=True) == first  # its two minutes are spent
    assert first < steps(Budget(minutes=4), resume=True) < 48


def test_a_resumed_run_may_be_computed_otherwise(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    train(dictionary, images, tiny, tmp_path, budget=Budget(steps=1))
    for changed in ({"accumulate": 2}, {"precision": "bfloat16"}):
        otherwise = replace(tiny, train=replace(tiny.train, **changed))
        train(dictionary, images, otherwise, tmp_path, resume=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"scale_of": "sample"},
        {"degradation": Degradation(rain=Rain(), noise=Noise(), eight_bit=True)},
        {
            "degradation": Degradation(
                blur=Blur(), resize=Resize(), jpeg=Jpeg(), order="random", second=Stage(noise=Noise(shot=0.5))
            )
        },
        {"accumulate": 2, "precision": "bfloat16", "betas": (0.8, 0.9)},
        {"schedule": "halving", "milestones": (0.3, 0.6), "frequency_loss": 0.1},
    ],
)
def test_exact_resumption_holds_for_every_setting(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, changed
):
    images = list_images(photographs)
    preset = replace(tiny, train=replace(tiny.train, **changed))
    train(dictionary, images, preset, tmp_path / "whole")
    train(dictionary, images, preset, tmp_path / "parts", callbacks=[StopAfter(2)])
    train(dictionary, images, preset, tmp_path / "parts", resume=True)
    whole, parts = (load_file(tmp_path / run / "state.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_an_interruption_chooses_no_best_that_an_undisturbed_run_would_not(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    """At this learning rate the first steps are the best, and an uninterrupted run does not validate them."""
    images = list_images(photographs)
    hasty = replace(tiny, train=replace(tiny.train, learning_rate=0.3, warmup=0, ema=0.0))
    arguments = {"val": images, "budget": Budget(steps=6)}
    train(dictionary, images, hasty, tmp_path / "whole", **arguments)
    train(dictionary, images, hasty, tmp_path / "parts", callbacks=[StopAfter(1)], **arguments)
    train(dictionary, images, hasty, tmp_path / "parts", resume=True, **arguments)
    whole, parts = (Checkpoint.load(tmp_path / run / "best.safetensors").notes for run in ("whole", "parts"))
    assert whole["step"] == parts["step"] in (3, 6)


@pytest.mark.parametrize("scale_of", ["batch", "sample"])
def test_a_batch_in_parts_gives_the_steps_of_the_whole(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, scale_of
):
    images = list_images(photographs)
    for accumulate in (1, 2, 4):
        parts = {"batch": 4, "accumulate": accumulate, "scale_of": scale_of}
        preset = replace(tiny, train=replace(tiny.train, **parts, clip=1e-3, precision="float32"))
        train(dictionary, images, preset, tmp_path / str(accumulate), budget=Budget(steps=3))
    for parts in ("2", "4"):
        assert difference(tmp_path / "1", tmp_path / parts) < 1e-4


@pytest.mark.slow
def test_a_compiled_network_takes_the_same_steps(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    for compiled in (False, True):
        preset = replace(tiny, train=replace(tiny.train, compile=compiled, precision="float32"))
        train(dictionary, images, preset, tmp_path / str(compiled), budget=Budget(steps=3))
    assert difference(tmp_path / "False", tmp_path / "True") < 1e-4
