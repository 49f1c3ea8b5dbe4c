"""The names of the arrays of a store, and the arrays over crops as attributes."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property

import numpy as np


class ArrayName(StrEnum):
    """The path of each array in a part of a store; see layout.py."""

    IMAGE_NAME = "images/name"
    IMAGE_SIZE = "images/size"
    IMAGE_NBYTES = "images/nbytes"
    IMAGE_PROBLEM = "images/problem"
    CROP_IMAGE = "crops/image"
    CROP_POSITION = "crops/position"
    RESULT = "crops/result"
    SHA256 = "crops/sha256"
    ERROR = "crops/error"
    CONTENT = "crops/content"
    COUNTS = "statistics/count"
    MOMENTS = "statistics/moment"
    HISTOGRAMS = "statistics/histogram"
    SAMPLES = "statistics/sample"
    SNAPSHOT_PSNR = "snapshots/psnr"
    SNAPSHOT_COUNTS = "snapshots/count"
    SNAPSHOT_MOMENTS = "snapshots/moment"
    SNAPSHOT_HISTOGRAMS = "snapshots/histogram"
    MEANS = "fields/means"
    CHOLESKY = "fields/cholesky"
    COLORS = "fields/colors"
    FIELD_EXTENT = "fields/extent"
    STATUS = "crops/status"


RESULT = ("psnr", "off_lattice_psnr", "iterations", "seconds")
"""Columns of ArrayName.RESULT as named on disk; `off_lattice_psnr` is the held-out-pixel PSNR."""

Read = Callable[[ArrayName], np.ndarray]


class CropColumns:
    """The arrays over n crops, [n, ...]. Each is read once, on first use.

    The values of pending crops are the fill values of layout.py, and have no meaning.
    """

    def __init__(self, read: Read) -> None:
        """`read` returns the array of a given name over the crops."""
        self._read = read
        self.statistics = StatisticsColumns(read)
        self.snapshots = SnapshotColumns(read)
        self.fields = FieldColumns(read)

    @cached_property
    def status(self) -> np.ndarray:
        """[n] uint8: PENDING, DONE or FAILED."""
        return self._read(ArrayName.STATUS)

    @cached_property
    def results(self) -> np.ndarray:
        """[n, 4] float64, columns RESULT; NaN for pending crops. Failed crops: PSNRs NaN, others 0."""
        return self._read(ArrayName.RESULT)

    @property
    def psnr(self) -> np.ndarray:
        """[n] float64, PSNR on the fitted pixels, dB."""
        return self.results[..., 0]

    @property
    def held_out_psnr(self) -> np.ndarray:
        """[n] float64, held-out-pixel PSNR, dB; NaN where it was not measured."""
        return self.results[..., 1]

    @property
    def results_of_all(self) -> np.ndarray:
        """[n, 3] float64, the results that every fitted crop has: all but the held-out-pixel PSNR."""
        return np.delete(self.results, 1, axis=-1)

    @property
    def iterations(self) -> np.ndarray:
        """[n] float64, optimiser steps done."""
        return self.results[..., 2]

    @property
    def seconds(self) -> np.ndarray:
        """[n] float64, fitting time, s."""
        return self.results[..., 3]

    @cached_property
    def sha256(self) -> np.ndarray:
        """[n, 32] uint8, digests of the image files."""
        return self._read(ArrayName.SHA256)

    @cached_property
    def error(self) -> np.ndarray:
        """[n] text: why a crop failed, one sentence; empty for other crops."""
        return self._read(ArrayName.ERROR)

    @cached_property
    def content(self) -> np.ndarray:
        """[n, 6] float64, columns `content.CONTENT`; NaN for pending and failed crops."""
        return self._read(ArrayName.CONTENT)


class StatisticsColumns:
    """The statistics of the fitted Gaussians of n crops; see fitting/statistics.py."""

    def __init__(self, read: Read) -> None:
        self._read = read

    @cached_property
    def counts(self) -> np.ndarray:
        """[n, 6] int64, columns COUNTS; -1 for pending crops, 0 for failed ones."""
        return self._read(ArrayName.COUNTS)

    @cached_property
    def moments(self) -> np.ndarray:
        """[n, 2, 32] float64, rows WEIGHTS, columns MOMENTS; NaN if there are no interior Gaussians."""
        return self._read(ArrayName.MOMENTS)

    @cached_property
    def histograms(self) -> np.ndarray:
        """[n, 2, 9, BINS] float64, by WEIGHTS and ENTRIES; -1 for pending crops."""
        return self._read(ArrayName.HISTOGRAMS)

    @cached_property
    def samples(self) -> np.ndarray:
        """[n, SAMPLE_SIZE, 7] float32, columns SAMPLE; LOST for pending crops, NaN for unused slots."""
        return self._read(ArrayName.SAMPLES)


class SnapshotColumns:
    """PSNR and statistics of n crops at the S iterations of the setting `snapshots`."""

    def __init__(self, read: Read) -> None:
        self._read = read

    @cached_property
    def psnr(self) -> np.ndarray:
        """[n, S] float64, PSNR on the fitted pixels, dB."""
        return self._read(ArrayName.SNAPSHOT_PSNR)

    @cached_property
    def counts(self) -> np.ndarray:
        """[n, S, 6] int64, columns COUNTS."""
        return self._read(ArrayName.SNAPSHOT_COUNTS)

    @cached_property
    def moments(self) -> np.ndarray:
        """[n, S, 2, 32] float64, by WEIGHTS and MOMENTS."""
        return self._read(ArrayName.SNAPSHOT_MOMENTS)

    @cached_property
    def histograms(self) -> np.ndarray:
        """[n, S, 2, 9, BINS] float64, by WEIGHTS and ENTRIES."""
        return self._read(ArrayName.SNAPSHOT_HISTOGRAMS)


class FieldColumns:
    """The fields of n crops, each padded to N Gaussians and MAX_CHANNELS channels."""

    def __init__(self, read: Read) -> None:
        self._read = read

    @cached_property
    def means(self) -> np.ndarray:
        """[n, N, 2] float32, pixels of the crop."""
        return self._read(ArrayName.MEANS)

    @cached_property
    def cholesky(self) -> np.ndarray:
        """[n, N, 3] float32, pixels."""
        return self._read(ArrayName.CHOLESKY)

    @cached_property
    def colors(self) -> np.ndarray:
        """[n, N, MAX_CHANNELS] float32."""
        return self._read(ArrayName.COLORS)

    @cached_property
    def extent(self) -> np.ndarray:
        """[n, 2] int64: Gaussians and channels of each field."""
        return self._read(ArrayName.FIELD_EXTENT)
