"""Encoding an image of any size: overlapping tiles, whose Gaussians are merged into one field without seams.

A tile is encoded with an overlap into its neighbours, and keeps only the Gaussians of the LR pixels that it
owns. If the overlap covers the network's receptive field, these are the Gaussians of the whole image; and
since all of them are rendered together, there is no seam to blend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from dgp_mining.machine import amount
from splat2d import DEFAULT_CUTOFF, GaussianField
from splat2d.field import PIXEL_VARIANCE
from splat2d.row_bands import MOST_AT_ONCE

from ..memory import TensorMemory, free_memory, keep_freed_memory
from ..native.library import torch_alone
from ..networks.base import Network

OVERLAP = 32
"""LR pixels of overlap for networks whose receptive field has no bound, such as those with attention."""
LARGEST_TILE = 640
"""Largest side in LR pixels by default: progress stays visible. A strip of a large photograph
(`upscale.STRIP_BYTES`), with sixteen Gaussians per LR pixel, is one tile high."""
TILE_PIXELS = 1 << 17
"""LR pixels that a tile of several owns by default on the CPU, at most: it is narrower if it is high, so that
encoding it takes less memory than the field of a strip, and so that the features of SPAN's encoder, 192 bytes
a pixel with the overlap, stay blocks that `keep_freed_memory` keeps."""
SMALLEST_TILE = 16
"""Smallest side in LR pixels by default: below it nearly all of a tile is overlap."""
LARGEST_DRIFT = 16
"""Largest distance in LR pixels from a window to the cell of a Gaussian that may be visible in it, its offset
plus its cut-off radius, of networks that do not know it (`Network.visible_within`)."""
CORRECTION_REACH = 8
"""LR pixels around a pixel that a correction by `consistency` reads, to interpolate and to reduce. What
several rounds carry farther is too little to be seen."""
FIELD_COPIES = 2
"""Copies of a field that must fit into memory: in LR pixels, and, on a GPU, in output pixels, too."""
PLACED_COPIES = 3
"""Copies of the part of a field that the CPU corrects or renders at a time (`row_bands.MOST_AT_ONCE`)."""
PLACED_BYTES = 100 * MOST_AT_ONCE
"""Most bytes of these copies."""
WORKING_BYTES = 160_000_000
"""Memory that correcting and rendering take besides, on the CPU: bands, blocks, and what the C library keeps.
Measured in a control group of half a gigabyte."""
ACTIVATION_COPIES = 3
"""Copies of the widest layer's inputs and outputs, at every Gaussian, that encoding never takes: the presets
take 0.1 to 2.2 of them."""
MEASURED_SIDE = 48
"""LR pixels on a side of the image on which the memory of encoding is measured: a multiple of all windows,
and no more than the smallest tile with its overlap."""
MEASURED_SHARE = 1.5
"""What encoding takes, at most, of what its tensors take with torch alone: operators have scratch space, as
has the native library. Of the result, the presets' resident memory on sides of 192 and 320 pixels is 0.4 to
1.2; what exceeds it does not grow with the image (`WORKING_BYTES`)."""

_MEASURED: WeakKeyDictionary[Network, int] = WeakKeyDictionary()

Window = tuple[float, float, float, float]
"""(x, y, width, height) in LR pixels."""

ProgressCallback = Callable[[str, float], None]
"""Called with the current activity and the fraction of it that is done, 0 to 1."""


def no_progress(activity: str, fraction: float) -> None:
    """A ProgressCallback that ignores its calls."""


class TooLarge(ValueError):
    """An image or result does not fit into memory; the message says how much it needs."""


@dataclass(frozen=True)
class TileSpan:
    """The extent of a tile along one axis, in LR pixels."""

    owned: tuple[int, int]
    """(first, end) of the pixels whose Gaussians are kept."""
    encoded: tuple[int, int]
    """(first, end) of the pixels that are encoded: the owned ones and the overlap."""


@torch.inference_mode()
def encode(
    network: Network,
    image: np.ndarray,  # [H, W, 1 or 3]
    *,
    scale: float | None = None,
    tile: int | None = None,
    memory: int | None = None,
    progress: ProgressCallback = no_progress,
) -> GaussianField:
    """Encode an image, tile by tile if it is large.

    Args:
        image: [H, W, C] uint8, uint16 or float in [0, 1], C = 1 or 3.
        scale: the scale of the rendering, for networks whose field depends on it.
        tile: side in LR pixels that a tile owns; default: as large as `memory` allows.
        memory: bytes to use; default: what is free on the network's device.

    Returns:
        The field [1, N, ...] in LR pixels with C channels, on the network's device. If the network's
        receptive field has a bound (`Network.radius`), it equals the field of the whole image, to float
        rounding. The colours of an image in which red, green and blue are equal everywhere are averaged, and
        thus equal too.

    Raises:
        ValueError: for a tile below one pixel.
        TooLarge: if the field alone does not fit into `memory`.
    """
    if tile is not None and tile < 1:
        raise ValueError(f"tile must be 1 or more, got {tile}")
    height, width, channels = image.shape
    device = next(network.parameters()).device
    keep_freed_memory()
    given, memory = memory, memory or free_memory(device)
    k, margins = network.settings.cells, (network.margins(height), network.margins(width))
    rows, columns = (k * (n + sum(m)) for n, m in zip((height, width), margins, strict=True))
    needed = FIELD_COPIES * field_bytes(network, (height, width), channels)
    if needed > memory:
        raise TooLarge(
            f"the Gaussians of {width}x{height} pixels take {amount(needed)} of memory, "
            f"and {limit(memory, given)}: cut the image into parts"
        )
    chosen, tile = tile, tile or automatic_tile(network, memory - needed, (height, width))
    if has_free_positions(network):
        tile = max(height, width)
    wide = tile if chosen or device.type != "cpu" else narrower(tile, (height, width))
    grey = is_grey(image)
    whole = [torch.empty(rows, columns, n, device=device) for n in (2, 3, channels)]
    overlap, align = tile_overlap(network), network.window
    across = list(spans(width, wide, overlap, align))
    down = list(spans(height, tile, overlap, align))
    for index, y in enumerate(down):
        for step, x in enumerate(across):
            lr = to_lr(image[slice(*y.encoded), slice(*x.encoded)], device)
            field = network(lr, scale).shift(x.encoded[0], y.encoded[0])
            colors = field.colors.mean(2, keepdim=True).expand(-1, -1, channels) if grey else field.colors
            into = (owned_slice(y, 0, height, k, margins[0]), owned_slice(x, 0, width, k, margins[1]))
            cells = (
                owned_slice(y, y.encoded[0], height, k, margins[0]),
                owned_slice(x, x.encoded[0], width, k, margins[1]),
            )
            shape = [k * (extent + sum(network.margins(extent))) for extent in lr.shape[2:]]
            for target, part in zip(whole, (field.means, field.cholesky, colors), strict=True):
                target[into] = part.unflatten(1, shape)[0][cells]
            del lr, field, colors, part  # before the next tile's are made
            progress("encoding", (index * len(across) + step + 1) / (len(down) * len(across)))
    means, cholesky, colors = (part.view(1, rows * columns, -1) for part in whole)
    return network.field(means, cholesky, colors, (height, width))


def is_grey(image: np.ndarray) -> bool:
    """Whether an image [H, W, 1 or 3] is grey everywhere: of one channel, or of equal ones."""
    return image.shape[2] == 1 or bool((image == image[..., :1]).all())


def field_bytes(network: Network, size: tuple[int, int], channels: int) -> int:
    """The memory of the field of an image of `size` (height, width)."""
    cells = [network.settings.cells * (extent + sum(network.margins(extent))) for extent in size]
    return 4 * (5 + channels) * cells[0] * cells[1]


def drawing_bytes(field: int, fields: int = 1) -> int:
    """The memory that the CPU takes to draw a field of `field` bytes, or the mean of several."""
    placed = min(PLACED_COPIES * field, PLACED_BYTES)
    return fields * field + placed + WORKING_BYTES


def reach(network: Network, scale: float) -> int:
    """LR pixels around a pixel that decide what is rendered there at `scale`.

    Below scale 1, Gaussians are wider by the area of the output's pixels; from scale 1 on, the field may be
    made consistent with its image.
    """
    footprint = DEFAULT_CUTOFF * PIXEL_VARIANCE**0.5 / min(scale, 1.0)
    known = network.visible_within
    visible = LARGEST_DRIFT if known is None else min(LARGEST_DRIFT, ceil(known))
    # A correction compares what is visible around the pixel, and changes what is visible in it.
    corrected = CORRECTION_REACH + (0 if known is None else visible) if scale >= 1 else 0
    return tile_overlap(network) + visible + ceil(footprint) + corrected


def receptive_field(
    network: Network, window: Window, size: tuple[int, int], scale: float = 1.0
) -> tuple[slice, slice]:
    """The rows and columns of an image of `size` (height, width) that determine the output inside a window.

    The window is in LR pixels, and is rendered at `scale`, the smaller one if the axes have different scales.
    """
    if has_free_positions(network):
        return slice(0, size[0]), slice(0, size[1])
    beyond, align = reach(network, scale), network.window
    x, y, width, height = window
    rows, columns = (
        slice(max(0, floor(first) - beyond) // align * align, min(whole, ceil(first + extent) + beyond))
        for first, extent, whole in ((y, height, size[0]), (x, width, size[1]))
    )
    return rows, columns


def to_lr(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Convert [h, w, 1 or 3] uint8, uint16 or float to the network's input [1, 3, h, w] float32."""
    largest = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    planes = torch.from_numpy(pixels.astype(np.float32)).to(device).permute(2, 0, 1)[None]
    return (planes / largest).expand(1, 3, -1, -1)


