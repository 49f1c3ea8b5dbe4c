"""What the finished crops of a store hold together: pooled statistics, with intervals that resample images.

Crops of one photograph resemble each other, so what is uncertain is which photographs one had: intervals come
from a bootstrap over images. Crops are read in blocks, and summed per image in the order of the plan: memory
does not grow with the store, but for some numbers per crop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..fitting.statistics import BINS, ENTRIES, MOMENTS, RANGES, SAMPLE, WEIGHTS
from ..prior.dictionary import DictionaryError
from ..progress import ProgressCallback
from ..store.crop_results import DONE
from ..store.store import Store
from .bootstrap import Estimate, estimate_ratio

BLOCK = 2048
"""Crops read at a time."""


MOST_SAMPLED = 400
"""Crops whose sampled Gaussians are kept, at most, evenly over the store: for joint densities."""


@dataclass(frozen=True, eq=False)
class PooledStatistics:
    """The finished crops of a store. I images, n crops."""

    crops: np.ndarray
    """[n] their numbers in the store."""
    image: np.ndarray
    """[n] the image of each, counted from 0 among those that have one."""
    psnr: np.ndarray
    """[n] PSNR on the fitted pixels, dB."""
    held_out_psnr: np.ndarray
    """[n] held-out-pixel PSNR, dB."""
    content: np.ndarray
    """[n, 6] CONTENT."""
    counts: np.ndarray
    """[n, 6] COUNTS."""
    weight: np.ndarray
    """[n, 2] what its interior Gaussians weigh together, by WEIGHTS: their number, and their amplitude."""
    moments: np.ndarray
    """[n, 2, 32] by WEIGHTS and MOMENTS; zero where a crop has no interior Gaussian."""
    histograms: np.ndarray
    """[2, 9, BINS] of all together."""
    sample: np.ndarray
    """[m, 7] columns SAMPLE, of at most MOST_SAMPLED crops."""

    def means(self, of: np.ndarray | None = None) -> dict[str, float]:
        """The pooled MOMENTS, each Gaussian counting as one; of the crops that `of` [n] bool selects."""
        at = slice(None) if of is None else of
        weight, moments = self.weight[at, 0], self.moments[at, 0]
        pooled = (weight[:, None] * moments).sum(axis=0) / max(weight.sum(), 1)
        return dict(zip(MOMENTS, pooled.tolist(), strict=True))

    def estimate(self, combination: Mapping[str, float], weights: str = "plain") -> Estimate:
        """A linear combination of pooled MOMENTS, such as {"S_xx": 1, "S_yy": -1}."""
        kind = WEIGHTS.index(weights)
        columns = [MOMENTS.index(name) for name in combination]
        values = self.moments[:, kind, columns] @ np.array([*combination.values()])
        weight = np.bincount(self.image, self.weight[:, kind])
        return estimate_ratio(np.bincount(self.image, self.weight[:, kind] * values), weight)

    def quantile(self, entry: str, *at: float, weights: str = "plain") -> list[float]:
        """Quantiles of an entry from its histogram: exact to a bin, linear within it."""
        histogram = self.histograms[WEIGHTS.index(weights), ENTRIES.index(entry)]
        edges = np.linspace(*RANGES[ENTRIES.index(entry)], BINS + 1)
        cumulated = np.concatenate([[0], np.cumsum(histogram)])
        return [float(np.interp(q * cumulated[-1], cumulated, edges)) for q in at]


def read_pooled_statistics(store: Store, callback: ProgressCallback | None = None) -> PooledStatistics:
    """Read what is finished of a store. Raises DictionaryError where that is nothing, StoreError."""
    callback = callback or ProgressCallback()
    status, images = store.status, store.plan.image
    crops = np.flatnonzero(status == DONE)
    if not len(crops):
        raise DictionaryError(f"{store.path} has no fitted crop yet: run 'dgp-mine fit' first.")
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
