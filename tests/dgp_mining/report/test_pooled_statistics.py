"""Pooled statistics are those of all Gaussians together; intervals cover the choice of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgp_mining.fitting.statistics import BINS, COUNTS, ENTRIES, MOMENTS, RANGES
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.report import pooled_statistics
from dgp_mining.report.pooled_statistics import PooledStatistics, read_pooled_statistics
from dgp_mining.store.store import Chunk, Store, StoreError

SETTINGS = Settings(crop=32, max_crops=12, keep_fields=True)


@pytest.fixture
def store(photos: Path, tmp_path: Path, fitter: str) -> Store:
    return mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)


def interior(store: Store, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cholesky factors [n, 3] in spacings, and amplitudes, of interior Gaussians, from the kept fields."""
    factors, amplitudes = [], []
    for crop in crops.tolist():
        field = store.field(crop)
        means, cholesky = field.means[0].numpy(), field.cholesky[0].double().numpy()
        spacing = np.sqrt(32 * 32 / len(means))
        inside = ((means >= spacing) & (means <= 32 - spacing)).all(axis=1)
        factors.append(cholesky[inside] / spacing)
        amplitudes.append(np.abs(field.colors[0].double().numpy()[inside]).max(axis=1))
    return np.concatenate(factors), np.concatenate(amplitudes)


def test_means_are_over_all_gaussians(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_statistics, "BLOCK", 5)
    found = read_pooled_statistics(store)
    factors, amplitude = interior(store, found.crops)
    means = found.means()
    assert means["l21"] == pytest.approx(factors[:, 1].mean())
    assert means["S_xy"] == pytest.approx((factors[:, 0] * factors[:, 1]).mean())
    assert found.weight[:, 0].sum() == len(factors)
    assert found.weight[:, 1].sum() == pytest.approx(amplitude.sum())
    weighted = found.estimate({"l22": 1, "l11": -1}, "amplitude").value
    assert weighted == pytest.approx(np.average(factors[:, 2] - factors[:, 0], weights=amplitude))
    chosen = found.image == 2
    some, _ = interior(store, found.crops[chosen])
    assert found.means(chosen)["l22"] == pytest.approx(some[:, 2].mean())


def test_quantiles_are_exact_to_a_bin(store: Store) -> None:
    found = read_pooled_statistics(store)
    factors, _ = interior(store, found.crops)
    width = (RANGES[0][1] - RANGES[0][0]) / BINS
    for q in (0.01, 0.5, 0.9):
        assert found.quantile("l11", q)[0] == pytest.approx(np.quantile(factors[:, 0], q), abs=width)
    assert found.histograms[0, ENTRIES.index("l11")].sum() == len(factors)


def test_only_finished_crops_count(store: Store) -> None:
    store.mark_pending(Chunk(store.parts[0].name, 0))
    found = read_pooled_statistics(Store.open(store.path))
    assert 0 not in found.crops
    assert len(found.crops) == len(store) - 1
    for index in range(1, store.parts[0].chunks):
        store.mark_pending(Chunk(store.parts[0].name, index))
    with pytest.raises(StoreError, match="no fitted crop yet"):
        read_pooled_statistics(Store.open(store.path))


def test_crops_of_one_image_are_not_independent() -> None:
    image = np.repeat(np.arange(20), 10)
    moments = np.zeros((200, 2, len(MOMENTS)))
    moments[:, 0, 0] = np.random.default_rng(0).normal(0, 1, 20)[image]
    found = PooledStatistics(
        crops=np.arange(200),
        image=image,
        psnr=np.zeros(200),
        held_out_psnr=np.zeros(200),
        content=np.zeros((200, 6)),
        counts=np.ones((200, len(COUNTS)), int),
        weight=np.ones((200, 2)),
        moments=moments,
        histograms=np.zeros((2, len(ENTRIES), BINS)),
        sample=np.zeros((0, 7)),
    )
    assert found.estimate({"l11": 1}).error == pytest.approx(moments[::10, 0, 0].std() / np.sqrt(20), rel=0.1)
