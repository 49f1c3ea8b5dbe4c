"""A training step clips gradients and averages weights by its settings."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgp_mining.images.paths import list_images
from sr_model import Preset
from sr_model.training.distributed import DistributedContext
from sr_model.training.image_cache import default_cache
from sr_model.training.samples import ImageSet
from sr_model.training.state import TrainingState, say_if_precision_is_slow


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


@pytest.mark.parametrize(
    ("precision", "device", "amx", "rank", "said"),
    [
        ("bfloat16", "cpu", False, 0, True),
        ("bfloat16", "cpu", False, 1, False),
        ("bfloat16", "cpu", True, 0, False),
        ("bfloat16", "cuda", False, 0, False),
        ("auto", "cpu", False, 0, False),
        ("float32", "cpu", False, 0, False),
    ],
)
def test_bfloat16_is_warned_of_once_where_it_is_slow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tiny: Preset,
    precision: str, device: str, amx: bool, rank: int, said: bool,
):  # fmt: skip
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    with caplog.at_level(logging.WARNING, "sr_model"):
        context = DistributedContext(torch.device(device), rank)
        say_if_precision_is_slow(replace(tiny.train, precision=precision), context)
    assert ["no AMX" in message for message in caplog.messages] == [True] * said


def test_a_training_says_that_its_precision_is_slow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kernels: torch.Tensor, tiny: Preset
):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    settings = replace(tiny.train, precision="bfloat16")
    with caplog.at_level(logging.WARNING, "sr_model"):
        TrainingState.new(tiny.network, kernels, settings, 0, DistributedContext(torch.device("cpu")))
    assert len([message for message in caplog.messages if "no AMX" in message]) == 1
