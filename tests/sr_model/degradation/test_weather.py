"""Rain has the strength and direction that are set."""

import math

import numpy as np
import pytest
import torch

from sr_model.degradation import Rain, streak_of


def test_streaks_have_the_length_width_and_direction_asked_for():
    for angle in (0.0, 0.5, -0.9):
        streak = streak_of(12, 0.6, angle)
        reach = streak.shape[0] // 2
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        weights = streak.numpy() / streak.sum().item()
        spread = np.array([[(weights * a * b).sum() for b in (x, y)] for a in (x, y)])
        values, vectors = np.linalg.eigh(spread)
        assert values[0] == pytest.approx(0.6**2, rel=0.1)
        assert values[1] == pytest.approx(12**2 / 12, rel=0.1)
        assert math.atan(-vectors[0, 1] / vectors[1, 1]) == pytest.approx(angle, abs=0.02)
        assert streak[reach, reach] == 1


def test_rain_brightens_as_much_of_an_image_as_asked_for():
    black = torch.zeros(3, 128, 128)
    rain = Rain(amount=(0.001, 0.001), length=(10, 10), width=(0.5, 0.5), brightness=(0.5, 0.5))
    wet = rain(black, np.random.default_rng(0))
    assert torch.equal(wet[0], wet[1])
    assert wet.max().item() == pytest.approx(0.5)
    expected = 0.001 * 0.5 * streak_of(10, 0.5, 0).sum().item()  # overlapping streaks add less than their sum
    assert 0.7 * expected < wet.mean().item() < 1.3 * expected


def test_wrong_strengths_are_named():
    for make in (
        lambda: Rain(amount=(0.2, 0.1)),
        lambda: Rain(length=(-1, 2)),
        lambda: Rain(width=(0, 1)),
    ):
        with pytest.raises(ValueError, match=r"of rain"):
            make()
    assert Rain(angle=(-60, -30))