def spans(extent: int, tile: int, overlap: int, align: int) -> Iterator[TileSpan]:
    """Tiles of about equal size along an axis; each is encoded from a multiple of `align` on."""
    count = -(-extent // tile)
    edges = [index * extent // count for index in range(count + 1)]
    for first, end in pairwise(edges):
        yield TileSpan((first, end), (max(0, first - overlap) // align * align, min(extent, end + overlap)))


def owned_slice(span: TileSpan, origin: int, extent: int, k: int, margins: tuple[int, int]) -> slice:
    """The cells that a tile owns, in a grid that starts `margins[0]` LR pixels before LR pixel `origin`.

    The Gaussians of the margin beyond a border of the image belong to the tile at that border.
    """
    (first, end), (before, after) = span.owned, margins
    first, end = first - (before if first == 0 else 0), end + (after if end == extent else 0)
    return slice(k * (first + before - origin), k * (end + before - origin))


def has_free_positions(network: Network) -> bool:
    """Whether Gaussians may lie anywhere on the canvas (ablations): then the image cannot be tiled."""
    return network.free_positions


def tile_overlap(network: Network) -> int:
    """LR pixels on each side of a tile that are encoded with it."""
    return OVERLAP if network.radius is None else network.radius


def limit(memory: int, given: int | None) -> str:
    """Describe the bytes that may be used, which were `given` or are free, for a message."""
    if given is None:
        return f"{amount(memory)} are free"
    return f"memory= allows {amount(given)}"


def automatic_tile(network: Network, memory: int, size: tuple[int, int]) -> int:
    """The largest side of a tile of an image of `size` whose activations, with its overlap, fit into `memory`
    bytes."""
    beyond = 2 * tile_overlap(network)
    if (min(LARGEST_TILE, max(size)) + beyond) ** 2 * most_bytes_per_pixel(network) <= memory:
        return LARGEST_TILE
    encoded = int((max(0, memory) / bytes_per_pixel(network)) ** 0.5)
    return min(LARGEST_TILE, max(SMALLEST_TILE, encoded - beyond))


def narrower(tile: int, size: tuple[int, int]) -> int:
    """The width of tiles of an image of `size` (height, width) whose largest side is `tile`.

    >>> narrower(640, (621, 6000)), narrower(640, (640, 640))
    (211, 640)
    """
    if max(size) <= tile:
        return tile
    high = -(-size[0] // -(-size[0] // tile))  # as `spans` divides the height
    return min(tile, max(1, TILE_PIXELS // high))


def most_bytes_per_pixel(network: Network) -> int:
    """More memory than encoding takes per LR pixel, from the sizes of the layers."""
    widths = [
        layer.weight.shape[0] + layer.weight.shape[1]
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    return ACTIVATION_COPIES * 4 * network.settings.cells**2 * max(widths)


@torch.inference_mode()
def bytes_per_pixel(network: Network) -> int:
    """The memory that encoding takes per LR pixel, at most: measured once for each network, in a second."""
    if network not in _MEASURED:
        image = torch.zeros(1, 3, MEASURED_SIDE, MEASURED_SIDE, device=next(network.parameters()).device)
        with torch_alone(), TensorMemory() as memory:  # the library needs less
            network(image, 1.0)
        _MEASURED[network] = ceil(MEASURED_SHARE * memory.peak / MEASURED_SIDE**2)
    return _MEASURED[network]
