"""Validating a network during training, on held-out images."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..degradation import Degradation
from ..evaluation.protocol import PROTOCOLS, Score, mean_score, score
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
        crops = [centre_crop(image, SIDE) for image in found.images]
        self.crops = [torch.from_numpy(crop.copy()).permute(2, 0, 1) for crop in crops]  # [3, H, W] uint8
        self.degradation = degradation

    def measure(self, network: Network) -> Score:
        """The mean score of a network over the images."""
        protocol, affects = PROTOCOLS["benchmark"], self.degradation.affects
        scores, reported = [], time.monotonic()
        for index, crop in enumerate(self.crops):
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                log.info("validated %d of %d images", index, len(self.crops))
            affect = (
                partial(self.degradation.affect, random=np.random.default_rng(index)) if affects else None
            )
            scores.append(score(network, crop, SCALE, protocol, affect))
        return mean_score(scores)


def centre_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The middle of an image [H, W, C], at most `side` pixels on a side."""
    row, column = (max(0, (extent - side) // 2) for extent in image.shape[:2])
    return image[row : row + side, column : column + side]
