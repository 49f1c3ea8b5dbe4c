"""Evaluating a network by a named protocol, always compared with bicubic interpolation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dgp_mining.images.reader import ImageError, image_size, read_rgb

from ..image_io.reader import image_files
from ..memory import free_memory, ran_out
from ..networks.base import Network
from ..upscaling.tiling import bytes_per_pixel
from ..upscaling.upscale import as_network
from .perceptual import Perceptual
from .protocol import Protocol, Score, compare, named_protocol, score_comparison

METRIC_BYTES = 400
"""Memory per HR pixel: three images as floats and doubles, and the local means of SSIM in three channels."""


@dataclass(frozen=True)
class Result:
    """The scores of one image at one scale."""

    path: Path
    """The HR image."""
    scale: float
    """The ratio of the HR image's size to its LR image's."""
    score: Score
    """PSNR and SSIM."""
    perceptual: dict[str, tuple[float, float]]
    """Further metrics by name: (of the network, of bicubic interpolation)."""


def evaluate(
    model: Network | str | Path | None,
    images: str | Path | Sequence[str | Path],
    scales: float | Sequence[float],
    protocol: Protocol | str = "benchmark",
    perceptual: Perceptual | None = None,
) -> Iterator[Result]:
    """Score a network on every image at every scale; yields the results one at a time.

    Args:
        model: a network, or the checkpoint of one; None for the reference model.
        images: a folder of HR images, searched recursively, or a list of files.
        scales: a number above 0, whole or not, or several.
        protocol: a protocol, or its name in `sr_model.PROTOCOLS`.
        perceptual: further metrics to compute.

    Raises:
        ImageError: for a folder without images, and, naming the file, for an image that is unreadable, too
            small, or too large for memory.
        CheckpointError: if the model cannot be loaded.
        ValueError: for an unknown protocol, no scale, or a scale that is not a finite number above 0.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    >>> Image.fromarray(pixels).save(folder / "a.png")
    >>> [result.path.name for result in evaluate(None, folder, [2.0], "benchmark")]
    ['a.png']
    """
    chosen = named_protocol(protocol)
    scales = [scales] if isinstance(scales, (int, float)) else list(scales)
    if not scales or not all(isinstance(scale, (int, float)) and 0 < scale < math.inf for scale in scales):
        raise ValueError(f"scales= must be numbers above 0, such as [2, 3.7], got {scales}")
    paths = image_files(images, "images=")
    return _results(as_network(model), paths, scales, chosen, perceptual)


def _results(
    network: Network,
    paths: Sequence[Path],
    scales: Sequence[float],
    protocol: Protocol,
    perceptual: Perceptual | None,
) -> Iterator[Result]:
    for path in paths:
        check_memory(path, network, min(scales))
        pixels = torch.from_numpy((read_rgb(path) * 255 + 0.5).astype(np.uint8)).permute(2, 0, 1)
        for scale in scales:
            try:
                images = compare(network, pixels, scale, protocol)
                scored = score_comparison(images, scale, protocol)
            except ValueError as error:
                raise ImageError(f"{path} cannot be evaluated at scale {scale:g}: {error}.") from error
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error):
                    raise
                raise ImageError(f"{path} does not fit into memory at scale {scale:g}: cut it.") from error
            further = perceptual.measure(images, scale) if perceptual else {}
            yield Result(path, scale, scored, further)


def check_memory(path: Path, network: Network, scale: float) -> None:
    """Raise ImageError if evaluating an image at `scale` takes more memory than is free."""
    height, width = image_size(path)
    needed = height * width * (METRIC_BYTES + bytes_per_pixel(network) / max(scale, 1) ** 2)
    if needed > (free := free_memory()):
        raise ImageError(
            f"{path} has {width}x{height} pixels, which take about {needed / 1e9:,.1f} GB to evaluate, "
            f"and {free / 1e9:,.1f} GB are free: cut it into smaller images."
        )
