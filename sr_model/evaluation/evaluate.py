"""Evaluating a network by a named protocol, always compared with bicubic interpolation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dgp_mining.images.failures import failure_of, reason_of
from dgp_mining.images.reader import ImageError, image_size
from dgp_mining.machine import amount

from ..image_io.reader import read_eight_bits
from ..memory import free_memory, ran_out
from ..networks.base import Network
from ..upscaling.tiling import WORKING_BYTES, ProgressCallback, bytes_per_pixel, no_progress
from ..upscaling.upscale import as_network
from .perceptual import Perceptual
from .planning import EvaluationPlan, Files, Measurement, plan_evaluation
from .planning import hr_files as hr_files
from .protocol import (
    Comparison,
    Protocol,
    Score,
    compare,
    compare_pair,
    named_protocol,
    score_comparison,
)
from .saved_pictures import SavedPictures, model_label

log = logging.getLogger(__name__)

METRIC_BYTES = 400
"""Memory per HR pixel: three images as floats and doubles, and the local means of SSIM in three channels."""


@dataclass(frozen=True)
class Result:
    """The scores of one image at one scale."""

    path: Path
    """The HR image."""
    scale: float
    """The scale: asked for, or of the sizes of the HR image and the LR image that came with it."""
    score: Score
    """PSNR and SSIM."""
    perceptual: dict[str, tuple[float, float]]
    """Further metrics by name: (of the network, of bicubic interpolation)."""
    lr: Path | None = None
    """The LR image that came with the HR image; None if it was made."""
    capture: str = ""
    """The name of that LR image if the HR image has several at this scale; else empty."""


@dataclass(frozen=True)
class Skipped:
    """What could not be measured, and is in no mean."""

    path: Path | None
    """The HR image; None for a metric of all images, and for LR and HR images that are no pairs."""
    scale: float | None
    """The scale; None for all scales."""
    missing: str | None
    """What is missing: a perceptual metric, or "picture" if one was not saved; None if all figures are."""
    reason: str
    """One sentence that names the image."""


SkipCallback = Callable[[Skipped], None]
"""Called with each thing that could not be measured."""


def log_skipped(skipped: Skipped) -> None:
    """A SkipCallback that logs the reason as a warning."""
    log.warning("skipped: %s", skipped.reason)


def evaluate(
    model: Network | str | Path | None,
    images: Files,
    scales: float | Sequence[float] | None = None,
    protocol: Protocol | str = "benchmark",
    perceptual: Perceptual | None = None,
    *,
    lr: Files | None = None,
    save: SavedPictures | str | Path | None = None,
    on_skip: SkipCallback = log_skipped,
    progress: ProgressCallback = no_progress,
) -> Iterator[Result]:
    """Score a network on every image at every scale; yields the results one at a time.

    An image that cannot be measured, at one scale or at all, is skipped.

    Args:
        model: a network, or the checkpoint of one; None for the reference model.
        images: a folder of HR images, searched recursively, or a list of files. Of a test set that holds
            LR images too, only the HR images are taken (`sr_model.image_io.hr_images`).
        scales: a number above 0, whole or not, or several. With `lr`, None for the scales of the sizes;
            otherwise pairs of other scales are left out.
        protocol: a protocol, or its name in `sr_model.PROTOCOLS`.
        perceptual: further metrics to compute.
        lr: folders of LR images, paired with the HR images by name (`sr_model.image_io.pairs`). Default: LR
            images are made as the protocol says.
        save: a folder to save the upscaled pictures in, as PNG files named after image, scale and checkpoint,
            or `sr_model.evaluation.saved_pictures.SavedPictures`; default: they are not saved.
        on_skip: called for an image that is unreadable, too small for a scale, or too large for memory, and
            for one of which the network or a metric makes no number. Default: a warning is logged.
        progress: called with the current image and the fraction of all images that is done.

    Raises:
        ImageError: for a folder without images, or whose HR images are not clear from its names; if no LR
            image belongs to an HR image; if pictures cannot be saved, or exist; at the end, if no image could
            be measured.
        CheckpointError: if the model cannot be loaded.
        ValueError: for an unknown protocol, no scale, or a scale that is not a finite number above 0.

    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    >>> Image.fromarray(pixels).save(folder / "a.png")
    >>> (folder / "b.png").touch()
    >>> [result.path.name for result in evaluate(None, folder, [2.0], "benchmark")]
    ['a.png']
    """
    chosen = named_protocol(protocol)
    pictures = saved_pictures(save, model)
    plan = plan_evaluation(images, scales, lr, without=pictures.folder if pictures else None)
    if pictures:
        pictures.check(plan.measurements)
    network = as_network(model)
    return measure(network, plan, chosen, perceptual, save=pictures, on_skip=on_skip, progress=progress)


def saved_pictures(
    save: SavedPictures | str | Path | None, model: Network | str | Path | None
) -> SavedPictures | None:
    """The pictures that `evaluate` saves; those of a network without a file are called `network`."""
    if save is None or isinstance(save, SavedPictures):
        return save
    return SavedPictures(save, "network" if isinstance(model, Network) else model_label(model))


def measure(
    network: Network,
    plan: EvaluationPlan,
    protocol: Protocol,
    perceptual: Perceptual | None = None,
    *,
    save: SavedPictures | None = None,
    on_skip: SkipCallback = log_skipped,
    progress: ProgressCallback = no_progress,
) -> Iterator[Result]:
    """Yield the results of a plan, as `evaluate` does. Raises ImageError if no image could be measured."""
    return _Evaluation(network, protocol, perceptual, save, on_skip, progress).run(plan)


@dataclass
class _Evaluation:
    """What is the same for all images."""

    network: Network
    protocol: Protocol
    perceptual: Perceptual | None
    pictures: SavedPictures | None
    on_skip: SkipCallback
    progress: ProgressCallback
    first: Skipped | None = None
    """The first thing that was skipped."""

    def run(self, plan: EvaluationPlan) -> Iterator[Result]:
        measured = 0
        for sentence in plan.refused:
            self.skip(Skipped(None, None, None, sentence))
        for index, of_image in enumerate(plan.by_image()):
            path = of_image[0].path
            self.progress(f"evaluating {path.name}", index / plan.images)
            try:
                check_memory(path, self.network, min(one.scale for one in of_image))
                pixels = read_pixels(path)
            except Exception as error:  # whatever happens to one image, the others go on
                self.skip(Skipped(path, None, None, str(failure_of(path, "evaluated", error))))
                continue
            for one in of_image:
                if result := self.measure(one, pixels):
                    measured += 1
                    yield result
        if self.first and not measured:
            of_several = f"None of the {plan.images:,} images can be evaluated: " if plan.images > 1 else ""
            raise ImageError(f"{of_several}{self.first.reason}")

    def measure(self, one: Measurement, hr: Tensor) -> Result | None:
        """The result of one image at one scale; None if it is skipped."""
        what = f"{one.path} with {one.pair.lr}" if one.pair else f"{one.path}"
        try:
            images = self.compare(one, hr)
            if not images.network.isfinite().all():
                raise ValueError("the network's result holds NaN, as after a training that diverged")
            scored = score_comparison(images, one.scale, self.protocol)
        except ImageError as error:
            self.skip(Skipped(one.path, one.scale, None, str(error)))
            return None
        except Exception as error:  # as above
            reason = f"{what} cannot be evaluated at scale {one.scale:g}: {reason_of(error)}."
            if ran_out(error):
                reason = f"{what} does not fit into memory at scale {one.scale:g}: cut it."
            self.skip(Skipped(one.path, one.scale, None, reason))
            return None
        self.save(one, images)
        figures = self.further(one, images)
        lr = one.pair.lr if one.pair else None
        return Result(one.path, one.scale, scored, figures, lr, one.capture)

    def compare(self, one: Measurement, hr: Tensor) -> Comparison:
        if one.pair is None:
            return compare(self.network, hr, one.scale, self.protocol)
        lr = read_pixels(one.pair.lr)
        return compare_pair(self.network, lr, hr, one.pair.scale, self.protocol)

    def further(self, one: Measurement, images: Comparison) -> dict[str, tuple[float, float]]:
        """The perceptual metrics of one image, without those that cannot be measured."""
        if self.perceptual is None:
            return {}
        figures, failures = self.perceptual.measure(images, one.scale)
        for metric, why in failures.items():
            reason = f"{one.path} has no {metric} at scale {one.scale:g}: {why}."
            self.skip(Skipped(one.path, one.scale, metric, reason))
        return figures

    def save(self, one: Measurement, images: Comparison) -> None:
        if self.pictures is None:
            return
        try:
            self.pictures.save(one, images)
        except ImageError as error:
            self.skip(Skipped(one.path, one.scale, "picture", str(error)))

    def skip(self, skipped: Skipped) -> None:
        self.first = self.first or skipped
        self.on_skip(skipped)


def read_pixels(path: Path) -> Tensor:
    """Read an image as [3, H, W] uint8. Raises ImageError, naming it, if it cannot be read."""
    try:
        pixels = read_eight_bits(path)
    except OSError as error:  # of the disk or network, after which other images may still be readable
        raise ImageError(f"{path} cannot be read ({error.strerror or error}).") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def check_memory(path: Path, network: Network, scale: float) -> None:
    """Raise ImageError if an image is unreadable, or takes more memory than is free at `scale`."""
    try:
        height, width = image_size(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror or error}).") from error
    of_pixel = METRIC_BYTES + bytes_per_pixel(network) / max(scale, 1) ** 2
    needed = height * width * of_pixel + WORKING_BYTES
    if needed > (free := free_memory()):
        raise ImageError(
            f"{path} has {width}x{height} pixels, which take about {amount(needed)} to evaluate, "
            f"and {amount(free)} are free: cut it into smaller images."
        )
