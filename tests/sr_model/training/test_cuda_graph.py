"""A recorded network trains as the network itself; without a GPU, nothing is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgp_mining.images.paths import list_images
from sr_model import PRESETS, Preset
from sr_model.training.cuda_graph import GraphedNetwork
from sr_model.training.distributed import DistributedContext
from sr_model.training.samples import ImageSet
from sr_model.training.state import TrainingState

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_nothing_is_recorded_without_a_gpu(tiny: Preset, kernels: torch.Tensor) -> None:
    state = TrainingState.new(tiny.network, kernels, tiny.train, 0, DistributedContext(torch.device("cpu")))
    assert state.trained is state.model


@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("preset", ["demo", "gsasr-demo"])
def test_a_recorded_network_takes_the_same_steps(
    photographs: Path, kernels: torch.Tensor, cache: Path, preset: str, precision: str
) -> None:
    network = replace(PRESETS[preset].network, depth=1)
    settings = replace(PRESETS[preset].train, batch=4, crop=8, scales=(1.5, 2.5), precision=precision)
    images = ImageSet(list_images(photographs), smallest=20, cache=cache)
    losses = {}
    for recorded in (False, True):
        chosen = replace(settings, cuda_graph=recorded)
        prior = kernels if preset == "demo" else None
        state = TrainingState.new(network, prior, chosen, 0, DistributedContext(torch.device("cuda")))
        assert isinstance(state.trained, GraphedNetwork) == recorded
        losses[recorded] = []
        for step in range(6):
            losses[recorded].append(state.train_step([images.batch(chosen, 0, step)], 1e-3, chosen))
    assert losses[True] == pytest.approx(losses[False], rel=0.02)
    assert losses[True][0] == pytest.approx(losses[False][0], rel=1e-4)


@needs_gpu
def test_a_network_whose_gradients_are_accumulated_is_not_recorded(
    tiny: Preset, kernels: torch.Tensor
) -> None:
    settings = replace(tiny.train, batch=4, accumulate=2)
    state = TrainingState.new(tiny.network, kernels, settings, 0, DistributedContext(torch.device("cuda")))
    assert state.trained is state.model
