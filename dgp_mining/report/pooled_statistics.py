"""Pooled statistics over all fitted crops of a store, with bootstrap intervals.

Crops of one photograph resemble each other, so the uncertainty lies in the choice of photographs: the
bootstrap resamples images. Crops are read in blocks, so that only some hundred numbers per crop are kept in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..fitting.statistics import BINS, ENTRIES, MOMENTS, RANGES, SAMPLE, WEIGHTS
from ..progress import ProgressCallback
from ..store.crop_results import DONE
from ..store.store import Store, StoreError
from .bootstrap import BootstrapEstimate, estimate_ratio

BLOCK = 2048
"""Crops read at a time."""

MOST_SAMPLED = 400
"""Upper limit of the crops, spread evenly over the store, whose sampled Gaussians are kept."""


@dataclass(frozen=True, eq=False)
class PooledStatistics:
    """The statistics of the n fitted crops of a store."""

    crops: np.ndarray
    """[n] indices of the crops in the store."""
    image: np.ndarray
    """[n] index of each crop's image among the images that have fitted crops."""
    psnr: np.ndarray
    """[n] PSNR on the fitted pixels, dB."""
    held_out_psnr: np.ndarray
    """[n] held-out-pixel PSNR, dB; NaN where it was not measured."""
    content: np.ndarray
    """[n, 6] columns CONTENT."""
    counts: np.ndarray
    """[n, 6] columns COUNTS."""
    weight: np.ndarray
    """[n, 2] sum of the weights of each crop's interior Gaussians, by WEIGHTS: number and total amplitude."""
    moments: np.ndarray
    """[n, 2, 32] by WEIGHTS and MOMENTS; zero for crops without interior Gaussians."""
    histograms: np.ndarray
    """[2, 9, BINS] by WEIGHTS and ENTRIES, summed over the crops."""
    sample: np.ndarray
    """[m, 7] columns SAMPLE, of at most MOST_SAMPLED crops."""

    def means(self, selected: np.ndarray | None = None) -> dict[str, float]:
        """Return the MOMENTS over all interior Gaussians, or those of `selected` crops [n] bool, by name."""
        crops = slice(None) if selected is None else selected
        weight, moments = self.weight[crops, 0], self.moments[crops, 0]
        pooled = (weight[:, None] * moments).sum(axis=0) / max(weight.sum(), 1)
        return dict(zip(MOMENTS, pooled.tolist(), strict=True))

    def estimate(self, combination: Mapping[str, float], weights: str = "plain") -> BootstrapEstimate:
        """Estimate a linear combination of the pooled MOMENTS, such as {"S_xx": 1, "S_yy": -1}."""
        kind = WEIGHTS.index(weights)
        columns = [MOMENTS.index(name) for name in combination]
        values = self.moments[:, kind, columns] @ np.array([*combination.values()])
        weight = np.bincount(self.image, self.weight[:, kind])
        return estimate_ratio(np.bincount(self.image, self.weight[:, kind] * values), weight)

    def quantile(self, entry: str, *at: float, weights: str = "plain") -> list[float]:
        """Return quantiles of an entry from its histogram, accurate to one bin."""
        histogram = self.histograms[WEIGHTS.index(weights), ENTRIES.index(entry)]
        edges = np.linspace(*RANGES[ENTRIES.index(entry)], BINS + 1)
        cumulated = np.concatenate([[0], np.cumsum(histogram)])
        return [float(np.interp(q * cumulated[-1], cumulated, edges)) for q in at]


def read_pooled_statistics(store: Store, callback: ProgressCallback | None = None) -> PooledStatistics:
    """Read the statistics of the fitted crops of a store. Raises StoreError if there are none."""
    callback = callback or ProgressCallback()
    status, images = store.status, store.plan.image
    crops = np.flatnonzero(status == DONE)
    if not len(crops):
        raise StoreError(f"{store.path} has no fitted crop yet: run 'dgp-mine fit' first.")
    weight, moments = [], []
    histograms = np.zeros((len(WEIGHTS), len(ENTRIES), BINS))
    for first in range(0, len(crops), BLOCK):
        callback.on_progress("Reading", first, len(crops))
        block = crops[first : first + BLOCK]
        found = store.at(block).statistics
        of_block = found.histograms
        histograms += of_block.sum(axis=0)
        weight.append(of_block[:, :, 0].sum(axis=-1))
        moments.append(np.nan_to_num(found.moments))
    some = crops[:: -(-len(crops) // MOST_SAMPLED)]
    sample = store.samples(some).reshape(-1, len(SAMPLE))
    callback.on_progress("Reading", len(crops), len(crops))
    fitted = store.at(crops)
    return PooledStatistics(
        crops=crops,
        image=np.unique(images[crops], return_inverse=True)[1],
        psnr=fitted.psnr,
        held_out_psnr=fitted.held_out_psnr,
        content=fitted.content,
        counts=fitted.statistics.counts,
        weight=np.concatenate(weight),
        moments=np.concatenate(moments),
        histograms=histograms,
        sample=sample[np.isfinite(sample[:, 0])].astype(np.float64),
    )
