"""What a network adds to its training images is averaged, saved, resumed and gone on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import StopAfter
from safetensors.torch import load_file

from dgp_mining.images.paths import list_images
from sr_model import Budget, Checkpoint, ContinuousSR, Preset, train
from sr_model.networks.continuoussr.extrapolation import BELIEVED, RATE
from sr_model.networks.mlp import output_layer
from sr_model.training.distributed import DistributedContext
from sr_model.training.image_cache import default_cache
from sr_model.training.sample_workers import sample_workers
from sr_model.training.samples import ImageSet
from sr_model.training.state import TrainingState

NAME = "extrapolation.believed"


@pytest.fixture
def preset(tiny: Preset) -> Preset:
    return replace(tiny, network=replace(tiny.network, contrast=0.01))


@pytest.fixture
def start(preset: Preset, kernels: torch.Tensor) -> Checkpoint:
    """A network that adds several times the contrast."""
    torch.manual_seed(0)
    network = ContinuousSR(preset.network, kernels)
    with torch.no_grad():
        output_layer(network.colour).weight.normal_(0, 3)
    network.extrapolation.believed.fill_(1.75)
    return Checkpoint(preset.network, kernels, network.state_dict(), {"step": 1})


def new_state(start: Checkpoint, preset: Preset) -> TrainingState:
    context = DistributedContext(torch.device("cpu"))
    return TrainingState.new(start.network, start.dictionary, preset.train, 0, context, start.weights)


def test_a_step_raises_what_is_believed_of_the_network_and_of_its_average(
    photographs: Path, start: Checkpoint, preset: Preset
):
    state = new_state(start, preset)
    assert state.average.extrapolation.believed == 1.75
    images = ImageSet(list_images(photographs), smallest=24, cache=default_cache())
    state.train_step([images.batch(preset.train, 0, 0)], 1e-3, preset.train)
    believed = state.model.extrapolation.believed
    assert 1.75 < believed <= 1.75 * (1 + RATE) + 1e-6
    assert torch.equal(state.average.extrapolation.believed, believed)


@pytest.mark.parametrize("deterministic", [False, True])
def test_how_a_batch_is_divided_changes_nothing(
    photographs: Path, start: Checkpoint, preset: Preset, deterministic: bool
):
    settings = replace(preset.train, batch=4, precision="float32", deterministic=deterministic)
    images = ImageSet(list_images(photographs), smallest=24, cache=default_cache())
    batch = images.batch(settings, 0, 0)
    halves = [replace(batch, lr=batch.lr[part], hr=(batch.hr[0][part],)) for part in (slice(2), slice(2, 4))]
    found = []
    for parts in ([batch], halves):
        state = new_state(start, replace(preset, train=settings))
        with sample_workers(settings, state.context) as workers:
            state.workers = workers
            state.train_step(parts, 1e-3, settings)
        found.append(state.model.extrapolation.believed.item())
    assert found[0] > 1.75
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_resumed_run_ends_with_the_bits_of_an_undisturbed_one_and_saves_what_it_knows(
    photographs: Path, start: Checkpoint, preset: Preset, tmp_path: Path
):
    images = list_images(photographs)
    arguments = {"val": images[:1], "init": start}
    train(None, images, preset, tmp_path / "whole", **arguments)
    train(None, images, preset, tmp_path / "parts", callbacks=[StopAfter(2)], **arguments)
    train(None, images, preset, tmp_path / "parts", resume=True, **arguments)
    for name in ("state.safetensors", "last.safetensors", "best.safetensors"):
        whole, parts = (load_file(tmp_path / run / name) for run in ("whole", "parts"))
        assert all(torch.equal(whole[key], parts[key]) for key in whole), name
    state, last = (load_file(tmp_path / "whole" / f"{name}.safetensors") for name in ("state", "last"))
    assert state[f"model.{NAME}"] == state[f"average.{NAME}"] == last[f"network.{NAME}"] > 1.75


def test_a_run_of_an_older_checkpoint_starts_at_the_default(
    photographs: Path, start: Checkpoint, preset: Preset, tmp_path: Path
):
    older = {name: tensor for name, tensor in start.weights.items() if name != NAME}
    old = replace(start, weights=older)
    best = train(None, list_images(photographs), preset, tmp_path, init=old, budget=Budget(steps=1))
    assert BELIEVED < Checkpoint.load(best).weights[NAME] <= BELIEVED * (1 + RATE) + 1e-6
