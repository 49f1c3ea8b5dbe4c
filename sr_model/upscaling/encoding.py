"""Encoding an image: its colours or grey and its alpha as fields of Gaussians, consistent with the image.

An ensemble has eight fields of each, whose mean is rendered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dgp_mining.machine import amount
from splat2d import GaussianField

from ..memory import free_memory, give_back_freed_memory
from ..networks.base import Network
from .alpha import bleed, flat_field
from .consistency import Reduction, chosen_reduction, made_consistent
from .ensemble import TURNS, turned_fields
from .rendering import Layer
from .tiling import FIELD_COPIES, ProgressCallback, TooLarge, encode, field_bytes, limit, no_progress, to_lr

SAVED_SCALES = (4.0, 4.0)
"""Scales for which a field is made consistent with its image if it is only saved."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How an image is encoded."""

    tile: int | None = None
    """Side in LR pixels of the tiles in which a large image is encoded; None: as memory allows."""
    memory: int | None = None
    """Bytes to use; None: what is free on the network's device."""
    ensemble: bool = False
    """Whether the eight flips and turns of the image are encoded."""
    reduction: Reduction | None = None
    """Kernel by which the image was made smaller, or "none"; None: the network's default."""


DEFAULT = Encoding()
"""As memory allows, without an ensemble, and with the network's own reduction."""


def encode_layers(
    pixels: np.ndarray,  # [H, W, 1 to 4]
    network: Network,
    how: Encoding = DEFAULT,
    *,
    scales: tuple[float, float] | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    progress: ProgressCallback = no_progress,
) -> list[Layer]:
    """The layers of an image: its colours or grey, and its alpha channel if it has one.

    Alpha goes through the network as a grey image, so that its edges align with those of the colours, unless
    it is the same everywhere. The other arguments are those of `encode_fields`.
    """
    layers = [pixels]
    if pixels.shape[2] % 2 == 0:
        layers = [bleed(pixels[..., :-1], pixels[..., -1]), pixels[..., -1:]]
    made: list[Layer] = []
    for index, layer in enumerate(layers):
        if index and (layer == layer[0, 0]).all():
            value = to_lr(layer[:1, :1], next(network.parameters()).device)[0, 0, 0, 0]
            made.append([flat_field(value, (layer.shape[0], layer.shape[1]))])
            continue
        made.append(encode_fields(network, layer, how, scales=scales, origin=origin, progress=progress))
    return made


def encode_fields(
    network: Network,
    image: np.ndarray,  # [H, W, 1 or 3]
    how: Encoding = DEFAULT,
    *,
    scales: tuple[float, float] | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    progress: ProgressCallback = no_progress,
) -> Layer:
    """The field of an image, or the eight of its flips and turns, turned back, whose mean is to be rendered.

    Each is made consistent with the image for its rendering at `scales`, (for the height, for the width), or
    if these are None, as for a field that is only saved, at SAVED_SCALES; one of the pixels rendered has a
    corner at `origin`, (y, x) in LR pixels. Raises what `encode` and
    `chosen_reduction` do, and TooLarge also if eight fields do not fit.
    """
    kernel = chosen_reduction(network, how.reduction)

    def corrected(
        pixels: np.ndarray,
        at: tuple[float, float] | None,
        corner: tuple[float, float],
        memory: int | None,
        progress: ProgressCallback,
    ) -> GaussianField:
        scale = math.sqrt(at[0] * at[1]) if at else None
        field = encode(network, pixels, scale=scale, tile=how.tile, memory=memory, progress=progress)
        used = field_bytes(network, (pixels.shape[0], pixels.shape[1]), pixels.shape[2])
        give_back_freed_memory(used)
        lr = to_lr(pixels, next(network.parameters()).device)[:, : pixels.shape[2]]
        at = at or SAVED_SCALES
        field = made_consistent(network, field, lr, at, kernel, progress, origin=corner, in_place=True)
        give_back_freed_memory(used)
        return field

    if not how.ensemble:
        return [corrected(image, scales, origin, how.memory, progress)]
    height, width, channels = image.shape
    available = how.memory or free_memory(next(network.parameters()).device)
    if (needed := ensemble_bytes(network, (height, width), channels)) > available:
        raise TooLarge(
            f"the Gaussians of eight turns of {width}x{height} pixels take {amount(needed)} of memory, "
            f"and {limit(available, how.memory)}: leave out ensemble=, or cut the image into parts"
        )

    def encoded(index: int, turned: np.ndarray) -> GaussianField:
        def of_turn(activity: str, fraction: float) -> None:
            progress(activity, (index + fraction) / len(TURNS))

        left = available - (len(TURNS) - 1) * needed // len(TURNS)
        at = scales[::-1] if scales and TURNS[index].transposed else scales
        return corrected(turned, at, TURNS[index].of_place(origin, (height, width)), left, of_turn)

    return list(turned_fields(encoded, image))


def ensemble_bytes(network: Network, size: tuple[int, int], channels: int) -> int:
    """The memory of an ensemble's fields of an image [H, W, channels], while they are rendered."""
    layers = (channels,) if channels % 2 else (channels - 1, 1)
    return len(TURNS) * FIELD_COPIES * sum(field_bytes(network, size, layer) for layer in layers)
