"""Statistics are in grid spacings; Gaussians that do not represent the photograph are counted separately."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dgp_mining.covariance import covariance_from_cholesky
from dgp_mining.fitting import statistics
from dgp_mining.fitting.statistics import COUNTS, ENTRIES, MOMENTS, SAMPLE, measure, prior_sample
from splat2d import GaussianField


def field(means: object, cholesky: object, colors: object, size: tuple[int, int] = (40, 60)) -> GaussianField:
    tensors = (
        torch.as_tensor(np.array(value), dtype=torch.float32)[None] for value in (means, cholesky, colors)
    )
    return GaussianField(*tensors, size=size)


def random_field(n: int = 600, seed: int = 0) -> GaussianField:
    rng = np.random.default_rng(seed)
    return field(
        rng.uniform(0, 1, (n, 2)) * (60, 40),
        rng.uniform([0.5, -0.5, 0.5], [2, 0.5, 2], (n, 3)),
        rng.uniform(-1, 1, (n, 3)),
    )


def interior(measured: GaussianField) -> np.ndarray:
    """Indices of the interior Gaussians of `random_field`, whose spacing is 2 px."""
    x, y = measured.means[0].numpy().T
    inside = (x >= 2) & (x <= 58) & (y >= 2) & (y <= 38)
    return np.flatnonzero(
        inside & (np.abs(measured.colors[0].numpy()).max(axis=1) >= statistics.DEAD_AMPLITUDE)
    )


def test_every_gaussian_belongs_to_one_class() -> None:
    good, kernel, grey = [30, 20], [2, 0, 2], [0.5]
    measured = measure(
        field(
            [good, good, good, [-30, 20], good, [0.5, 20], [-1, 20], [30, 39.9]],
            [kernel, [0, 0, 1], [1, np.nan, 1], kernel, kernel, kernel, kernel, kernel],
            [grey, grey, grey, grey, [0.001], grey, grey, grey],
        ),
        np.zeros((8, 2)),
        np.random.default_rng(0),
    )
    counts = dict(zip(COUNTS, measured.counts.tolist(), strict=True))
    assert counts == {"gaussians": 8, "degenerate": 2, "outside": 1, "dead": 1, "border": 3, "sampled": 4}


def test_lengths_are_in_grid_spacings_of_this_fit() -> None:
    n, (height, width) = 600, (40, 60)
    measured = random_field(n)
    start = measured.means[0].numpy() - 2.0
    found = measure(measured, start, np.random.default_rng(0))
    spacing = np.sqrt(height * width / n)
    sample = dict(zip(SAMPLE, found.sample.T, strict=True))
    np.testing.assert_allclose(sample["displacement_x"], 2 / spacing, rtol=1e-5)
    assert 1.8 / spacing < sample["l11"].max() <= 2 / spacing
    assert sample["border_distance"].min() >= 0
    assert sample["border_distance"].max() <= height / 2 / spacing
    assert (sample["amplitude"] <= 1).all()


def test_moments_and_histograms_are_of_the_interior_alone() -> None:
    measured = random_field()
    found = measure(measured, measured.means[0].numpy(), np.random.default_rng(0))
    inside = interior(measured)
    cholesky = measured.cholesky[0].double().numpy()[inside] / 2
    entries = np.column_stack([cholesky, covariance_from_cholesky(cholesky)])
    moments = dict(zip(MOMENTS, found.moments[0], strict=True))
    assert moments["l21"] == pytest.approx(cholesky[:, 1].mean())
    assert moments["S_xx*S_yy"] == pytest.approx((entries[:, 3] * entries[:, 5]).mean())
    expected = [np.histogram(entries[:, i], statistics.BINS, statistics.RANGES[i])[0] for i in range(6)]
    np.testing.assert_array_equal(found.histograms[0, :6], expected)
    assert (found.histograms[0].sum(axis=1) == len(inside)).all()


def test_ellipses_are_measured_by_their_axes() -> None:
    """Compared with the eigenvectors that LAPACK finds."""
    measured = random_field()
    found = measure(measured, measured.means[0].numpy(), np.random.default_rng(0))
    inside = interior(measured)
    lower = np.zeros((len(inside), 2, 2))
    lower[:, [0, 1, 1], [0, 0, 1]] = measured.cholesky[0].double().numpy()[inside] / 2
    values, vectors = np.linalg.eigh(lower @ lower.transpose(0, 2, 1))
    long, ratio = np.sqrt(values[:, 1]), np.sqrt(values[:, 0] / values[:, 1])
    angle = np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1])
    moments = dict(zip(MOMENTS, found.moments[0], strict=True))
    assert moments["long_axis"] == pytest.approx(long.mean())
    assert moments["ratio*ratio"] == pytest.approx((ratio**2).mean())
    assert moments["sin_2angle"] == pytest.approx(np.sin(2 * angle).mean())
    assert moments["long_axis*cos_2angle"] == pytest.approx((long * np.cos(2 * angle)).mean())
    degrees = (np.degrees(angle) + 90) % 180 - 90
    for name, values in (("long_axis", long), ("ratio", ratio), ("angle", degrees)):
        row = ENTRIES.index(name)
        expected = np.histogram(values, statistics.BINS, statistics.RANGES[row])[0]
        np.testing.assert_array_equal(found.histograms[0, row], expected)


def test_a_round_gaussian_has_no_direction() -> None:
    n = 24
    round_ones = field([[30, 20]] * n, [[2, 0, 2]] * n, [[0.5]] * n)
    found = measure(round_ones, np.zeros((n, 2)), np.random.default_rng(0))
    moments = dict(zip(MOMENTS, found.moments[0], strict=True))
    assert (moments["ratio"], moments["cos_2angle"], moments["sin_2angle"]) == (1, 0, 0)


def test_by_amplitude_gaussians_count_as_much_as_their_largest_colour() -> None:
    measured = random_field()
    found = measure(measured, measured.means[0].numpy(), np.random.default_rng(0))
    inside = interior(measured)
    amplitude = np.abs(measured.colors[0].double().numpy()[inside]).max(axis=1)
    l11 = measured.cholesky[0, :, 0].double().numpy()[inside] / 2
    moments = dict(zip(MOMENTS, found.moments[1], strict=True))
    assert moments["l11"] == pytest.approx(np.average(l11, weights=amplitude))
    assert moments["l11*l11"] == pytest.approx(np.average(l11**2, weights=amplitude))
    expected = np.histogram(l11, statistics.BINS, statistics.RANGES[0], weights=amplitude)[0]
    np.testing.assert_allclose(found.histograms[1, 0], expected)


def test_the_sample_is_drawn_from_living_gaussians_and_by_the_seed() -> None:
    measured = random_field(2000)
    start = measured.means[0].numpy()
    one, two, three = (measure(measured, start, np.random.default_rng(seed)).sample for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)
    assert len(np.unique(one[:, 0])) == statistics.SAMPLE_SIZE


def test_a_crop_with_few_gaussians_leaves_the_rest_of_its_sample_empty() -> None:
    measured = random_field(30)
    found = measure(measured, measured.means[0].numpy(), np.random.default_rng(0))
    assert found.counts[COUNTS.index("sampled")] == 30
    assert np.isnan(found.sample[30:]).all()
    prior = prior_sample(np.stack([found.sample, found.sample]))
    assert len(prior) == 2 * (30 - found.counts[COUNTS.index("border")])
    assert np.isfinite(prior).all()


def test_a_field_with_nothing_alive_has_no_moments() -> None:
    found = measure(field([[30, 20]], [[1, 0, 1]], [[0.0]]), np.zeros((1, 2)), np.random.default_rng(0))
    assert np.isnan(found.moments).all()
    assert found.histograms.sum() == 0
    assert not len(prior_sample(found.sample))
