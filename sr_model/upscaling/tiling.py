"""The field of an image of any size: encoded by overlapping tiles, merged without seams.

A tile is encoded with some of its surroundings, and of its Gaussians only those of LR pixels that it owns are
kept. Where the surroundings reach as far as the network looks, these are the Gaussians of the whole image,
and since all of them are rendered together there is no seam to hide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor

import numpy as np
import torch
from torch import Tensor, nn

from splat2d import GaussianField

from ..memory import free_memory
from ..networks.base import Network
from ..networks.bicubic_start import REACH as INTERPOLATOR_REACH

OVERLAP = 32
"""LR pixels that a tile sees beyond its own where there is attention, which looks without bound."""
LARGEST_TILE = 512
"""Side in LR pixels that is never exceeded unasked: progress stays visible, and more gains no speed."""
SMALLEST_TILE = 16
"""Below that, nearly all of a tile is surroundings."""
LARGEST_DRIFT = 16
"""LR pixels beyond a window from which a Gaussian may show in it: its offset, and where it is cut off."""
FIELD_COPIES = 2
"""A field and, while it is rendered, its copy in output pixels."""
ACTIVATION_COPIES = 2
"""Of the widest layer's inputs and outputs. Measured (`cost.peak_memory`), presets `demo` and `paper`, with
SwinIR and with EDSR-baseline, take 0.5 to 0.75 of what this gives."""

Progress = Callable[[str, float], None]
"""Told what is being done, and which part of it is done, 0 to 1."""


class TooLarge(ValueError):
    """An image or result that does not fit into memory; the message says what it would take."""


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in LR pixels."""

    owned: tuple[int, int]
    """First pixel whose Gaussians are kept, and the one after the last."""
    seen: tuple[int, int]
    """The same of the pixels that are encoded."""


@torch.inference_mode()
def encode(
    network: Network,
    image: np.ndarray,  # [H, W, 1 or 3]
    *,
    scale: float | None = None,
    tile: int | None = None,
    memory: int | None = None,
    progress: Progress = lambda what, part: None,
) -> GaussianField:
    """The field of an image, [1, N, ...] in its pixels, on the network's device; tile by tile if it is large.

    Equal to the network's own field of the whole image, to float rounding, where there is no attention.

    Args:
        image: [H, W, C] uint8, uint16 or float in [0, 1]; of a grey one (C = 1) the field has one channel.
        scale: what the field is to be rendered at, for networks that make it for a scale.
        tile: side in LR pixels of what a tile owns; default: as large as `memory` allows.
        memory: bytes to use; default: what is free on the network's device.

    Raises ValueError for a tile of no pixels, TooLarge where the field alone does not fit into `memory`.
    """
    if tile is not None and tile < 1:
        raise ValueError(f"a tile must have a pixel or more, got {tile}")
    height, width, channels = image.shape
    device = next(network.parameters()).device
    memory = memory or free_memory(device)
    k, margins = network.settings.cells, (network.margins(height), network.margins(width))
    rows, columns = (k * (n + sum(m)) for n, m in zip((height, width), margins, strict=True))
    needed = FIELD_COPIES * 4 * (5 + channels) * rows * columns
    if needed > memory:
        raise TooLarge(
            f"the Gaussians of {width}x{height} pixels take {needed / 1e9:,.1f} GB of memory, "
            f"and {memory / 1e9:,.1f} GB may be used: cut the image into parts"
        )
    tile = tile or automatic_tile(network, memory - needed)
    if has_free_positions(network):
        tile = max(height, width)
    whole = [torch.empty(rows, columns, n, device=device) for n in (2, 3, channels)]
    overlap, align = tile_overlap(network), network.window
    across = list(spans(width, tile, overlap, align))
    down = list(spans(height, tile, overlap, align))
    for index, y in enumerate(down):
        for step, x in enumerate(across):
            lr = to_lr(image[slice(*y.seen), slice(*x.seen)], device)
            field = network(lr, scale).shift(x.seen[0], y.seen[0])
            colors = field.colors if channels == 3 else field.colors.mean(2, keepdim=True)
            into = (kept(y, 0, height, k, margins[0]), kept(x, 0, width, k, margins[1]))
            cells = (kept(y, y.seen[0], height, k, margins[0]), kept(x, x.seen[0], width, k, margins[1]))
            shape = [k * (extent + sum(network.margins(extent))) for extent in lr.shape[2:]]
            for target, part in zip(whole, (field.means, field.cholesky, colors), strict=True):
                target[into] = part.view(*shape, -1)[cells]
            progress("encoding", (index * len(across) + step + 1) / (len(down) * len(across)))
    means, cholesky, colors = (part.view(1, rows * columns, -1) for part in whole)
    return GaussianField(means, cholesky, colors, size=(height, width))


