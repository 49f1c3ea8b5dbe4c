"""Evaluating a network by a named protocol, always compared with bicubic interpolation."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgp_mining.images.reader import ImageError, image_size, read_rgb

from ..image_io.hr_images import find_hr_images
from ..memory import free_memory, ran_out
from ..networks.base import Network
from ..upscaling.tiling import ProgressCallback, bytes_per_pixel, no_progress
from ..upscaling.upscale import as_network
from .perceptual import Perceptual
from .protocol import Comparison, Protocol, Score, compare, named_protocol, score_comparison

log = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class Skipped:
    """What could not be measured, and is in no mean."""

    path: Path | None
    """The HR image; None for a metric of all images together."""
    scale: float | None
    """The scale; None for all scales."""
    metric: str | None
    """The perceptual metric; None if nothing was measured."""
    reason: str
    """One sentence that names the image."""


SkipCallback = Callable[[Skipped], None]
"""Called with each thing that could not be measured."""


def log_skipped(skipped: Skipped) -> None:
    """A SkipCallback that logs the reason as a warning."""
    log.warning("skipped: %s", skipped.reason)


def evaluate(
    model: Network | str | Path | None,
    images: str | Path | Sequence[str | Path],
    scales: float | Sequence[float],
    protocol: Protocol | str = "benchmark",
    perceptual: Perceptual | None = None,
    *,
    on_skip: SkipCallback = log_skipped,
    progress: ProgressCallback = no_progress,
) -> Iterator[Result]:
    """Score a network on every image at every scale; yields the results one at a time.

    An image that cannot be measured, at one scale or at all, is skipped.

    Args:
        model: a network, or the checkpoint of one; None for the reference model.
        images: a folder of HR images, searched recursively, or a list of files. Of a test set that holds
            LR images too, only the HR images are taken (`sr_model.image_io.hr_images`).
        scales: a number above 0, whole or not, or several.
        protocol: a protocol, or its name in `sr_model.PROTOCOLS`.
        perceptual: further metrics to compute.
        on_skip: called for an image that is unreadable, too small for a scale, or too large for memory, and
            for one of which the network or a metric makes no number. Default: a warning is logged.
        progress: called with the current image and the fraction of all images that is done.

    Raises:
        ImageError: for a folder without images, or whose HR images are not clear from its names; at the
            end, if no image could be measured.
        CheckpointError: if the model cannot be loaded.
        ValueError: for an unknown protocol, no scale, or a scale that is not a finite number above 0.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    >>> Image.fromarray(pixels).save(folder / "a.png")
    >>> (folder / "b.png").touch()
    >>> [result.path.name for result in evaluate(None, folder, [2.0], "benchmark")]
    ['a.png']
    """
    chosen = named_protocol(protocol)
    scales = [scales] if isinstance(scales, (int, float)) else list(scales)
    if not scales or not all(isinstance(scale, (int, float)) and 0 < scale < math.inf for scale in scales):
        raise ValueError(f"scales= must be numbers above 0, such as [2, 3.7], got {scales}")
    paths = hr_files(images)
    network = as_network(model)
    return _Evaluation(network, chosen, perceptual, on_skip, progress).run(paths, scales)


def hr_files(images: str | Path | Sequence[str | Path], argument: str = "images=") -> list[Path]:
    """The files of a list, or the HR images of a folder, of which a line is logged if others are left out.

    Raises ImageError, naming `argument`, as `find_hr_images` does.
    """
    if not isinstance(images, str | Path):
        return [Path(path) for path in images]
    found = find_hr_images(images, argument)
    if found.note:
        log.info("%s", found.note)
    return found.paths


@dataclass
class _Evaluation:
    """What is the same for all images."""

    network: Network
    protocol: Protocol
    perceptual: Perceptual | None
    on_skip: SkipCallback
    progress: ProgressCallback
    first: Skipped | None = None
    """The first thing that was skipped."""

    def run(self, paths: Sequence[Path], scales: Sequence[float]) -> Iterator[Result]:
        measured = 0
        for index, path in enumerate(paths):
            self.progress(f"evaluating {path.name}", index / len(paths))
            try:
                check_memory(path, self.network, min(scales))
                pixels = read_pixels(path)
            except ImageError as error:
                self.skip(Skipped(path, None, None, str(error)))
                continue
            for scale in scales:
                if result := self.measure(path, pixels, scale):
                    measured += 1
                    yield result
        if self.first and not measured:
            alone = len(paths) == 1
            raise ImageError(
                self.first.reason
                if alone
                else f"None of the {len(paths):,} images can be evaluated: {self.first.reason}"
            )

    def measure(self, path: Path, pixels: Tensor, scale: float) -> Result | None:
        """The result of one image at one scale; None if it is skipped."""
        try:
            images = compare(self.network, pixels, scale, self.protocol)
            if not images.network.isfinite().all():
                raise ValueError("the network's result holds NaN, as after a training that diverged")
            scored = score_comparison(images, scale, self.protocol)
        except ValueError as error:
            self.skip(Skipped(path, scale, None, f"{path} cannot be evaluated at scale {scale:g}: {error}."))
            return None
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            reason = f"{path} does not fit into memory at scale {scale:g}: cut it."
            self.skip(Skipped(path, scale, None, reason))
            return None
        return Result(path, scale, scored, self.further(path, images, scale))

    def further(self, path: Path, images: Comparison, scale: float) -> dict[str, tuple[float, float]]:
        """The perceptual metrics of one image, without those that cannot be measured."""
        if self.perceptual is None:
            return {}
        figures, failures = self.perceptual.measure(images, scale)
        for metric, why in failures.items():
            reason = f"{path} has no {metric} at scale {scale:g}: {why}."
            self.skip(Skipped(path, scale, metric, reason))
        return figures

    def skip(self, skipped: Skipped) -> None:
        self.first = self.first or skipped
        self.on_skip(skipped)


def read_pixels(path: Path) -> Tensor:
    """Read an image as [3, H, W] uint8. Raises ImageError, naming it, if it cannot be read."""
    try:
        pixels = read_rgb(path)
    except OSError as error:  # of the disk or network, after which other images may still be readable
        raise ImageError(f"{path} cannot be read ({error.strerror or error}).") from error
    return torch.from_numpy((pixels * 255 + 0.5).astype(np.uint8)).permute(2, 0, 1)


def check_memory(path: Path, network: Network, scale: float) -> None:
    """Raise ImageError if an image is unreadable, or takes more memory than is free at `scale`."""
    try:
        height, width = image_size(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror or error}).") from error
    needed = height * width * (METRIC_BYTES + bytes_per_pixel(network) / max(scale, 1) ** 2)
    if needed > (free := free_memory()):
        raise ImageError(
            f"{path} has {width}x{height} pixels, which take about {needed / 1e9:,.1f} GB to evaluate, "
            f"and {free / 1e9:,.1f} GB are free: cut it into smaller images."
        )
