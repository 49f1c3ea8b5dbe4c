"""Degradation from HR to LR images: bicubic reduction, then rain, noise or an effect of your own.

Section 6 of the ContinuousSR paper removes rain and noise while upscaling, but does not state how they were
simulated. Here rain streaks are bright lines added to the image, noise is Gaussian, and their strengths are
settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from splat2d.matlab_imresize import imresize

Effect = Callable[[Tensor, np.random.Generator], Tensor]
"""Change to a reduced image, [3, h, w] float in [0, 1] to the same; all its randomness is from the
generator."""
Bicubic = Literal["matlab", "pil"]
"""Implementation of bicubic reduction: MATLAB's imresize or Pillow's."""


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


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Independent Gaussian noise in every channel of every LR pixel. Raises ValueError for a wrong range."""

    sigma: tuple[float, float] = (0.0, 25.0)
    """Range of its standard deviation, in 8-bit levels (0 to 255); drawn uniformly for each image."""

    def __post_init__(self) -> None:
        if not 0 <= self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma of noise must be lowest and highest, 0 or more, got {list(self.sigma)}")

    def __call__(self, image: Tensor, random: np.random.Generator) -> Tensor:
        sigma = random.uniform(*self.sigma) / 255
        return image + sigma * torch.from_numpy(random.standard_normal(image.shape, np.float32))


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """The pipeline from HR images to LR images: bicubic reduction, then rain, noise and a custom effect.

    Raises ValueError for an unknown `bicubic`, or a `custom` that is not of the form module:name.

    >>> hr = torch.full((1, 3, 12, 12), 128, dtype=torch.uint8)
    >>> lr = Degradation(noise=Noise(sigma=(5, 5)))(hr, (4, 4), [np.random.default_rng(0)])
    >>> lr.shape, lr.dtype
    (torch.Size([1, 3, 4, 4]), torch.float32)
    """

    bicubic: Bicubic = "matlab"
    """Implementation of the reduction: MATLAB's, or Pillow's, which rounds to 8 bits."""
    eight_bit: bool = False
    """Round LR images to 8 bits, as in image files."""
    rain: Rain | None = None
    """Rain streaks; none by default."""
    noise: Noise | None = None
    """Noise, after the rain; none by default."""
    custom: str | None = None
    """Effect of your own, after the noise: `module:name` of a function that can be imported (PYTHONPATH). It
    takes an image, a float tensor [3, h, w] in [0, 1], and a numpy Generator, and returns an image."""

    def __post_init__(self) -> None:
        if self.bicubic not in get_args(Bicubic):
            raise ValueError(f"bicubic must be one of {', '.join(get_args(Bicubic))}, got {self.bicubic!r}")
        if self.custom is not None and not all(self.custom.partition(":")):
            raise ValueError(f"custom must be module:name of a function, got {self.custom!r}")

    def __call__(self, hr: Tensor, size: tuple[int, int], random: Sequence[np.random.Generator]) -> Tensor:
        """Reduce [B, 3, H, W] uint8 to [B, 3, h, w] float32 in [0, 1]; each image has its own generator.

        Raises:
            ValueError: if the `custom` effect cannot be imported.
        """
        if self.bicubic == "pil":
            lr = torch.stack([bicubic(image, size, "pil") for image in hr]).float() / 255
        elif self.eight_bit:
            lr = imresize(hr, size).float() / 255
        else:
            lr = imresize(hr.float() / 255, size).clamp(0, 1)
        if self.affects:
            lr = torch.stack([self.affect(image, source) for image, source in zip(lr, random, strict=True)])
        return lr

    @property
    def affects(self) -> bool:
        """Whether anything follows the reduction."""
        return bool(self.rain or self.noise or self.custom)

    @property
    def plain(self) -> bool:
        """Whether this is MATLAB's bicubic reduction alone, which can be computed on a GPU."""
        return self.bicubic == "matlab" and not self.affects

    def check(self) -> None:
        """Raise ValueError if the `custom` effect cannot be imported."""
        if self.custom:
            import_effect(self.custom)

    def affect(self, image: Tensor, random: np.random.Generator) -> Tensor:
        """Apply the effects to an LR image, [3, h, w] float32 in [0, 1]. Raises ValueError like `check`."""
        custom = import_effect(self.custom) if self.custom else None
        for effect in (self.rain, self.noise, custom):
            if effect:
                image = effect(image, random).clamp(0, 1)
        return (image * 255).round() / 255 if self.eight_bit else image


def bicubic(image: Tensor, size: tuple[int, int], implementation: Bicubic) -> Tensor:
    """Resize [3, H, W] uint8 to [3, h, w] uint8 bicubically, as MATLAB or Pillow does.

    >>> bicubic(torch.zeros(3, 12, 9, dtype=torch.uint8), (4, 3), "matlab").shape
    torch.Size([3, 4, 3])
    """
    if implementation == "matlab":
        return imresize(image, size)
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return torch.from_numpy(np.array(picture.resize(size[::-1], Image.Resampling.BICUBIC))).permute(2, 0, 1)


def import_effect(place: str) -> Effect:
    """Return the function at `module:name`. Raises ValueError, in one sentence, if it cannot be imported."""
    module, _, name = place.partition(":")
    try:
        effect = getattr(import_module(module), name)
    except Exception as error:  # importing a module can raise anything
        raise ValueError(
            f"the effect {place} cannot be imported ({error}): is its folder in PYTHONPATH?"
        ) from error
    if not callable(effect):
        raise ValueError(f"the effect {place} is not a function")
    return effect
