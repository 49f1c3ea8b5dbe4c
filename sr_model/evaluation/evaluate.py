"""Measuring a network by a named protocol, always beside bicubic interpolation.

A PSNR means little without its protocol: channel, border, rounding and the making of the LR images move it by
more than most papers gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dgp_mining.images.reader import ImageError, image_size, read_rgb

from ..image_io.reader import pictures_in
from ..memory import free_memory, ran_out
from ..networks.base import Network
from ..upscaling.tiling import bytes_per_pixel
from .perceptual import Perceptual
from .protocol import Protocol, Score, compare, score_of

METRIC_BYTES = 400
"""Memory per HR pixel: three images as floats and doubles, and the local means of SSIM in three channels."""


@dataclass(frozen=True)
class Result:
    """One image at one scale."""

    path: Path
    """The HR image."""
    scale: float
    """How much smaller its LR image was."""
    score: Score
    """PSNR and SSIM."""
    perceptual: dict[str, tuple[float, float]]
    """Further metrics by name: (of the network, of bicubic interpolation)."""


def evaluate(
    model: Network,
    folder: Path,
    scales: Sequence[float],
    protocol: Protocol,
    perceptual: Perceptual | None = None,
) -> Iterator[Result]:
    """Score every image of `folder` at every scale, one at a time. Raises ImageError, naming the file."""
    for path in pictures_in(folder, "folder="):
        check_memory(path, model, min(scales))
        pixels = torch.from_numpy((read_rgb(path) * 255 + 0.5).astype(np.uint8)).permute(2, 0, 1)
        for scale in scales:
            try:
                images = compare(model, pixels, scale, protocol)
                scored = score_of(images, scale, protocol)
            except ValueError as error:
                raise ImageError(f"{path} cannot be evaluated at scale {scale:g}: {error}.") from error
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error):
                    raise
                raise ImageError(f"{path} does not fit into memory at scale {scale:g}: cut it.") from error
            further = perceptual.measure(images, scale) if perceptual else {}
            yield Result(path, scale, scored, further)


def check_memory(path: Path, model: Network, scale: float) -> None:
    """Raise ImageError where evaluating an image at `scale` takes more memory than is free."""
    height, width = image_size(path)
    needed = height * width * (METRIC_BYTES + bytes_per_pixel(model) / max(scale, 1) ** 2)
    if needed > (free := free_memory()):
        raise ImageError(
            f"{path} has {width}x{height} pixels, which take about {needed / 1e9:,.1f} GB to evaluate, "
            f"and {free / 1e9:,.1f} GB are free: cut it into smaller images."
        )
