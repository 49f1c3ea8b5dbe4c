"""`GaussianField`, a batch of fields of 2D Gaussians: scaled, cropped, merged, rendered, saved and loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from .backends.cpu import MAX_CHANNELS
from .field_file import NAMES, read_parts, write_parts
from .rendering import DEFAULT_CUTOFF, render, render_rows
from .row_bands import RowIndex, by_runs
from .weighted_mean import divided_by_weight, near_gaps, only

PIXEL_VARIANCE = 1 / 12
"""Variance of the uniform distribution over a pixel's width, in pixels squared."""
GAP_VARIANCE = 1.0
"""Variance of the blur that fills the gaps of a `normalised` field, in the field's units squared."""
BAND_BYTES = 1 << 28
"""Default memory of one band of a streamed rendering."""


@dataclass(frozen=True)
class GaussianField:
    """A batch of B sums of 2D Gaussians over a canvas, in continuous image coordinates (README, Conventions).

    The unit is the pixel of the image that the field represents (`size`). Rendering at another size scales
    the field, so one field renders at any scale. Raises ValueError for means, cholesky or colors of other or
    mismatched shapes, and for a size that is not two positive numbers; `counts` is checked when rendering.

    >>> means = torch.tensor([[[2.0, 2.0], [6.0, 2.0]]])
    >>> cholesky = torch.tensor([1.0, 0.0, 1.0]).expand(1, 2, 3)
    >>> field = GaussianField(means, cholesky, torch.ones(1, 2, 3), size=(4, 8))
    >>> len(field), field.render().shape, field.render((8, 16)).shape
    (1, torch.Size([1, 3, 4, 8]), torch.Size([1, 3, 8, 16]))
    """

    means: Tensor
    """[B, N, 2] float, (x, y): x to the right, y down, the canvas being [0, width] x [0, height]."""
    cholesky: Tensor
    """[B, N, 3] float, (l11, l21, l22) of the covariance's Cholesky factor; l11, l22 > 0."""
    colors: Tensor
    """[B, N, C] float, sRGB amplitudes; may be negative or above 1."""
    size: tuple[float, float]
    """(height, width) of the canvas in the field's own units; not necessarily whole numbers."""
    counts: Tensor | None = None
    """[B] int64: row b uses its first counts[b] Gaussians; None: all rows use all N."""
    averaged: bool = True
    """Whether the Gaussians stand for averages over the pixels of `size`, as those fitted to an image do.
    False: they stand for the scene itself, and every rendered pixel averages it over the pixel's own area."""
    normalised: bool = False
    """Whether a pixel is the mean of the colours there, weighted by their Gaussians, and not the sum: then
    Gaussians of one colour render as that colour, at every scale. Has at most 7 channels."""

    def __post_init__(self) -> None:
        for name, last in (("means", 2), ("cholesky", 3), ("colors", None)):
            tensor = getattr(self, name)
            if tensor.ndim != 3 or (last is not None and tensor.shape[-1] != last):
                raise ValueError(f"{name} must be [B, N, {last or 'C'}], got {list(tensor.shape)}")
            if tensor.shape[:2] != self.means.shape[:2]:
                raise ValueError(
                    f"{name} is {list(tensor.shape)}, but means has {list(self.means.shape[:2])} Gaussians"
                )
        if len(self.size) != 2 or not all(0 < extent < math.inf for extent in self.size):
            raise ValueError(f"size must be two positive numbers (height, width), got {self.size}")
        if self.normalised and self.colors.shape[2] >= MAX_CHANNELS:
            raise ValueError(
                f"a normalised field has at most {MAX_CHANNELS - 1} channels, since its weights are rendered "
                f"as one more, got {self.colors.shape[2]}"
            )

    def __len__(self) -> int:
        """Number of fields in the batch, B."""
        return self.means.shape[0]

    def row(self, index: int) -> GaussianField:
        """Return field `index` of the batch as a batch of one, [1, n, ...], without the unused Gaussians."""
        n = self.means.shape[1] if self.counts is None else int(self.counts[index])
        means, cholesky, colors = (t[index : index + 1, :n] for t in (self.means, self.cholesky, self.colors))
        return replace(self, means=means, cholesky=cholesky, colors=colors, counts=None)

    def scale(self, x: float, y: float | None = None) -> GaussianField:
        """Stretch by x horizontally and y (default: x) vertically: positions by s, covariances by s^2.

        Raises ValueError if x or y is not positive.

        >>> field = GaussianField(torch.ones(1, 1, 2), torch.ones(1, 1, 3), torch.ones(1, 1, 1), size=(4, 8))
        >>> wide = field.scale(3, 1)
        >>> wide.size, wide.means.tolist(), wide.cholesky.tolist()
        ((4, 24), [[[3.0, 1.0]]], [[[3.0, 1.0, 1.0]]])
        """
        y = x if y is None else y
        if not (x > 0 and y > 0):
            raise ValueError(f"scale must be positive, got ({x}, {y})")
        height, width = self.size
        return replace(
            self,
            means=self.means * self.means.new_tensor([x, y]),
            cholesky=self.cholesky * self.cholesky.new_tensor([x, y, y]),  # diag(x, y) L is lower triangular
            size=(height * y, width * x),
        )

    def crop(
        self, x: float, y: float, width: float, height: float, cutoff: float = DEFAULT_CUTOFF
    ) -> GaussianField:
        """Return the window [x, x + width] x [y, y + height] as a field of its own.

        Coordinates are in the field's units. Keeps, in order, exactly the Gaussians whose cut-off ellipse, as
        wide as `render` draws it at scale 1, has a bounding box that meets the window: at scales of 1 and
        above the crop renders what the whole field renders there. Below 1, the footprint of `render` widens
        Gaussians further than that.

        >>> means = torch.tensor([[[2.0, 2.0], [20.0, 2.0]]])
        >>> cholesky = torch.tensor([1.0, 0.0, 1.0]).expand(1, 2, 3)
        >>> field = GaussianField(means, cholesky, torch.ones(1, 2, 1), size=(4, 24))
        >>> right = field.crop(16, 0, width=8, height=4)
        >>> right.means.tolist(), right.size
        ([[[4.0, 2.0]]], (4, 8))
        """
        added = (0.0 if self.averaged else PIXEL_VARIANCE) + (GAP_VARIANCE if self.normalised else 0.0)
        l11, l21, l22 = (self.widen(added, added) if added else self).cholesky.unbind(-1)
        reach_x, reach_y = cutoff * l11, cutoff * torch.hypot(l21, l22)
        mx, my = self.means.unbind(-1)
        keep = (
            (mx + reach_x >= x)
            & (mx - reach_x <= x + width)
            & (my + reach_y >= y)
            & (my - reach_y <= y + height)
        )
        keep &= self._used()
        counts = keep.sum(1)
        order = torch.argsort(keep.to(torch.int8), dim=1, descending=True, stable=True)[
            :, : int(counts.max())
        ]
        means, cholesky, colors = (
            torch.gather(t, 1, order[..., None].expand(-1, -1, t.shape[-1]))
            for t in (self.means, self.cholesky, self.colors)
        )
        origin = means.new_tensor([x, y])
        return replace(
            self, means=means - origin, cholesky=cholesky, colors=colors, size=(height, width), counts=counts
        )

    def shift(self, x: float, y: float) -> GaussianField:
        """Move every Gaussian by (x, y) in the field's units; the canvas stays.

        >>> field = GaussianField(torch.ones(1, 1, 2), torch.ones(1, 1, 3), torch.ones(1, 1, 1), size=(4, 8))
        >>> field.shift(0.5, -0.25).means.tolist()
        [[[1.5, 0.75]]]
        """
        return replace(self, means=self.means + self.means.new_tensor([x, y]))

    @staticmethod
    def merge(fields: Sequence[GaussianField], size: tuple[float, float] | None = None) -> GaussianField:
        """Join the Gaussians of all `fields` (equal B and C) in one field of `size`, default the first's.

        Raises ValueError for no fields, or for fields of different batch sizes or numbers of channels, or
        that differ in `averaged` or `normalised`.

        >>> field = GaussianField(torch.ones(1, 1, 2), torch.ones(1, 1, 3), torch.ones(1, 1, 1), size=(4, 8))
        >>> GaussianField.merge([field, field.shift(2, 0)]).means.tolist()
        [[[1.0, 1.0], [3.0, 1.0]]]
        """
        if not fields:
            raise ValueError("merge needs at least one field")
        if len({len(f) for f in fields}) > 1 or len({f.colors.shape[2] for f in fields}) > 1:
            raise ValueError("merge needs fields of one batch size and one number of channels")
        if len({(f.averaged, f.normalised) for f in fields}) > 1:
            raise ValueError("merge needs fields that render alike: averaged and normalised must be equal")
        parts = [[f.row(b) for f in fields] for b in range(len(fields[0]))]
        counts = torch.tensor([sum(p.means.shape[1] for p in row) for row in parts])
        longest = int(counts.max())

        def join(name: str) -> Tensor:
            rows = [torch.cat([getattr(p, name)[0] for p in row]) for row in parts]
            # Padding is never rendered; its Cholesky factor is one so that it is a valid Gaussian anyway.
            pad = 1.0 if name == "cholesky" else 0.0
            return torch.stack(
                [torch.nn.functional.pad(r, (0, 0, 0, longest - len(r)), value=pad) for r in rows]
            )

        ragged = counts.to(fields[0].means.device) if len(set(counts.tolist())) > 1 else None
        means, cholesky, colors = join("means"), join("cholesky"), join("colors")
        size = size or fields[0].size
        return replace(fields[0], means=means, cholesky=cholesky, colors=colors, size=size, counts=ragged)

    def widen(self, x: float, y: float) -> GaussianField:
        """Blur with a Gaussian of variances x and y (units squared) along the axes.

        Adds diag(x, y) to every covariance, and scales the amplitude by sqrt(det S / det S') so that each
        Gaussian keeps its integral.

        >>> cholesky = torch.tensor([[[3.0, 0.0, 1.0]]])
        >>> wide = GaussianField(torch.ones(1, 1, 2), cholesky, torch.ones(1, 1, 1), (4, 8)).widen(16, 0)
        >>> wide.cholesky[0, 0].tolist(), round(wide.colors.item(), 3)
        ([5.0, 0.0, 1.0], 0.6)
        """
        l11, l21, l22 = self.cholesky.unbind(-1)
        wide11 = torch.sqrt(l11.square() + x)
        # l22'^2 = S'_yy - S_xy^2 / S'_xx, rearranged so that it does not cancel.
        wide22 = torch.sqrt(l22.square() + y + l21.square() * (x / wide11.square()))
        cholesky = torch.stack([wide11, l21 * (l11 / wide11), wide22], -1)
        amplitude = (l11 / wide11) * (l22 / wide22)
        return replace(self, cholesky=cholesky, colors=self.colors * amplitude[..., None])

    def render(
        self,
        size: tuple[int, int] | None = None,
        cutoff: float = DEFAULT_CUTOFF,
        *,
        footprint: bool = True,
    ) -> Tensor:
        """Render the canvas at `size` (height, width) pixels, default its own: [B, C, height, width].

        Along an axis rendered at a scale s, a pixel is 1/s of the field's own pixels wide, and `footprint`
        averages over it: it adds the variance of that box, 1/(12 s^2) of the field's units squared, to every
        Gaussian. An `averaged` field already holds averages over its own pixels, so the variance of their box
        is subtracted, (1/s^2 - 1) / 12, and nothing is added at s >= 1. Without `footprint`, each pixel is a
        point sample and fine detail aliases.

        A pixel that no Gaussian of a `normalised` field reaches within `cutoff` has no mean; it is taken from
        the field blurred by GAP_VARIANCE, and is 0 where that reaches nothing either. Errors: as
        `splat2d.render`.

        >>> cholesky = torch.tensor([[[0.5, 0.0, 0.5]]])
        >>> field = GaussianField(torch.full((1, 1, 2), 4.0), cholesky, torch.ones(1, 1, 1), size=(8, 8))
        >>> field.render((2, 2)).sum().item() > 10 * field.render((2, 2), footprint=False).sum().item()
        True
        """
        size, field = self._placed(size, footprint)

        def drawn(one: GaussianField) -> Tensor:
            return render(one.means, one.cholesky, one.colors, size, counts=one.counts, cutoff=cutoff)

        return self.mean(field, drawn, cutoff=cutoff) if self.normalised else drawn(field)

    def render_bands(
        self,
        size: tuple[int, int] | None = None,
        cutoff: float = DEFAULT_CUTOFF,
        *,
        footprint: bool = True,
        budget: int = BAND_BYTES,
    ) -> Iterator[tuple[int, Tensor]]:
        """Render an image larger than memory; yields (top row, [B, C, rows, width]) from top to bottom.

        Each band takes at most `budget` bytes, but has at least four rows (the last one has what is left). It
        is bit-identical to the same rows of `render`'s image. On the CPU, without gradients.

        >>> field = GaussianField(torch.ones(1, 1, 2), torch.ones(1, 1, 3), torch.ones(1, 1, 1), size=(10, 8))
        >>> [(top, band.shape[2]) for top, band in field.render_bands(budget=128)]
        [(0, 4), (4, 4), (8, 2)]
        """
        size = size or (round(self.size[0]), round(self.size[1]))
        row_bytes = len(self) * (self.colors.shape[2] + self.normalised) * size[1] * self.means.element_size()
        rows = max(4, budget // max(1, row_bytes) // 4 * 4)
        index = self.row_index(size[0] / self.size[0], cutoff)
        for top in range(0, size[0], rows):
            window = (top, min(top + rows, size[0]))
            try:
                parts = index.parts(window)
                bands = [self._rows(near, size, rows, cutoff, footprint) for rows, near in parts]
            except ValueError:  # it names a Gaussian by its index, which is another one among all
                bands = [self._rows(torch.arange(self.means.shape[1]), size, window, cutoff, footprint)]
            yield top, torch.cat(bands, 2) if len(bands) > 1 else bands[0]

    @torch.no_grad()
    def _rows(
        self, near: Tensor, size: tuple[int, int], rows: tuple[int, int], cutoff: float, footprint: bool
    ) -> Tensor:
        field = self.placed_only(near, lambda run: run._placed(size, footprint)[1])

        def drawn(one: GaussianField) -> Tensor:
            return render_rows(
                one.means, one.cholesky, one.colors, size, rows, counts=one.counts, cutoff=cutoff
            )

        return self.mean(field, drawn, top=rows[0], cutoff=cutoff) if self.normalised else drawn(field)

    def row_index(self, scale: float, cutoff: float = DEFAULT_CUTOFF) -> RowIndex:
        """Return what finds the Gaussians that rows of pixels depend on, `scale` pixels a unit along y.

        It finds those that fill gaps, and those that pixels reach by their footprint, too.
        """
        added = (max(0.0, 1 / scale**2 - 1) if self.averaged else 1 / scale**2) * PIXEL_VARIANCE
        added += GAP_VARIANCE if self.normalised else 0.0
        return RowIndex(self.means, self.cholesky, scale=scale, cutoff=cutoff, added=added)

    def only(self, kept: Tensor) -> GaussianField:
        """Return a field of the Gaussians `kept` alone, indices [K] int64 in rising order, in every row."""
        counts = None if self.counts is None else (kept < self.counts[:, None]).sum(1)
        means, cholesky, colors = (t.index_select(1, kept) for t in (self.means, self.cholesky, self.colors))
        return replace(self, means=means, cholesky=cholesky, colors=colors, counts=counts)

    @torch.no_grad()
    def placed_only(self, kept: Tensor, place: Callable[[GaussianField], GaussianField]) -> GaussianField:
        """Return `place(self.only(kept))`, made run by run, so that what is between stays in a cache.

        What `place` does to a Gaussian may not depend on the others, and its order stays.
        """

        def tensors(run: Tensor) -> tuple[Tensor, ...]:
            placed = place(self.only(run))
            return placed.means, placed.cholesky, placed.colors

        means, cholesky, colors = by_runs(kept, tensors)
        counts = None if self.counts is None else (kept < self.counts[:, None]).sum(1)
        empty = place(self.only(kept[:0]))
        return replace(empty, means=means, cholesky=cholesky, colors=colors, counts=counts)

    def _placed(self, size: tuple[int, int] | None, footprint: bool) -> tuple[tuple[int, int], GaussianField]:
        """Return the size in pixels, and the field in the units of those pixels, to be rendered as a sum."""
        height, width = size or (round(self.size[0]), round(self.size[1]))
        x, y = width / self.size[1], height / self.size[0]
        field = self.with_weights().scale(x, y)
        variances = [PIXEL_VARIANCE * (max(0.0, 1 - s * s) if self.averaged else 1.0) for s in (x, y)]
        if footprint and max(variances) > 0:
            field = field.widen(*variances)
        return (height, width), field

    def mean(
        self,
        placed: GaussianField,
        drawn: Callable[[GaussianField], Tensor],
        *,
        top: int = 0,
        cutoff: float = DEFAULT_CUTOFF,
    ) -> Tensor:
        """Draw this `normalised` field, divide by its weights, and fill the gaps between its Gaussians.

        Args:
            placed: the field `with_weights`, in the units of the pixels that are drawn.
            drawn: renders such a field, or some rows of its picture, as a sum, with its `counts`.
            top: the first row of the picture that `drawn` renders.
            cutoff: that of `drawn`.
        """
        pixels = drawn(placed)
        gaps = pixels[:, -1] == 0  # and not NaN, as are rows that a GPU cannot render
        if gaps.any():
            y, x = (now / own for now, own in zip(placed.size, self.size, strict=True))
            added = (GAP_VARIANCE * x * x, GAP_VARIANCE * y * y)
            parts = (placed.means, placed.cholesky, placed.colors)
            near = near_gaps(*parts[:2], gaps, top=top, added=added, cutoff=cutoff)
            means, cholesky, colors, counts = only(near, *parts, placed.counts)
            kept = replace(placed, means=means, cholesky=cholesky, colors=colors, counts=counts)
            pixels = torch.where(gaps[:, None], drawn(kept.widen(*added)), pixels)
        return divided_by_weight(pixels)

    def with_weights(self) -> GaussianField:
        """Return a field whose sum `divided_by_weight` is this one: itself unless `normalised`.

        Its last channel is 1 for every Gaussian.
        """
        if not self.normalised:
            return self
        ones = torch.ones_like(self.colors[..., :1])
        return replace(self, colors=torch.cat([self.colors, ones], -1), normalised=False)

    def save(self, path: str | Path, **metadata: str) -> None:
        """Write a safetensors file atomically; `metadata` are additional strings for its header.

        Raises OSError if it cannot be written.

        >>> field = GaussianField(torch.ones(1, 1, 2), torch.ones(1, 1, 3), torch.ones(1, 1, 1), size=(4, 8))
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "field.safetensors"
        >>> field.save(path, source="an example")
        >>> GaussianField.load(path).size
        (4.0, 8.0)
        """
        tensors = {"means": self.means, "cholesky": self.cholesky, "colors": self.colors}
        if self.counts is not None:
            tensors["counts"] = self.counts
        kind = {"averaged": self.averaged, "normalised": self.normalised}
        write_parts(path, tensors, self.size, kind, metadata)

    @staticmethod
    def load(path: str | Path) -> GaussianField:
        """Read a file that `save` wrote.

        Raises ValueError, naming the file, if it is not a field, OSError if it cannot be read.
        """
        tensors, size, kind = read_parts(path)
        try:
            means, cholesky, colors = (tensors[name] for name in NAMES)
            return GaussianField(means, cholesky, colors, size, tensors.get("counts"), **kind)
        except ValueError as error:
            raise ValueError(f"{path} is not a Gaussian field ({error})") from error

    def _used(self) -> Tensor:  # [B, N] bool
        n = self.means.shape[1]
        index = torch.arange(n, device=self.means.device)[None].expand(len(self), n)
        return index < (n if self.counts is None else self.counts[:, None])
