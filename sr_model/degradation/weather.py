"""Rain: bright streaks that are added to the image.

Section 6 of the ContinuousSR paper removes rain and noise while upscaling, but does not state how they were
simulated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Rain:
    """Rain: drops scattered at random, drawn out into streaks of one direction, and added to the image.

    Each setting is a range (lowest, highest), from which a value is drawn uniformly for each image. Raises
    ValueError for ranges that make no sense.
    """

    amount: tuple[float, float] = (0.002, 0.01)
    """Drops per LR pixel."""
    length: tuple[float, float] = (5.0, 15.0)
    """Length of a streak, in LR pixels."""
    width: tuple[float, float] = (0.3, 0.7)
    """Standard deviation across a streak, in LR pixels."""
    angle: tuple[float, float] = (-30.0, 30.0)
    """Angle of the streaks from the vertical in degrees, positive towards the right."""
    brightness: tuple[float, float] = (0.3, 0.8)
    """Brightness added at the middle of a streak."""

    def __post_init__(self) -> None:
        for name in ("amount", "length", "width", "angle", "brightness"):
            low, high = getattr(self, name)
            if not (low <= high and (name == "angle" or low >= 0)):
                raise ValueError(f"{name} of rain must be lowest and highest, 0 or more, got {[low, high]}")
        if not self.width[0] > 0:
            raise ValueError(f"width of rain must be positive, got {list(self.width)}")

    def __call__(self, image: Tensor, random: np.random.Generator) -> Tensor:
        amount, length, width, angle, brightness = (
            random.uniform(*limits)
            for limits in (self.amount, self.length, self.width, self.angle, self.brightness)
        )
        streak = streak_of(length, width, math.radians(angle))
        reach = streak.shape[0] // 2  # drops beyond the borders reach in
        area = [extent + 2 * reach for extent in image.shape[1:]]
        drops = torch.from_numpy((random.random(area) < amount).astype(np.float32))
        layer = F.conv2d(drops[None, None], streak[None, None])[0]  # [1, h, w]
        return image + brightness * layer.clamp(max=1)


def streak_of(length: float, width: float, angle: float) -> Tensor:
    """Return the image of a streak, [2 r + 1, 2 r + 1] float32, 1 at its middle.

    `length` and `width` (its standard deviation across) are in pixels, `angle` in radians from the vertical.
    """
    reach = math.ceil(length / 2 + 3 * width)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = x * math.sin(angle) - y * math.cos(angle)
    across = x * math.cos(angle) + y * math.sin(angle)
    ends = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1)
    return torch.from_numpy((ends * np.exp(-((across / width) ** 2) / 2)).astype(np.float32))
