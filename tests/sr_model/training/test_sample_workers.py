"""A deterministic training has the same bytes for any number of threads, and otherwise the usual steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import ten_steps
import torch
from instruction_sets import NO_AVX, printed
from runs import difference
from safetensors.torch import load_file
from small_networks import SMALL_NETWORKS

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Preset, TrainingError, train
from sr_model.networks.registry import needs_prior
from sr_model.training.distributed import DistributedContext
from sr_model.training.sample_workers import sample_workers

STEPS = 10


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
        assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] if n.endswith(("swinir", "hat")) else [])
        for n in SMALL_NETWORKS
    ],
)
def test_ten_steps_are_the_same_bytes_for_one_two_and_three_threads(
    name, photographs: Path, tiny: Preset, tmp_path: Path
):
    settings = replace(tiny.train, batch=3, scale_of="sample", deterministic=True, validate_every=STEPS)
    preset = Preset(SMALL_NETWORKS[name], settings)
    images = list_images(photographs)
    prior = Dictionary.reference() if needs_prior(preset.network) else None
    for threads in (1, 2, 3):
        with torch_threads(threads):
            train(prior, images, preset, tmp_path / str(threads), val=images[:1], budget=Budget(steps=STEPS))
    for file in ("state.safetensors", "best.safetensors", "last.safetensors"):
        one, *others = (load_file(tmp_path / str(threads) / file) for threads in (1, 2, 3))
        assert all(torch.equal(one[key], other[key]) for key in one for other in others), file


def test_a_deterministic_training_takes_the_steps_of_any_other(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    runs = {
        "usual": {},
        "deterministic": {"deterministic": True},
        "parts": {"deterministic": True, "accumulate": 4},
    }
    for name, changed in runs.items():
        settings = replace(tiny.train, batch=4, clip=1e-3, precision="float32", **changed)
        train(dictionary, images, replace(tiny, train=settings), tmp_path / name, budget=Budget(steps=3))
    assert difference(tmp_path / "usual", tmp_path / "deterministic") < 1e-4
    assert difference(tmp_path / "parts", tmp_path / "deterministic") == 0


def test_another_instruction_set_changes_only_the_rounding():
    """Not the same bytes: convolutions and matrix products add in another order there."""
    elsewhere = printed(ten_steps.__file__, {**NO_AVX, "ONEDNN_MAX_CPU_ISA": "SSE41"})
    here = {name: ten_steps.last_loss(name) for name in ten_steps.NETWORKS}
    assert {name: float(loss) for name, loss in elsewhere.items()} == pytest.approx(here, rel=1e-4)


def test_a_frozen_encoder_stays_as_it_is(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    settings = replace(tiny.train, deterministic=True, freeze="encoder")
    images, preset = list_images(photographs), replace(tiny, train=settings)
    start = train(dictionary, images, tiny, tmp_path / "start", budget=Budget(steps=1))
    tuned = train(None, images, preset, tmp_path / "run", init=start, budget=Budget(steps=2))
    before, after = (load_file(path) for path in (start, tuned))
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert not any(".encoder." in key for key in changed)


def test_what_cannot_be_deterministic_is_refused(tiny: Preset):
    with pytest.raises(ValueError, match="deterministic needs compile false"):
        replace(tiny.train, deterministic=True, compile=True)
    deterministic = replace(tiny.train, deterministic=True)
    for context in (
        DistributedContext(torch.device("cpu"), 0, 2),
        DistributedContext(torch.device("meta")),
    ):
        with (
            pytest.raises(TrainingError, match="one process on the CPU"),
            sample_workers(deterministic, context),
        ):
            pass
