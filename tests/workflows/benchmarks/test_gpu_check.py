"""The parts of the check of a GPU that any device can run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from splat2d import GaussianField

FOLDER = Path(__file__).parents[3] / "workflows" / "benchmarks"


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import gpu_check

    return gpu_check.check_normalised


def test_normalised_fields_of_a_device_are_compared_with_the_cpus(check):
    assert check(torch.device("cpu")) == []


def test_other_pictures_and_gradients_are_named(check, monkeypatch):
    render, calls = GaussianField.render, []

    def twice_as_bright_on_the_device(field, size):
        calls.append(field)
        return render(field, size) * (2 if len(calls) % 2 == 0 else 1)

    monkeypatch.setattr(GaussianField, "render", twice_as_bright_on_the_device)
    found = check(torch.device("cpu"))
    assert len(found) == 12
    assert found[0] == "a normalised field without gaps: image differs from the CPU's"
