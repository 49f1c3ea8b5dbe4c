"""Axes have round ticks."""

from __future__ import annotations

import pytest

from dgp_mining.report import svg


@pytest.mark.parametrize("limits", [(0.0, 1.0), (-3.7, 12.0), (20.1, 20.4), (0.0, 30000.0)])
def test_ticks_are_a_handful_of_round_numbers_within(limits: tuple[float, float]) -> None:
    found = svg.ticks(limits)
    assert 3 <= len(found) <= 9
    assert limits[0] <= found[0] < found[-1] <= limits[1]
