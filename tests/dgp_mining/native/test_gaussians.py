"""C++ and numpy agree to the last bit, and with plain formulas in all but the last bits."""

from __future__ import annotations

import numpy as np
import pytest

from dgp_mining.fitting import statistics
from dgp_mining.fitting.statistics import ENTRIES, RANGES
from dgp_mining.native import gaussians, library
from dgp_mining.native.gaussians import BORDER, DEAD, DEGENERATE, INTERIOR, OUTSIDE, PAIRS, MeasuredGaussians

SIZE, SPACING = (40, 60), 2.0
LIMITS = statistics._LIMITS
Field = tuple[np.ndarray, np.ndarray, np.ndarray]

needs_library = pytest.mark.skipif(library.LIBRARY is None, reason="there is no C++ library here")


def fitted(n: int, channels: int = 3, seed: int = 0) -> Field:
    """Gaussians of all classes and sizes, a third of them round or along the axes."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-0.1, 1.1, (n, 2)) * (SIZE[1], SIZE[0])
    cholesky = np.column_stack([rng.lognormal(0.5, 0.7, n), rng.normal(0, 1, n), rng.lognormal(0.5, 0.7, n)])
    cholesky[::3, 1] = 0
    cholesky[::6, 2] = cholesky[::6, 0]
    cholesky[rng.random(n) < 0.02] *= -1
    colors = rng.normal(0, 0.2, (n, channels)) * (rng.random((n, 1)) < 0.9)
    return means.astype(np.float32), cholesky.astype(np.float32), colors.astype(np.float32)


def awkward() -> Field:
    """Numbers at the limits of float32, and none."""
    numbers = [0.0, -0.0, 1.0, 2.0, 30.0, 1e-45, 1e-30, 1e30, 3.4e38, np.inf, -np.inf, np.nan, -1e-45]
    rng = np.random.default_rng(1)
    n = 4000
    means, cholesky, colors = (rng.choice(numbers, (n, k)).astype(np.float32) for k in (2, 3, 1))
    means[::2] = (30, 20)
    cholesky[::4, [0, 2]] = 1
    colors[::3] = 1
    return means, cholesky, colors


def measured(field: Field) -> MeasuredGaussians:
    return gaussians.measure_gaussians(*field, SIZE, SPACING, LIMITS)


def with_numpy(field: Field, monkeypatch: pytest.MonkeyPatch) -> MeasuredGaussians:
    with monkeypatch.context() as patch:
        patch.setattr(library, "LIBRARY", None)
        return measured(field)


@needs_library
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 255, 256, 257, 4097])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_both_have_the_same_bits(n: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    field = fitted(n, channels)
    one, other = measured(field), with_numpy(field, monkeypatch)
    assert one.classes.tobytes() == other.classes.tobytes()
    assert one.sums.tobytes() == other.sums.tobytes()
    assert one.histograms.tobytes() == other.histograms.tobytes()


@needs_library
def test_both_have_the_same_bits_at_the_limits_of_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    field = awkward()
    one, other = measured(field), with_numpy(field, monkeypatch)
    assert set(one.classes.tolist()) >= {DEGENERATE, OUTSIDE, DEAD, INTERIOR}
    np.testing.assert_array_equal(one.classes, other.classes)
    np.testing.assert_array_equal(one.sums, other.sums)
    np.testing.assert_array_equal(one.histograms, other.histograms)


def test_classes_are_those_of_the_formulas() -> None:
    field = fitted(3000)
    (x, y), (l11, l21, l22), colors = (values.astype(np.float64).T for values in field)
    height, width = SIZE
    outside = (x + LIMITS.cutoff * l11 < 0) | (x - LIMITS.cutoff * l11 > width)
    outside |= (y + LIMITS.cutoff * np.hypot(l21, l22) < 0) | (
        y - LIMITS.cutoff * np.hypot(l21, l22) > height
    )
    near = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y)) < SPACING
    dead = np.abs(colors).max(axis=0) < 0.5 / 255
    expected = np.select([(l11 <= 0) | (l22 <= 0), outside, dead, near], range(4), INTERIOR)
    found = measured(field).classes
    np.testing.assert_array_equal(found, expected)
    assert set(found.tolist()) == {DEGENERATE, OUTSIDE, DEAD, BORDER, INTERIOR}


def test_sums_and_histograms_are_those_of_the_formulas() -> None:
    field = fitted(3000)
    found = measured(field)
    inside = found.classes == INTERIOR
    l11, l21, l22 = field[1][inside].astype(np.float64).T / SPACING
    xx, xy, yy = l11 * l11, l11 * l21, l21 * l21 + l22 * l22
    half = np.hypot((xx - yy) / 2, xy)
    angle = np.where(half > 0, np.arctan2(2 * xy, xx - yy), 0)
    long = (xx + yy) / 2 + half
    ratio = l11 * l22 / long
    cos, sin = np.where(half > 0, np.cos(angle), 0), np.where(half > 0, np.sin(angle), 0)
    averaged = [l11, l21, l22, xx, xy, yy, np.sqrt(long), ratio, cos, sin]
    rows = np.stack([*averaged, *(averaged[a] * averaged[b] for a, b in PAIRS), np.ones_like(l11)])
    amplitude = np.abs(field[2][inside].astype(np.float64)).max(axis=1)
    np.testing.assert_allclose(found.sums[0], rows.sum(axis=1), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.sums[1], (rows * amplitude).sum(axis=1), rtol=1e-10, atol=1e-10)
    for row, values in enumerate([*averaged[:8], np.degrees(angle) / 2]):
        low, high = RANGES[row]
        clipped = np.clip(values, low, high)
        plain = np.histogram(clipped, LIMITS.bins, (low, high))[0]
        weighted = np.histogram(clipped, LIMITS.bins, (low, high), weights=amplitude)[0]
        np.testing.assert_array_equal(found.histograms[0, row], plain, err_msg=ENTRIES[row])
        np.testing.assert_allclose(found.histograms[1, row], weighted, atol=1e-12, err_msg=ENTRIES[row])


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_library), False])
def test_directions_fall_into_the_bins_of_their_angles(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Close to both sides of every edge between bins; those along the axes on the edge itself."""
    edges = np.linspace(-90, 90, LIMITS.bins + 1)
    degrees = np.concatenate([edges[1:-1] - 1e-3, edges[1:-1] + 1e-3, [0, 90, 45, -45]])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    cos[-4:], sin[-4:] = [1, 0, 1, 1], [0, 1, 1, -1]
    xx, xy, yy = 4 * cos**2 + sin**2, 3 * cos * sin, 4 * sin**2 + cos**2
    l11 = np.sqrt(xx)
    cholesky = np.column_stack([l11, xy / l11, np.sqrt(yy - (xy / l11) ** 2)]).astype(np.float32)
    n = len(degrees)
    field = np.full((n, 2), 20, np.float32), cholesky, np.ones((n, 1), np.float32)
    found = measured(field) if compiled else with_numpy(field, monkeypatch)
    expected = np.histogram(degrees[:-2], edges)[0]
    diagonal = (
        found.histograms[0, 8] - expected
    )  # rounded to float32 on either side of the edge at 45 degrees
    assert diagonal[[59, 60]].sum() == diagonal[[19, 20]].sum() == 1
    assert np.abs(diagonal).sum() == 2
