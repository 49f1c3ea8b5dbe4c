"""Statistics are in grid spacings, and Gaussians that are not the photograph's are counted apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dgp_mining import statistics
from dgp_mining.dictionary import covariance_from_cholesky
from dgp_mining.statistics import COUNTS, MOMENTS, SAMPLE, measure, prior_sample
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
    spacing = 2.0
    x, y = measured.means[0].numpy().T
    inside = (x >= spacing) & (x <= 60 - spacing) & (y >= spacing) & (y <= 40 - spacing)
    inside &= np.abs(measured.colors[0].numpy()).max(axis=1) >= statistics.DEAD_AMPLITUDE
    cholesky = measured.cholesky[0].double().numpy()[inside] / spacing
    entries = np.column_stack([cholesky, covariance_from_cholesky(cholesky)])
    moments = dict(zip(MOMENTS, found.moments, strict=True))
    assert moments["l21"] == pytest.approx(cholesky[:, 1].mean())
    assert moments["S_xx*S_yy"] == pytest.approx((entries[:, 3] * entries[:, 5]).mean())
    expected = [
        np.histogram(entries[:, i], statistics.BINS, statistics.RANGES[i])[0] for i in range(len(entries[0]))
    ]
    np.testing.assert_array_equal(found.histograms, expected)
    assert found.histograms.sum() == 6 * inside.sum()


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
