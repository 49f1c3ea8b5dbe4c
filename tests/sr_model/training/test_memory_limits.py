"""Settings that cannot fit into memory are refused before anything is read, drawn or timed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Preset, train
from sr_model.training.dry_run import estimate_training
from sr_model.training.errors import TrainingError
from sr_model.training.memory_limits import build_within_memory

HUGE = {
    "batch": ({}, {"batch": 10**9}),
    "crop": ({}, {"crop": 10**9}),
    "accumulate": ({}, {"batch": 10**9, "accumulate": 10**9}),
    "scales": ({}, {"scales": (1.0, 1e200)}),
    "larger scales": ({}, {"scales": (1.0, 1e300)}),
    "width": ({"width": 10**6}, {}),
    "wider": ({"width": 10**9}, {}),
    "widest": ({"width": 2**62}, {}),
    "depth": ({"depth": 10**6}, {}),
    "hidden": ({"hidden": (10**9, 10**9)}, {}),
    "latent": ({"latent": 10**9}, {}),
}


@pytest.mark.parametrize(("kind", "run"), [*((kind, train) for kind in HUGE), ("batch", estimate_training)])
def test_what_no_machine_holds_is_refused_at_once(
    dictionary: Dictionary, tiny: Preset, photographs: Path, tmp_path: Path, kind, run, monkeypatch
):
    monkeypatch.setattr("sr_model.training.memory_limits.free_memory", lambda device=None: 4 * 10**9)
    network, training = HUGE[kind]
    preset = Preset(replace(tiny.network, **network), replace(tiny.train, **training))
    with pytest.raises(TrainingError, match="does not fit into memory") as error:
        run(dictionary, photographs, preset, tmp_path / "run", budget=Budget(steps=1))
    assert "4.0 GB are free" in str(error.value)
    assert len(str(error.value)) < 400


def test_no_weight_is_drawn_of_a_network_that_does_not_fit(
    dictionary: Dictionary, tiny: Preset, photographs: Path, tmp_path: Path, monkeypatch
):
    """Its first layers may fit, and took seconds and gigabytes."""
    drawn = []
    monkeypatch.setattr("sr_model.training.memory_limits.free_memory", lambda device=None: 4 * 10**9)
    monkeypatch.setattr("sr_model.initialisation._fill", lambda weights, values: drawn.append(weights.shape))
    preset = replace(tiny, network=replace(tiny.network, width=10**6))
    with pytest.raises(TrainingError, match="does not fit into memory"):
        train(dictionary, photographs, preset, tmp_path / "run", budget=Budget(steps=1))
    assert drawn == []


@pytest.mark.parametrize(
    "mistake",
    [TypeError("build() missing 1 required argument: 'width'"), RuntimeError("shapes cannot be multiplied")],
)
def test_a_mistake_in_the_building_of_a_network_is_not_called_one_of_memory(
    kernels: torch.Tensor, tiny: Preset, mistake: Exception, monkeypatch
):
    def fail(*_: object) -> None:
        raise mistake

    monkeypatch.setattr("sr_model.training.memory_limits.build_network", fail)
    with pytest.raises(type(mistake), match=str(mistake)[-15:]):
        build_within_memory(tiny.network, kernels, torch.device("cpu"))


@pytest.mark.parametrize("seed", [-1, 2**63, 10**20])
def test_seeds_that_torch_does_not_have_are_refused(
    dictionary: Dictionary, tiny: Preset, photographs: Path, tmp_path: Path, seed
):
    with pytest.raises(TrainingError, match="seed= must be from 0 to"):
        train(dictionary, photographs, tiny, tmp_path / "run", seed=seed)


@pytest.mark.parametrize("length", [{"steps": 10**20}, {"minutes": float("inf")}, {"minutes": float("nan")}])
def test_budgets_without_end_are_refused(length):
    with pytest.raises(ValueError, match="a budget is a positive number"):
        Budget(**length)
