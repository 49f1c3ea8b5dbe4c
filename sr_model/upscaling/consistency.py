"""Consistency with the input: a field whose picture, made smaller again, gives the LR image back.

Back-projection (Irani and Peleg, "Improving resolution by image registration", 1991): the picture is reduced
by the kernel that made the LR image, and the difference from the LR image, interpolated, is added to the
colours of the Gaussians. `workflows/benchmarks/consistency.py` prints what that is worth, by rounds, and
where the LR image was made in another way.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from splat2d import GaussianField, row_bands
from splat2d.field import PIXEL_VARIANCE
from splat2d.rendering import render_rows

from ..networks.base import Network
from ..networks.bicubic_start import REACH, BicubicStart
from .reduction import COLUMNS, Kernel, reduction_blocks
from .tiling import ProgressCallback, no_progress

Reduction = Literal["bicubic", "bilinear", "area", "lanczos", "none"]
"""The kernel by which an LR image is taken to have been made smaller; `none` corrects nothing."""
DEFAULT_REDUCTION: Reduction = "bicubic"
"""For networks that start as bicubic interpolation; others are corrected only if it is asked for."""
FINEST = 3.0
"""Pixels per LR pixel and axis of the picture that is reduced, at most: enough for larger scales, too."""
ROUNDS_PIXELS = 4
"""Pixels per LR pixel that all rounds render together, of one at least: one from x2 on, two at x1.5."""
EXACT_ROUNDS = 24
"""Most rounds at scale 1, where nothing is reduced and the LR image comes back to the last level."""
LEAST = 0.1 / 255
"""Largest difference after which no further round is made."""
ROUNDING = 1e-6
"""Pixels by which rounding may miss a whole number of them."""
START_SIGMA = 0.65
"""Standard deviation in cells for which differences are interpolated if the network has no interpolation."""
LEAST_WEIGHT = 0.5
"""Least sum of Gaussians by which a correction is divided: fewer are a hole between them."""
BLOCK_BYTES = 1 << 25
"""Memory of the rows that are rendered at once, as floats of four channels."""
STRIP_PIXELS = 1 << 17
"""LR pixels whose difference is interpolated at once, of at least one row."""


def check_reduction(reduction: Reduction | None) -> None:
    """Raise ValueError for an unknown reduction."""
    if reduction is not None and reduction not in get_args(Reduction):
        raise ValueError(f"reduction= must be one of {', '.join(get_args(Reduction))}, got {reduction!r}")


def chosen_reduction(network: Network, reduction: Reduction | None) -> Reduction:
    """The reduction that was asked for, or for None the default of a network.

    Raises ValueError for an unknown one, and for networks whose Gaussians are not where their pixels are.
    """
    check_reduction(reduction)
    if reduction is None:
        corrected = network.bicubic_start is not None and not network.free_positions
        return DEFAULT_REDUCTION if corrected else "none"
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
    progress: ProgressCallback = no_progress,
    rounds: int | None = None,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    in_place: bool = False,
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
        progress: called with the current activity and the fraction of it that is done.
        rounds: of back-projection, at most; None for the number that ROUNDS_PIXELS gives.
        origin: (y, x) of the corner of one of the pixels that are to be rendered, in LR pixels.
        in_place: whether the memory of the field's colours may be reused for those of the result.

    Returns:
        The field with other colours. The more the scales of a later rendering differ from `scales`, the less
        it is consistent.

    Raises:
        ValueError: as `chosen_reduction`.
    """
    kernel = chosen_reduction(network, reduction)
    if kernel == "none" or min(scales) < 1:
        return field
    channels = (lr[0], field.colors[0].T)
    if lr.shape[1] > 1 and all(bool((one == one[:1]).all()) for one in channels):
        # Corrected as one channel, grey is the same to the bit in one channel and in three.
        grey = replace(field, colors=field.colors[..., :1])
        grey = made_consistent(network, grey, lr[:, :1], scales, kernel, progress, rounds, origin=origin)
        return replace(grey, colors=grey.colors.repeat(1, 1, lr.shape[1]))
    correction = _Correction(network, field, kernel, scales, origin)
    if not in_place:
        field = replace(field, colors=field.colors.clone())
    rounds = correction.rounds if rounds is None else rounds
    for done in range(rounds):

        def shown(activity: str, fraction: float, done: int = done) -> None:
            progress(activity, (done + fraction) / rounds)

        difference = correction.difference(field, lr, shown)
        if difference.abs().max() <= LEAST:
            break
        correction.add_(field.colors, difference)
    return field


