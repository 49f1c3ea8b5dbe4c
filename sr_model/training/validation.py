"""Validating a network during training, on held-out images."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgp_mining.images.reader import ImageError

from ..degradation import Degradation
from ..evaluation.protocol import (
    PROTOCOLS,
    Score,
    compare_pair,
    low_resolution,
    mean_score,
    score_comparison,
    with_reduction,
)
from ..networks.base import Network
from .pair_samples import DecodedPair, DecodedPairs
from .samples import MEASURED, VALIDATED, ImageSet, centre_crop, is_flat

log = logging.getLogger(__name__)

SCALE = 4.0
REPORT_SECONDS = 10
"""Seconds between logged lines."""


@dataclass(frozen=True)
class Example:
    """A held-out image."""

    lr: Tensor
    """Its LR image, [3, h, w] uint8."""
    hr: Tensor
    """The HR image, [3, s h, s w] uint8."""
    scale: Fraction
    """s."""


class Validation:
    """Held-out images, measured by the `benchmark` protocol."""

    def __init__(self, examples: Sequence[Example], skipped: Sequence[str] = ()) -> None:
        """Take what is to be measured, and one sentence for each image that cannot be."""
        self.examples = list(examples)
        self.skipped = list(skipped)

    @classmethod
    def of_images(cls, paths: Sequence[Path], degradation: Degradation, cache: Path) -> Validation:
        """The centres of images, decoded into the folder `cache`, at x4.

        LR images are degraded (blur, noise ...) as those of the training are. Raises ImageError if no image
        is usable.
        """
        found = ImageSet(
            paths, smallest=VALIDATED, cache=cache, argument="val=", reason=f"for validation at x{SCALE:g}"
        )
        crops = [centre_crop(image) for image in found.images]
        pixels = [torch.from_numpy(crop.copy()).permute(2, 0, 1) for crop in _varied(found.paths, crops)]
        if not pixels:
            raise ImageError("The middle of every validation image is of one colour: name others with val=.")
        examples = [degraded(crop, degradation, index) for index, crop in enumerate(pixels)]
        return cls(examples, found.skipped)

    @classmethod
    def of_pairs(cls, pairs: DecodedPairs) -> Validation:
        """The centres of pairs, at the scales that these have. Raises ImageError if no pair is usable."""
        examples, skipped = [], list(pairs.skipped)
        for pair in pairs.pairs:
            lr, hr = centre_of_pair(pair, MEASURED)
            if min(hr.shape[:2]) < VALIDATED:
                skipped.append(
                    f"{pair.files.lr} shares {hr.shape[1]}x{hr.shape[0]} pixels with its HR image, and "
                    f"{VALIDATED} on each side are needed for validation."
                )
                continue
            if not list(_varied([pair.files.hr], [hr])):
                continue
            lr_image, hr_image = (torch.from_numpy(part.copy()).permute(2, 0, 1) for part in (lr, hr))
            examples.append(Example(lr_image, hr_image, pair.files.scale))
        if not examples:
            raise ImageError(f"No pair can be validated: name others with val=. {' '.join(skipped[:1])}")
        for sentence in skipped:
            log.warning("skipped: %s", sentence)
        return cls(examples, skipped)

    @property
    def scales(self) -> str:
        """The scales that are measured, such as "x4" or "x2 to x4"."""
        scales = sorted({float(example.scale) for example in self.examples})
        return " to ".join(f"x{scale:.4g}" for scale in dict.fromkeys((scales[0], scales[-1])))

    def measure(self, network: Network) -> Score:
        """The mean score of a network over the images."""
        protocol = with_reduction(
            "benchmark", "none"
        )  # the network alone: a correction would hide its errors
        scores, reported = [], time.monotonic()
        for index, example in enumerate(self.examples):
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                log.info("validated %d of %d images", index, len(self.examples))
            images = compare_pair(network, example.lr, example.hr, example.scale, protocol)
            scores.append(score_comparison(images, float(example.scale), protocol))
        return mean_score(scores)


def degraded(crop: Tensor, degradation: Degradation, seed: int) -> Example:
    """An HR image, [3, H, W] uint8, with its LR image at x4.

    The bicubic reduction is that of the `benchmark` protocol, unless blur or the like comes before it.
    """
    lr, hr = low_resolution(crop, SCALE, PROTOCOLS["benchmark"].lr)
    random = np.random.default_rng(seed)
    if degradation.affects:
        if degradation.reduces_first:
            levels = degradation.affect(lr / 255, random)
        else:
            levels = degradation(hr[None], (lr.shape[1], lr.shape[2]), [random])[0]
        lr = (levels * 255).round().byte()
    return Example(lr, hr, Fraction(SCALE))


def _varied(paths: Sequence[Path], crops: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The crops that are not of one colour; a line is logged for the others. See `is_flat`."""
    for path, crop in zip(paths, crops, strict=True):
        if is_flat(crop):
            log.info("not validated, since its middle is of one colour: %s", path)
        else:
            yield crop


def centre_of_pair(pair: DecodedPair, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle of a pair (LR, HR), [h, w, 3] and [s h, s w, 3], at most `side` HR pixels on a side."""
    scale, step = pair.files.scale, pair.files.scale.denominator
    most = int(side / scale) // step * step
    sizes = [min(extent // step * step, most) for extent in pair.shared]
    starts = [(extent - size) // (2 * step) * step for extent, size in zip(pair.shared, sizes, strict=True)]
    return pair.cut(starts[0], starts[1], sizes[0], sizes[1])
