"""Processes that train together take the steps and write the files of a single one, and stop together."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import difference
from safetensors.torch import load_file

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Checkpoint, ContinuousSR, Preset, TrainingError
from sr_model.config.toml import as_toml
from sr_model.networks.continuoussr.extrapolation import BELIEVED
from sr_model.networks.mlp import output_layer
from sr_model.training.distributed import DistributedContext
from sr_model.training.run import check_parts
from sr_model.training.samples import ImageSet

SR_TRAIN = Path(sys.executable).with_name("sr-train")


def torchrun(*arguments: object, processes: int = 2, **how) -> subprocess.Popen[str]:
    """sr-train in several processes of one thread each, on loopback."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    entry = [*command, "--no-python", str(SR_TRAIN), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        entry, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how
    )


@pytest.fixture
def arguments(photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path) -> list[object]:
    """Arguments of a command that trains the tiny preset in batches of four."""
    dictionary.save(tmp_path / "dict.npz")
    train = replace(tiny.train, batch=4, scale_of="sample", clip=1e-3, precision="float32")
    (tmp_path / "tiny.toml").write_text(as_toml(replace(tiny, train=train)))
    common = ("--prior", tmp_path / "dict.npz", "--images", photographs, "--val", photographs)
    return [*common, "--config", tmp_path / "tiny.toml", "--preset", "demo"]


def test_shares_of_a_batch_make_up_the_whole(photographs: Path, tiny: Preset, cache: Path):
    images = ImageSet(list_images(photographs), smallest=24, cache=cache)
    settings = replace(tiny.train, batch=6)
    whole = images.batch(settings, 0, 3)
    shares = [images.batch(settings, 0, 3, part, 3) for part in range(3)]
    assert torch.equal(torch.cat([share.lr for share in shares]), whole.lr)
    assert torch.equal(torch.cat([share.hr[0] for share in shares]), whole.hr[0])


def test_a_batch_that_cannot_be_shared_is_one_sentence(tiny: Preset):
    context = DistributedContext(torch.device("cpu"), rank=1, world_size=4)
    with pytest.raises(TrainingError, match=r"batch of 2 cannot be shared by 4 processes.*training\.batch"):
        check_parts(tiny, context)


@pytest.mark.slow
@pytest.mark.alone
def test_two_processes_go_on_from_a_checkpoint_with_a_frozen_encoder(
    arguments, photographs: Path, checkpoint: Path, tmp_path: Path
):
    """An image that cannot be read is named, but torchrun would take status 3 for a crash."""
    (photographs / "broken.png").write_text("not an image")
    after = replace(Checkpoint.load(checkpoint), notes={"step": 1})  # as if it had been trained
    after.save(checkpoint)
    options = ("--images", photographs, *arguments[-4:], "--init", checkpoint, "--freeze", "encoder")
    ran = torchrun(*options, "--out", tmp_path / "two")
    said = ran.communicate(timeout=300)[1]
    assert ran.returncode == 0, said
    assert said.count("without 1 image") == 1
    before, after = (load_file(path) for path in (checkpoint, tmp_path / "two" / "last.safetensors"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if name.startswith("network.encoder.")]


@pytest.mark.slow
@pytest.mark.alone
def test_two_processes_take_the_steps_of_one(arguments, tmp_path: Path):
    """Equal up to rounding: the gradients of parts are added in another order."""
    ran = torchrun(*arguments, "--out", tmp_path / "two", "--set", "training.accumulate=2")
    printed, said = ran.communicate(timeout=300)
    assert ran.returncode == 0, said
    one = subprocess.run(
        [SR_TRAIN, *map(str, arguments), "--out", tmp_path / "one"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert one.returncode == 0, one.stderr
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-4
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == sorted(
        p.name for p in (tmp_path / "two").iterdir()
    )
    assert printed == f"{tmp_path / 'two' / 'best.safetensors'}\n"  # once
    assert said.count("step 6: validation") == 1


@pytest.mark.slow
@pytest.mark.alone
def test_two_processes_know_what_either_adds_to_its_images(
    photographs: Path, kernels: torch.Tensor, tiny: Preset, tmp_path: Path
):
    network = ContinuousSR(replace(tiny.network, contrast=0.01), kernels)
    with torch.no_grad():
        output_layer(network.colour).weight.normal_(0, 3)
    path = tmp_path / "start.safetensors"
    Checkpoint(network.settings, kernels, network.state_dict(), {"step": 1}).save(path)
    small = ("--steps", 6, "--set", "training.batch=4", "--set", "training.crop=8")
    options = ("--images", photographs, *small, "--init", path, "--out")
    ran = torchrun(*options, tmp_path / "two")
    said = ran.communicate(timeout=300)[1]
    assert ran.returncode == 0, said
    one = subprocess.run([SR_TRAIN, *map(str, options), tmp_path / "one"], capture_output=True, text=True)
    assert one.returncode == 0, one.stderr
    believed = [
        Checkpoint.load(tmp_path / run / "last.safetensors").weights["extrapolation.believed"].item()
        for run in ("one", "two")
    ]
    assert believed[0] > BELIEVED + 0.01
    assert believed[0] == pytest.approx(believed[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.alone
def test_two_processes_that_are_interrupted_resume_to_the_bit(arguments, tmp_path: Path):
    """Asked to end by torchrun, both stop after the same step, whenever the signal reaches each."""
    steps = ("--steps", 150)
    whole = torchrun(*arguments, *steps, "--out", tmp_path / "whole")
    assert whole.wait(300) == 0
    stopped = torchrun(*arguments, *steps, "--out", tmp_path / "parts")
    while not (tmp_path / "parts" / "state.safetensors").exists():
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.01)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=120)
    assert stopped.returncode != 0
    resumed = torchrun(*arguments, *steps, "--out", tmp_path / "parts", "--resume")
    _, said = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, said
    assert 0 < int(said.split("from step ")[1].split()[0]) < 150
    for name in ("state.safetensors", "best.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("whole", "parts"))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name


@pytest.mark.slow
@pytest.mark.alone
def test_all_processes_stop_where_one_of_them_diverges(arguments, tmp_path: Path):
    hot = ("--set", "training.learning_rate=1e30", "--set", "training.warmup=0")
    ran = torchrun(*arguments, *hot, "--out", tmp_path / "run")
    _, said = ran.communicate(timeout=300)
    assert ran.returncode != 0
    assert "diverged.safetensors" in said
    assert len(load_file(tmp_path / "run" / "diverged.safetensors")["lr"]) == 4  # of both processes
    assert (tmp_path / "run" / "diverged.png").exists()