def receptive_field(
    network: Network, window: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns of an image of `size` (height, width) that decide what one sees in a window of it.

    The window is (x, y, width, height) in the image's pixels, and is not rendered any smaller.
    """
    if has_free_positions(network):
        return slice(0, size[0]), slice(0, size[1])
    beyond, align = tile_overlap(network) + LARGEST_DRIFT, network.window
    x, y, width, height = window
    rows, columns = (
        slice(max(0, floor(first) - beyond) // align * align, min(whole, ceil(first + extent) + beyond))
        for first, extent, whole in ((y, height, size[0]), (x, width, size[1]))
    )
    return rows, columns


def to_lr(pixels: np.ndarray, device: torch.device) -> Tensor:
    """[h, w, 1 or 3] uint8, uint16 or float to the network's [1, 3, h, w] float32."""
    largest = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    planes = torch.from_numpy(pixels.astype(np.float32)).to(device).permute(2, 0, 1)[None]
    return (planes / largest).expand(1, 3, -1, -1)


def spans(extent: int, tile: int, overlap: int, align: int) -> Iterator[Span]:
    """Tiles of about equal size along an axis; those after the first are seen from a multiple of `align`."""
    count = -(-extent // tile)
    edges = [index * extent // count for index in range(count + 1)]
    for first, end in pairwise(edges):
        yield Span((first, end), (max(0, first - overlap) // align * align, min(extent, end + overlap)))


def kept(span: Span, origin: int, extent: int, k: int, margins: tuple[int, int]) -> slice:
    """The cells that a tile owns, in a grid that begins the first of `margins` before LR pixel `origin`.

    The Gaussians of the margin beyond a border of the image belong to the tile at that border.
    """
    (first, end), (before, after) = span.owned, margins
    first, end = first - (before if first == 0 else 0), end + (after if end == extent else 0)
    return slice(k * (first + before - origin), k * (end + before - origin))


def has_free_positions(network: Network) -> bool:
    """Whether Gaussians may stand anywhere on the canvas, as in ablations: a part of it cannot know."""
    return network.free_positions


def tile_overlap(network: Network) -> int:
    """LR pixels to each side of a tile that are encoded with it."""
    bound = reach(network)
    return OVERLAP if bound is None else bound


def reach(network: Network) -> int | None:
    """LR pixels to either side that a Gaussian may depend on; None where attention sets no bound.

    The sum over all convolutions of half their width, as if each followed on the last and worked at LR
    resolution: never less than the truth.
    """
    if network.window > 1:
        return None
    halves = sum(m.kernel_size[0] // 2 for m in network.modules() if isinstance(m, nn.Conv2d))
    return halves if network.bicubic_start is None else max(halves, INTERPOLATOR_REACH)


def automatic_tile(network: Network, memory: int) -> int:
    """The largest side, surroundings included in the count, whose activations fit into `memory` bytes."""
    seen = int((max(0, memory) / bytes_per_pixel(network)) ** 0.5)
    return min(LARGEST_TILE, max(SMALLEST_TILE, seen - 2 * tile_overlap(network)))


def bytes_per_pixel(network: Network) -> int:
    """About what encoding takes per LR pixel: the widest layer's inputs and outputs at cell resolution."""
    widths = [
        layer.weight.shape[0] + layer.weight.shape[1]
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    return ACTIVATION_COPIES * 4 * network.settings.cells**2 * max(widths)
