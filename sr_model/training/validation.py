"""Validating a network during training, on held-out images."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..degradation import Degradation
from ..evaluation.protocol import PROTOCOLS, Score, low_resolution, mean_score, score
from ..networks.base import Network
from .samples import VALIDATED, ImageSet

log = logging.getLogger(__name__)

SCALE = 4.0
SIDE = 256
"""HR pixels on a side of the centre crops that are measured: seconds, not minutes."""
REPORT_SECONDS = 10
"""Seconds between logged lines."""


class Validation:
    """Held-out images, measured as centre crops at x4 by the `benchmark` protocol.

    Their LR images are degraded (rain, noise ...) as those of the training are, identically each time.
    """

    def __init__(self, paths: Sequence[Path], degradation: Degradation, cache: Path) -> None:
        """Decode `paths` into the folder `cache`. Raises ImageError if no image is usable."""
        found = ImageSet(
            paths, smallest=VALIDATED, cache=cache, argument="val=", reason=f"for validation at x{SCALE:g}"
        )
        self.skipped = found.skipped
        crops = [torch.from_numpy(centre_crop(image, SIDE).copy()).permute(2, 0, 1) for image in found.images]
        self.pairs = [(degraded(crop, degradation, index), crop) for index, crop in enumerate(crops)]
        """LR images, [3, h, w] float32 in [0, 1], and the crops that they are of, [3, H, W] uint8."""

    def measure(self, network: Network) -> Score:
        """The mean score of a network over the images."""
        scores, reported = [], time.monotonic()
        for index, (lr, crop) in enumerate(self.pairs):
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                log.info("validated %d of %d images", index, len(self.pairs))

            def instead(_: Tensor, lr: Tensor = lr) -> Tensor:
                return lr

            scores.append(score(network, crop, SCALE, PROTOCOLS["benchmark"], instead))
        return mean_score(scores)


def degraded(crop: Tensor, degradation: Degradation, seed: int) -> Tensor:
    """The LR image at x4, [3, h, w] float32 in [0, 1], of an HR image [3, H, W] uint8.

    The bicubic reduction is that of the `benchmark` protocol, unless blur or the like comes before it.
    """
    lr, hr = low_resolution(crop, SCALE, PROTOCOLS["benchmark"].lr)
    random = np.random.default_rng(seed)
    if not degradation.affects:
        return lr / 255
    if degradation.reduces_first:
        return degradation.affect(lr / 255, random)
    return degradation(hr[None], (lr.shape[1], lr.shape[2]), [random])[0]


def centre_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The middle of an image [H, W, C], at most `side` pixels on a side."""
    row, column = (max(0, (extent - side) // 2) for extent in image.shape[:2])
    return image[row : row + side, column : column + side]
