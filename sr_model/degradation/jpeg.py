"""JPEG compression, by Pillow (libjpeg)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .settings import check_probability, happens

Subsampling = Literal["4:2:0", "4:2:2", "4:4:4"]
"""Chroma subsampling of JPEG: halved both ways, halved in width, or full."""
BLOCK = 16
"""Pixels on a side of the blocks of luma and chroma together (MCU) with 4:2:0."""


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """Compression to JPEG and back. Raises ValueError for settings that make no sense.

    The grid of blocks begins at a random place, as in a crop from a larger file: a network would otherwise
    learn that blocks begin at the corner of every crop.
    """

    probability: float = 1.0
    """Probability that an image is compressed."""
    quality: tuple[int, int] = (30, 95)
    """Range of the quality, from 1 to 100, as of libjpeg; a whole number is drawn. 30 to 95 in BSRGAN and
    Real-ESRGAN."""
    subsampling: tuple[Subsampling, ...] = ("4:2:0",)
    """Chroma subsamplings, of which one is drawn."""

    def __post_init__(self) -> None:
        check_probability("jpeg", probability=self.probability)
        low, high = self.quality
        if not 1 <= low <= high <= 100:
            raise ValueError(f"quality of jpeg must be lowest and highest, from 1 to 100, got {[low, high]}")
        if not self.subsampling or set(self.subsampling) - set(get_args(Subsampling)):
            raise ValueError(
                f"subsampling of jpeg must list some of {', '.join(get_args(Subsampling))}, "
                f"got {list(self.subsampling)}"
            )

    def __call__(self, image: Tensor, random: np.random.Generator) -> Tensor:
        """Compress an image, [3, h, w] float32, clamped to [0, 1] and rounded to 8 bits."""
        if not happens(self.probability, random):
            return image
        quality = int(random.integers(self.quality[0], self.quality[1] + 1))
        subsampling = self.subsampling[random.integers(len(self.subsampling))]
        top, left = (int(shift) for shift in random.integers(BLOCK, size=2))
        levels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        levels = np.pad(levels, ((top, 0), (left, 0), (0, 0)), "symmetric")
        decoded = compressed(levels, quality, subsampling)[top:, left:]
        return torch.from_numpy(decoded.transpose(2, 0, 1).astype(np.float32) / 255)


def compressed(image: np.ndarray, quality: int, subsampling: Subsampling) -> np.ndarray:
    """Return an image, [H, W, 3] uint8, as it is after JPEG compression.

    >>> grey = np.full((8, 8, 3), 128, np.uint8)
    >>> np.array_equal(compressed(grey, 50, "4:2:0"), grey)
    True
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))
