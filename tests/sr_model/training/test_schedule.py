"""Budgets and learning rates follow their settings."""

import math
from dataclasses import replace

import pytest

from sr_model import Budget, Preset
from sr_model.training.schedule import learning_rate


@pytest.mark.parametrize("schedule", ["cosine", "halving"])
def test_the_learning_rate_warms_up_and_falls(tiny: Preset, schedule):
    settings = replace(tiny.train, schedule=schedule, warmup=10, learning_rate=1.0)
    rates = [learning_rate(settings, step, step / 1000) for step in range(1000)]
    assert rates[0] < rates[5] < rates[10]
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] <= 0.5**9 + 1e-12


def test_the_rate_is_halved_at_every_milestone(tiny: Preset):
    """GSASR's milestones: 250, 400, 450 and 475 of 500 thousand steps."""
    settings = replace(
        tiny.train, schedule="halving", warmup=0, learning_rate=1.0, milestones=(0.5, 0.8, 0.9, 0.95)
    )
    rates = [
        learning_rate(settings, step, step / 500) for step in (0, 249, 250, 399, 400, 449, 450, 475, 499)
    ]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.0625, 0.0625]


def test_a_budget_is_steps_or_minutes():
    for wrong in ({}, {"steps": 1, "minutes": 1.0}, {"steps": 0}, {"minutes": -1.0}, {"minutes": math.nan}):
        with pytest.raises(ValueError):
            Budget(**wrong)
