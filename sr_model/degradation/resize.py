"""Resizing: MATLAB's and Pillow's bicubic interpolation, and the kernels of other programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from splat2d.matlab_imresize import Border, imresize

from .settings import check_probability, check_range, happens

Bicubic = Literal["matlab", "matlab-replicate", "pil"]
"""Implementation of bicubic reduction: MATLAB's imresize, which mirrors the image at its borders; that of its
older releases, which repeats the outermost pixels there; or Pillow's."""
Kernel = Literal["bicubic", "bilinear", "area", "nearest", "lanczos"]
"""Interpolation of a resize."""

MOST_FACTOR = 20.0
"""Largest size to resize to, in sizes of the LR image: far larger pictures fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Resize:
    """Reduction by one of several kernels, drawn for each image, as programs and websites reduce pictures.

    Raises ValueError for settings that make no sense.
    """

    kernels: tuple[Kernel, ...] = ("bicubic", "bilinear", "area")
    """Kernels, of which one is drawn; a kernel that is listed twice is drawn twice as often. `area` is the
    mean over a pixel's area, `lanczos` Pillow's with three lobes. The default are those of Real-ESRGAN."""
    antialias: float = 1.0
    """Probability that `bicubic` and `bilinear` low-pass filter what they reduce, as MATLAB, Pillow and image
    editors do. Otherwise they read a few pixels around each point, as OpenCV and torch do, and with them
    BSRGAN and Real-ESRGAN."""
    factor: tuple[float, float] = (1.0, 1.0)
    """Range of the size to resize to, in sizes of the LR image, drawn uniformly; the image is resized once
    more, to that size, in the end. Real-ESRGAN at x4: 0.6 to 6, and 0.3 to 1.2 in the second stage."""

    def __post_init__(self) -> None:
        check_probability("resize", antialias=self.antialias)
        check_range("resize", "factor", self.factor, least=0.1, most=MOST_FACTOR)
        if not self.kernels or set(self.kernels) - set(get_args(Kernel)):
            raise ValueError(
                f"kernels of resize must list some of {', '.join(get_args(Kernel))}, got {list(self.kernels)}"
            )

    def size(self, lr: tuple[int, int], random: np.random.Generator) -> tuple[int, int]:
        """Draw the size to resize to, for an LR image of size `lr`."""
        low, high = self.factor
        factor = random.uniform(low, high) if low < high else low
        height, width = (max(1, round(extent * factor)) for extent in lr)
        return height, width

    def __call__(
        self, image: Tensor, size: tuple[int, int], random: np.random.Generator, implementation: Bicubic
    ) -> Tensor:
        """Resize an image, [3, H, W] float32, to `size`; the result is not clamped."""
        kernel = self.kernels[random.integers(len(self.kernels))]
        return resize(image, size, kernel, happens(self.antialias, random), implementation)


def resize(
    image: Tensor,
    size: tuple[int, int],
    kernel: Kernel,
    antialias: bool = True,
    implementation: Bicubic = "matlab",
) -> Tensor:
    """Resize an image, [3, H, W] float32 in [0, 1], to [3, h, w]; the result is not clamped.

    Args:
        image: the image.
        size: (h, w).
        kernel: `bicubic`, by `implementation`, or with `antialias=False` as torch and OpenCV do (a = -0.75);
            `bilinear`; `area`, the mean over each pixel's area, as of OpenCV's INTER_AREA; `nearest`, the
            pixel at the centre; or `lanczos`, Pillow's.
        antialias: whether `bicubic` and `bilinear` low-pass filter along axes that shrink.
        implementation: of the bicubic kernel; Pillow's rounds to 8 bits.

    >>> resize(torch.arange(4.0).expand(3, 2, 4), (1, 2), "area")[0].tolist()
    [[0.5, 2.5]]
    """
    if tuple(image.shape[1:]) == tuple(size):
        return image
    if kernel == "bicubic" and antialias:
        if implementation != "pil":
            return imresize(image, size, border=border_of(implementation))
        return bicubic((image.clamp(0, 1) * 255).round().byte(), size, "pil").float() / 255
    if kernel == "area":
        means = _area_means(_area_means(image.numpy(), 1, size[0]), 2, size[1])
        return torch.from_numpy(means.astype(np.float32))
    if kernel == "lanczos":
        channels = (Image.fromarray(channel) for channel in image.numpy())
        resized = [channel.resize(size[::-1], Image.Resampling.LANCZOS) for channel in channels]
        return torch.from_numpy(np.stack([np.asarray(channel) for channel in resized]))
    if kernel == "nearest":
        return F.interpolate(image[None], size, mode="nearest-exact")[0]
    return F.interpolate(image[None], size, mode=kernel, antialias=antialias)[0]


def _area_means(values: np.ndarray, axis: int, out: int) -> np.ndarray:
    """Means over `out` equal parts of an axis, in float64, as differences of its integral."""
    extent = values.shape[axis]
    edges = np.arange(out + 1) * (extent / out)
    whole = np.minimum(edges.astype(int), extent - 1)
    values = np.moveaxis(values.astype(np.float64), axis, -1)
    integral = np.cumsum(values, -1)[..., whole] - values[..., whole] * (1 - (edges - whole))
    return np.moveaxis(np.diff(integral) * (out / extent), -1, axis)


def bicubic(image: Tensor, size: tuple[int, int], implementation: Bicubic) -> Tensor:
    """Resize [3, H, W] uint8 to [3, h, w] uint8 bicubically, as MATLAB or Pillow does.

    >>> bicubic(torch.zeros(3, 12, 9, dtype=torch.uint8), (4, 3), "matlab").shape
    torch.Size([3, 4, 3])
    """
    if implementation != "pil":
        return imresize(image, size, border=border_of(implementation))
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return torch.from_numpy(np.array(picture.resize(size[::-1], Image.Resampling.BICUBIC))).permute(2, 0, 1)


def border_of(implementation: Bicubic) -> Border:
    """The border that MATLAB's imresize takes for an implementation."""
    return "replicate" if implementation == "matlab-replicate" else "mirror"
