"""The result of fitting one crop, and the conversion of the results of a chunk to rows of arrays."""

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
from .columns import ArrayName

PENDING, DONE, FAILED = 0, 1, 2
"""The status of a crop."""

EXACT_PSNR = 100.0
"""PSNR, dB, that is stored for an exact fit, whose PSNR would be infinite."""

_NOTHING = np.full(len(CONTENT), math.nan)

UNREAD = bytes(32)
"""Stands in for the digest of a file that could not be read."""


@dataclass(frozen=True, eq=False)
class CropResult:
    """The result of fitting one crop."""

    sha256: bytes
    """Digest of the image file; empty if it could not be read."""
    error: str = ""
    """Why the crop failed, one sentence; empty if it was fitted."""
    psnr: float = math.nan
    """PSNR on the fitted pixels, dB."""
    held_out_psnr: float = math.nan
    """Held-out-pixel PSNR, dB: of a fit to the x2-downsampled crop, rendered at x2."""
    iterations: int = 0
    """Optimiser steps done."""
    seconds: float = 0.0
    """Fitting time, s."""
    statistics: Statistics | None = None
    """None if the crop failed."""
    field: GaussianField | None = None
    """The fitted field, if fields are kept."""
    content: np.ndarray | None = None
    """[6] float64, CONTENT of the crop's pixels; None if it failed."""
    snapshots: tuple[tuple[float, Statistics], ...] = ()
    """(PSNR in dB, statistics) at each requested iteration."""


def columns(results: Sequence[CropResult], gaussians: int, snapshots: int = 0) -> dict[ArrayName, Any]:
    """Return the rows of each array over crops.

    `gaussians` is the room per field, 0 without fields; `snapshots` the number of snapshots per crop.
    """
    blank = _blank_statistics()
    kept = [result.statistics or blank for result in results]
    rows: dict[ArrayName, Any] = {
        ArrayName.RESULT: [(r.psnr, r.held_out_psnr, r.iterations, r.seconds) for r in results],
        ArrayName.SHA256: [np.frombuffer(result.sha256 or UNREAD, np.uint8) for result in results],
        ArrayName.ERROR: [_printable(result.error) for result in results],
        ArrayName.CONTENT: [_NOTHING if r.content is None else r.content for r in results],
        ArrayName.COUNTS: [s.counts for s in kept],
        ArrayName.MOMENTS: [s.moments for s in kept],
        ArrayName.HISTOGRAMS: [s.histograms for s in kept],
        ArrayName.SAMPLES: [s.sample for s in kept],
        ArrayName.STATUS: [FAILED if result.error else DONE for result in results],
    }
    rows |= _snapshot_columns(results, snapshots) if snapshots else {}
    return rows | (_field_columns(results, gaussians) if gaussians else {})


def _snapshot_columns(results: Sequence[CropResult], snapshots: int) -> dict[ArrayName, Any]:
    blank = ((math.nan, _blank_statistics()),) * snapshots
    looks = [result.snapshots or blank for result in results]
    return {
        ArrayName.SNAPSHOT_PSNR: [[psnr for psnr, _ in look] for look in looks],
        ArrayName.SNAPSHOT_COUNTS: [[found.counts for _, found in look] for look in looks],
        ArrayName.SNAPSHOT_MOMENTS: [[found.moments for _, found in look] for look in looks],
        ArrayName.SNAPSHOT_HISTOGRAMS: [[found.histograms for _, found in look] for look in looks],
    }


def _field_columns(results: Sequence[CropResult], gaussians: int) -> dict[ArrayName, Any]:
    rows: dict[ArrayName, np.ndarray] = {
        ArrayName.MEANS: np.zeros((len(results), gaussians, 2), np.float32),
        ArrayName.CHOLESKY: np.zeros((len(results), gaussians, 3), np.float32),
        ArrayName.COLORS: np.zeros((len(results), gaussians, MAX_CHANNELS), np.float32),
        ArrayName.FIELD_EXTENT: np.zeros((len(results), 2), np.int64),
    }
    for i, result in enumerate(results):
        if result.field is None:
            continue
        field = result.field
        if field.normalised or not field.averaged:
            raise ValueError("a store keeps fields of averaged pixels that are rendered as plain sums")
        for name, tensor in (
            (ArrayName.MEANS, field.means),
            (ArrayName.CHOLESKY, field.cholesky),
            (ArrayName.COLORS, field.colors),
        ):
            values = tensor[0].detach().cpu().numpy()
            rows[name][i, : values.shape[0], : values.shape[1]] = values
        rows[ArrayName.FIELD_EXTENT][i] = field.colors.shape[1:]
    return rows


def _blank_statistics() -> Statistics:
    return Statistics(
        counts=np.zeros(len(statistics.COUNTS), np.int64),
        moments=np.full((len(statistics.WEIGHTS), len(statistics.MOMENTS)), math.nan),
        histograms=np.zeros((len(statistics.WEIGHTS), len(statistics.ENTRIES), statistics.BINS)),
        sample=np.full((statistics.SAMPLE_SIZE, len(statistics.SAMPLE)), math.nan, np.float32),
    )


def _printable(sentence: str) -> str:
    """Replace characters that UTF-8 cannot encode: decoders quote bytes of broken files."""
    return sentence.encode("utf-8", "replace").decode()
