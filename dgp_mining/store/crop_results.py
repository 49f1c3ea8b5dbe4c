"""The result of fitting one crop, and how the results of a chunk are laid out in the arrays of a store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from splat2d import GaussianField

from ..fitting import statistics
from ..fitting.content import CONTENT
from ..fitting.statistics import Statistics
from ..images.reader import MAX_CHANNELS

PENDING, DONE, FAILED = 0, 1, 2
"""The status of a crop."""

RESULT = ("psnr", "off_lattice_psnr", "iterations", "seconds")
"""Columns of the results."""

EXACT_PSNR = 100.0
"""dB that stand for a fit without any error, whose PSNR would be infinite."""

_NOTHING = np.full(len(CONTENT), math.nan)

UNREAD = bytes(32)
"""Stands for the digest of a file that could not be read."""


@dataclass(frozen=True, eq=False)
class CropResult:
    """What fitting one crop has led to."""

    sha256: bytes
    """Of the image file; empty where it could not be read."""
    error: str = ""
    """Why the crop has failed, one sentence; empty where it has not."""
    result: tuple[float, float, int, float] = (math.nan, math.nan, 0, 0.0)
    """RESULT: PSNR and off-lattice PSNR in dB, iterations, seconds."""
    statistics: Statistics | None = None
    """None where the crop has failed."""
    field: GaussianField | None = None
    """The fitted field, where fields are kept."""
    content: np.ndarray | None = None
    """[6] CONTENT of the crop's pixels; None where it has failed."""
    snapshots: tuple[tuple[float, Statistics], ...] = ()
    """PSNR in dB and statistics at each of the iterations asked for."""


def columns(results: Sequence[CropResult], gaussians: int, snapshots: int = 0) -> dict[str, Any]:
    """The rows of each array over crops (see layout.py), with room for `gaussians` a field, if any."""
    blank = _blank_statistics()
    kept = [result.statistics or blank for result in results]
    rows = {
        "crops/result": [result.result for result in results],
        "crops/sha256": [np.frombuffer(result.sha256 or UNREAD, np.uint8) for result in results],
        "crops/error": [_printable(result.error) for result in results],
        "crops/content": [_NOTHING if r.content is None else r.content for r in results],
        "statistics/count": [s.counts for s in kept],
        "statistics/moment": [s.moments for s in kept],
        "statistics/histogram": [s.histograms for s in kept],
        "statistics/sample": [s.sample for s in kept],
        "crops/status": [FAILED if result.error else DONE for result in results],
    }
    rows |= _snapshot_columns(results, snapshots) if snapshots else {}
    return rows | (_field_columns(results, gaussians) if gaussians else {})


def _snapshot_columns(results: Sequence[CropResult], snapshots: int) -> dict[str, Any]:
    blank = ((math.nan, _blank_statistics()),) * snapshots
    looks = [result.snapshots or blank for result in results]
    return {
        "snapshots/psnr": [[psnr for psnr, _ in look] for look in looks],
        "snapshots/count": [[found.counts for _, found in look] for look in looks],
        "snapshots/moment": [[found.moments for _, found in look] for look in looks],
        "snapshots/histogram": [[found.histograms for _, found in look] for look in looks],
    }


def _field_columns(results: Sequence[CropResult], gaussians: int) -> dict[str, np.ndarray]:
    rows = {
        "fields/means": np.zeros((len(results), gaussians, 2), np.float32),
        "fields/cholesky": np.zeros((len(results), gaussians, 3), np.float32),
        "fields/colors": np.zeros((len(results), gaussians, MAX_CHANNELS), np.float32),
        "fields/extent": np.zeros((len(results), 2), np.int64),
    }
    for i, result in enumerate(results):
        if result.field is None:
            continue
        for name in ("means", "cholesky", "colors"):
            values = getattr(result.field, name)[0].detach().cpu().numpy()
            rows[f"fields/{name}"][i, : values.shape[0], : values.shape[1]] = values
        rows["fields/extent"][i] = result.field.colors.shape[1:]
    return rows


def _blank_statistics() -> Statistics:
    return Statistics(
        counts=np.zeros(len(statistics.COUNTS), np.int64),
        moments=np.full((len(statistics.WEIGHTS), len(statistics.MOMENTS)), math.nan),
        histograms=np.zeros((len(statistics.WEIGHTS), len(statistics.ENTRIES), statistics.BINS)),
        sample=np.full((statistics.SAMPLE_SIZE, len(statistics.SAMPLE)), math.nan, np.float32),
    )


def _printable(sentence: str) -> str:
    """Without what no UTF-8 can hold: decoders quote the bytes of broken files."""
    return sentence.encode("utf-8", "replace").decode()
