"""A training step clips gradients and averages weights by its settings."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgp_mining.images.paths import list_images
from sr_model import Preset
from sr_model.training.distributed import DistributedContext
from sr_model.training.image_cache import default_cache
from sr_model.training.samples import ImageSet
from sr_model.training.state import TrainingState


def test_gradients_are_clipped_to_the_norm_asked_for(photographs: Path, kernels: torch.Tensor, tiny: Preset):
    settings = replace(tiny.train, clip=1e-4)
    state = TrainingState.new(tiny.network, kernels, settings, 0, DistributedContext(torch.device("cpu")))
    images = ImageSet(list_images(photographs), smallest=24, cache=default_cache())
    state.train_step([images.batch(settings, 0, 0)], 0.0, settings)
    norm = torch.stack([p.grad.norm() for p in state.model.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-4, rel=1e-2)


def test_the_average_forgets_at_the_decay_asked_for(photographs: Path, kernels: torch.Tensor, tiny: Preset):
    settings = replace(tiny.train, ema=0.15, warmup=0)
    state = TrainingState.new(tiny.network, kernels, settings, 0, DistributedContext(torch.device("cpu")))
    images = ImageSet(list_images(photographs), smallest=24, cache=default_cache())
    before = [p.clone() for p in state.average.parameters()]
    state.train_step([images.batch(settings, 0, 0)], 1e-2, settings)
    for old, average, new in zip(before, state.average.parameters(), state.model.parameters(), strict=True):
        torch.testing.assert_close(average, 0.15 * old + 0.85 * new)
