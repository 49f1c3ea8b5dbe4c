"""The bootstrap's errors are those of a mean over images."""

from __future__ import annotations

import numpy as np
import pytest

from dgp_mining.report.bootstrap import estimate_ratio


def test_a_bootstrap_over_images_finds_the_standard_error_of_their_mean() -> None:
    """The standard error of n equal images is spread / sqrt(n), however many crops each has."""
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, 100)
    found = estimate_ratio(values * 10, np.full(100, 10.0))
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std() / 10, rel=0.08)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.error, rel=0.1)
    assert np.isnan(estimate_ratio(np.ones(1), np.ones(1)).error)
