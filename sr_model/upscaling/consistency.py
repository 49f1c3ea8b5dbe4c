"""Consistency with the input: a field whose picture, made smaller again, gives the LR image back.

Back-projection (Irani and Peleg, "Improving resolution by image registration", 1991): the picture is reduced
by the kernel that made the LR image, and the colours of the Gaussians are corrected by the difference,
interpolated. Here the interpolation is chosen such that for the Gaussians that a network starts from, one
round leaves no difference at all; learned shapes leave a little, which further rounds reduce.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField
from splat2d.field import PIXEL_VARIANCE, divided_by_weight
from splat2d.rendering import render_rows

from ..networks.base import Network
from ..networks.bicubic_start import REACH, interpolating_filter
from ..scaling import scaled_extent
from .reduction import COLUMNS, Kernel, band, reduction_blocks

Reduction = Literal["bicubic", "bilinear", "area", "lanczos", "none"]
"""The kernel by which an LR image is taken to have been made smaller; `none` corrects nothing."""
DEFAULT_REDUCTION: Reduction = "bicubic"
"""For networks that start as bicubic interpolation; others are corrected only if it is asked for."""
FINEST = 3
"""Pixels per LR pixel and axis of the picture that is reduced, at most: enough for larger scales, too. One
round is made with that many, and with fewer as many rounds as render no more pixels: nine at scale 1."""
LEAST = 0.1 / 255
"""Largest difference at which no further round is made."""
FILTER_REACH = 12
"""LR pixels that the interpolation of the difference reads to either side."""
PERIOD = 48
"""LR pixels after which the row repeats for which that interpolation is computed."""
START_SIGMA = 0.65
"""Standard deviation in cells of the Gaussians of networks that state none."""
LEAST_WEIGHT = 0.5
"""Least sum of Gaussians by which a correction is divided: fewer than this is a hole between them."""
BLOCK_BYTES = 1 << 25
"""Memory of the rows that are rendered at once, as floats of four channels."""
STRIP = 256
"""LR rows whose difference is interpolated at once."""


def chosen_reduction(network: Network, reduction: Reduction | None) -> Reduction:
    """The reduction that was asked for, or for None the default of a network.

    Raises ValueError for an unknown one, and for networks whose Gaussians are not where their pixels are.
    """
    if reduction is None:
        corrected = network.bicubic_start is not None and not network.free_positions
        return DEFAULT_REDUCTION if corrected else "none"
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction= must be one of {', '.join(get_args(Reduction))}, got {reduction!r}")
    if reduction != "none" and network.free_positions:
        raise ValueError(
            "the network's Gaussians may lie anywhere, so that only reduction='none' is possible"
        )
    return reduction


@torch.inference_mode()
def made_consistent(
    network: Network,
    field: GaussianField,
    lr: Tensor,
    scales: tuple[float, float],
    reduction: Reduction | None = None,
) -> GaussianField:
    """Correct the colours of a field such that its picture, reduced, gives the LR image back.

    Both are clamped to [0, 1] before they are compared, as files are. Below scale 1, where nothing is
    reduced, the field is returned as it is.

    Args:
        network: the network that made the field.
        field: [1, N, ...] in LR pixels, of the whole LR image.
        lr: [1, C, h, w] in [0, 1], the LR image, with the field's channels.
        scales: (for the height, for the width) at which the field is to be rendered.
        reduction: the kernel that made the LR image; None for the network's default.

    Returns:
        The field with other colours. The more the scales of a later rendering differ from `scales`, the less
        it is consistent.

    Raises:
        ValueError: as `chosen_reduction`.
    """
    kernel = chosen_reduction(network, reduction)
    if kernel == "none" or min(scales) < 1:
        return field
    correction = _Correction(network, field, kernel, scales)
    field = replace(field, colors=field.colors.clone())
    for _ in range(correction.rounds):
        difference = correction.difference(field, lr)
        if difference.abs().max() <= LEAST:
            break
        correction.add_(field.colors, difference)
    return field


class _Correction:
    """What is the same in all rounds. Of pairs, the first is of the height."""

    def __init__(
        self, network: Network, field: GaussianField, kernel: Kernel, scales: tuple[float, float]
    ) -> None:
        settings = network.settings
        size = (round(field.size[0]), round(field.size[1]))
        self.size, self.kernel, self.cells = size, kernel, settings.cells
        self.grid = [
            FINEST * extent if scale > FINEST else scaled_extent(extent, scale)
            for extent, scale in zip(size, scales, strict=True)
        ]
        self.margins = [network.margins(extent) for extent in size]
        self.variances = [0.0 if field.averaged else PIXEL_VARIANCE / scale**2 for scale in scales]
        self.rounds = round(FINEST**2 / math.prod(min(scale, FINEST) for scale in scales))
        sigma = float(getattr(settings, "start_sigma", START_SIGMA))
        self.filters = [
            consistent_filter(self.cells, sigma, math.ceil(min(scale, FINEST)), variance, kernel).to(
                field.colors.device
            )
            for scale, variance in zip(scales, self.variances, strict=True)
        ]
        self.weights = None if field.normalised else self.sums_of_weights(field)

    def difference(self, field: GaussianField, lr: Tensor) -> Tensor:
        """The LR image minus the picture's reduction, [1, C, h, w]."""
        (height, width), device = self.grid, field.colors.device
        y, x = self.variances
        placed = field.with_weights().widen(x, y).scale(width / self.size[1], height / self.size[0])
        reduced = torch.empty(1, field.colors.shape[2], *self.size, device=device)
        columns = reduction_blocks(width, self.size[1], self.kernel, COLUMNS)
        rows = max(8, BLOCK_BYTES // (16 * width) * self.size[0] // height)
        for block in reduction_blocks(height, self.size[0], self.kernel, rows):
            pixels = _rows(placed, (height, width), block.of)
            pixels = (divided_by_weight(pixels) if field.normalised else pixels).clamp_(0, 1)
            fewer = block.along(-2, pixels)
            for across in columns:
                reduced[..., block.into, across.into] = across.along(-1, fewer[..., across.of])
        return lr.to(device).clamp(0, 1) - reduced.clamp_(0, 1)

    def add_(self, colors: Tensor, difference: Tensor) -> None:
        """Add the interpolated difference to the colours [1, N, C] of all cells, in place."""
        reach, k = FILTER_REACH, self.cells
        (above, below), (left, right) = self.margins
        beyond = [left + reach, right + reach, above + reach, below + reach]
        padded = F.pad(difference, beyond, mode="replicate")[0]  # [C, h + ..., w + ...]
        height, width = (padded.shape[axis] - 2 * reach for axis in (1, 2))
        cells = colors.view(k * height, k * width, -1)
        down, across = self.filters
        for first in range(0, height, STRIP):
            end = min(first + STRIP, height)
            strip = padded[:, None, first : end + 2 * reach]
            strip = F.conv2d(strip, down[:, None, :, None]).transpose(1, 2).flatten(1, 2)  # [C, k rows, w]
            strip = F.conv2d(strip[:, None], across[:, None, None])  # [C, k, k rows, columns]
            added = strip.permute(2, 3, 1, 0).flatten(1, 2)
            if self.weights is not None:
                added = added / self.weights[k * first : k * end, :, None]
            cells[k * first : k * end] += added

    def sums_of_weights(self, field: GaussianField) -> Tensor:
        """The sum of all Gaussians at each cell, [rows, columns]."""
        (above, below), (left, right) = self.margins
        y, x = self.variances
        ones = replace(field, colors=torch.ones_like(field.colors[..., :1])).widen(x, y).shift(left, above)
        height, width = self.size[0] + above + below, self.size[1] + left + right
        whole = replace(ones, size=(height, width))
        sums = whole.render((self.cells * height, self.cells * width), footprint=False)
        return sums[0, 0].clamp_(min=LEAST_WEIGHT)


def _rows(field: GaussianField, size: tuple[int, int], rows: slice) -> Tensor:
    """Render some rows of a field in the pixels of `size`, [1, C, rows, W]."""
    if field.means.device.type == "cpu":
        gaussians = (field.means, field.cholesky, field.colors)
        return render_rows(*gaussians, size, (rows.start, rows.stop))
    part = field.crop(0, rows.start, size[1], rows.stop - rows.start)
    return part.render((rows.stop - rows.start, size[1]), footprint=False)


@lru_cache(maxsize=64)
def consistent_filter(cells: int, sigma: float, ratio: int, variance: float, kernel: Kernel) -> Tensor:
    """The weights by which cells add up the differences of the LR pixels around their own, along one axis.

    Equal Gaussians with the resulting colours, one in each cell, render as a picture that is reduced to
    exactly these differences: it is bicubic interpolation (`interpolating_filter`) of the differences, which
    were sharpened by the inverse of interpolating, rendering and reducing.

    Args:
        cells: k, Gaussians per LR pixel.
        sigma: standard deviation of each, in cells.
        ratio: pixels per LR pixel of the picture.
        variance: of a pixel's footprint, in LR pixels squared.
        kernel: of the reduction.

    Returns:
        [k, 2 FILTER_REACH + 1] float32.
    """
    row = torch.arange(PERIOD)
    middle = PERIOD // 2
    interpolate = torch.zeros(PERIOD, cells, PERIOD, dtype=torch.float64)
    for tap, weights in enumerate(interpolating_filter(cells, sigma, normalised=True).T):
        interpolate[row, :, (row + tap - REACH) % PERIOD] = weights
    interpolate = interpolate.flatten(0, 1)

    width = math.sqrt((sigma / cells) ** 2 + variance)
    pixel = (torch.arange(PERIOD * ratio, dtype=torch.float64) + 0.5) / ratio
    cell = (torch.arange(PERIOD * cells, dtype=torch.float64) + 0.5) / cells
    away = ((pixel[:, None] - cell + middle) % PERIOD - middle) / width
    render = torch.exp(-away.square() / 2) * (away.abs() < DEFAULT_CUTOFF)
    render /= render.sum(1, keepdim=True)

    indices, weights = band(PERIOD * ratio, PERIOD, kernel)
    one = torch.zeros(PERIOD * ratio, dtype=torch.float64)
    one.index_add_(0, indices[:, middle], weights[:, middle])
    reduce = torch.stack([one.roll((pixel - middle) * ratio) for pixel in range(PERIOD)])

    exact = interpolate @ torch.linalg.inv(reduce @ render @ interpolate)
    taps = exact.view(PERIOD, cells, PERIOD)[middle, :, middle - FILTER_REACH : middle + FILTER_REACH + 1]
    return (taps / taps.sum(1, keepdim=True)).float()