class _Correction:
    """What is the same in all rounds. Of pairs, the first is of the height."""

    def __init__(
        self,
        network: Network,
        field: GaussianField,
        kernel: Kernel,
        scales: tuple[float, float],
        origin: tuple[float, float],
    ) -> None:
        size = (round(field.size[0]), round(field.size[1]))
        self.size, self.kernel, self.cells = size, kernel, network.settings.cells
        self.scales = [min(FINEST, scale) for scale in scales]
        # A part of an image has the pixels of the whole if its first pixel begins in the right place.
        self.phases = [
            _phase(place, scale) if 1 < scale < FINEST else 0.0
            for place, scale in zip(origin, scales, strict=True)
        ]
        self.grid = [
            math.floor((extent - phase) * scale + ROUNDING)
            for extent, phase, scale in zip(size, self.phases, self.scales, strict=True)
        ]
        self.margins = [network.margins(extent) for extent in size]
        self.variances = [0.0 if field.averaged else PIXEL_VARIANCE / scale**2 for scale in scales]
        several = round(ROUNDS_PIXELS / math.prod(scales))
        self.rounds = EXACT_ROUNDS if max(scales) == 1 else max(1, several)
        start, self.weights = network.bicubic_start, None
        if start is None:
            start = BicubicStart(self.cells, START_SIGMA, normalised=True).to(field.colors.device)
            self.weights = None if field.normalised else self.sums_of_weights(field)
        self.interpolate = start

    def difference(self, field: GaussianField, lr: Tensor, progress: ProgressCallback) -> Tensor:
        """The LR image minus the picture's reduction, [1, C, h, w]."""
        (height, width), (above, left) = self.grid, self.phases
        y, x = self.variances

        def placed(part: GaussianField) -> GaussianField:
            return part.with_weights().widen(x, y).shift(-left, -above).scale(*reversed(self.scales))

        def rendered(rows: tuple[int, int], part: GaussianField) -> Tensor:
            def drawn(one: GaussianField) -> Tensor:
                return _rows(one, (height, width), rows)

            return field.mean(part, drawn, top=rows[0]) if field.normalised else drawn(part)

        # On the CPU, many Gaussians are placed as they are needed: copies of all would take the most memory.
        many = field.means[..., 0].numel() > row_bands.MOST_AT_ONCE
        if many and field.means.device.type == "cpu":
            index = field.row_index(self.scales[0])

            def pixels_of(rows: tuple[int, int]) -> Tensor:
                parts = index.parts(rows, above * self.scales[0])
                return torch.cat(
                    [rendered(part, field.placed_only(near, placed)) for part, near in parts], -2
                )
        else:
            pixels_of = partial(rendered, part=placed(field))
        reduced = torch.empty(1, field.colors.shape[2], *self.size, device=field.colors.device)
        columns = reduction_blocks(width, self.size[1], self.kernel, COLUMNS, self.scales[1], left)
        rows = max(8, BLOCK_BYTES // (16 * width) * self.size[0] // height)
        for block in reduction_blocks(height, self.size[0], self.kernel, rows, self.scales[0], above):
            pixels = pixels_of((block.of.start, block.of.stop))
            fewer = block.along(-2, pixels.clamp_(0, 1))
            for across in columns:
                reduced[..., block.into, across.into] = across.along(-1, fewer[..., across.of])
            progress("correcting", block.into.stop / self.size[0])
        return lr.to(reduced.device).clamp(0, 1) - reduced.clamp_(0, 1)

    def add_(self, colors: Tensor, difference: Tensor) -> None:
        """Add the interpolated difference to the colours [1, N, C] of all cells, in place."""
        k = self.cells
        (above, below), (left, right) = self.margins
        padded = F.pad(difference, [left, right, above + REACH, below + REACH], mode="replicate")
        height, width = padded.shape[2] - 2 * REACH, padded.shape[3]
        cells = colors.view(k * height, k * width, -1)
        rows = max(1, STRIP_PIXELS // width)
        for first in range(0, height, rows):
            end = min(first + rows, height)
            added = self.interpolate(padded[:, :, first : end + 2 * REACH])[0, :, k * REACH : -k * REACH]
            if self.weights is not None:
                added = added / self.weights[k * first : k * end]
            cells[k * first : k * end] += added.permute(1, 2, 0)

    def sums_of_weights(self, field: GaussianField) -> Tensor:
        """The sum of all Gaussians at each cell, [rows, columns]."""
        (above, below), (left, right) = self.margins
        y, x = self.variances
        ones = replace(field, colors=torch.ones_like(field.colors[..., :1])).widen(x, y).shift(left, above)
        height, width = self.size[0] + above + below, self.size[1] + left + right
        whole = replace(ones, size=(height, width))
        sums = whole.render((self.cells * height, self.cells * width), footprint=False)
        return sums[0, 0].clamp_(min=LEAST_WEIGHT)


def _phase(place: float, scale: float) -> float:
    """Where the first pixel begins, from 0 to a pixel's width in LR pixels, if one begins at `place`."""
    return max(0.0, place - math.floor(place * scale + ROUNDING) / scale)


def _rows(field: GaussianField, size: tuple[int, int], rows: tuple[int, int]) -> Tensor:
    """Render some rows of a field in the pixels of `size`, [1, C, rows, W]."""
    if field.means.device.type == "cpu":
        gaussians = (field.means, field.cholesky, field.colors)
        return render_rows(*gaussians, size, rows)
    part = field.crop(0, rows[0], size[1], rows[1] - rows[0])
    return part.render((rows[1] - rows[0], size[1]), footprint=False)
