"""Blur with Gaussian kernels, round or elongated, as of optics, focus and small movements.

Zhang et al. 2021 (BSRGAN, section 3.1) and Wang et al. 2021 (Real-ESRGAN, section 3.1) blur images like this
before they reduce them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .settings import check_probability, check_range, happens

REACH = 3.0
"""Standard deviations from the middle of a kernel to its border, unless its size is set."""

MOST_SIGMA = 50.0
"""Largest standard deviation in LR pixels, beyond which a crop is one colour, and kernels fill the memory."""
MOST_SIZE = 1001
"""Largest side of a kernel in pixels."""


@dataclass(frozen=True, kw_only=True)
class Blur:
    """Blur by a Gaussian kernel, normalised to a sum of 1; beyond its borders an image is mirrored.

    Raises ValueError, in a sentence that names the setting, for ranges that make no sense.
    """

    probability: float = 1.0
    """Probability that an image is blurred."""
    sigma: tuple[float, float] = (0.0, 0.75)
    """Range of the standard deviation along each axis of the kernel, in LR pixels whatever the scale; drawn
    uniformly. Real-ESRGAN's 0.2 to 3 HR pixels at x4 are 0.05 to 0.75."""
    isotropic: float = 0.5
    """Probability of a round kernel. The others have two standard deviations, along axes turned by an angle
    that is drawn uniformly."""
    size: tuple[int, int] | None = None
    """Range of the side of the square to which kernels are cut off, in pixels of the image that is blurred:
    an odd number is drawn. The default, none, is 3 standard deviations each way. 7 to 21 in Real-ESRGAN."""

    def __post_init__(self) -> None:
        check_probability("blur", probability=self.probability, isotropic=self.isotropic)
        check_range("blur", "sigma", self.sigma, most=MOST_SIGMA)
        if self.size is not None:
            check_range("blur", "size", self.size, least=1, most=MOST_SIZE)
            if self.size[0] == self.size[1] and self.size[0] % 2 == 0:
                raise ValueError(f"size of blur must contain an odd number, got {list(self.size)}")

    def __call__(self, image: Tensor, random: np.random.Generator, pixel: float = 1.0) -> Tensor:
        """Blur an image, [3, h, w] float32, of which `pixel` pixels are an LR pixel."""
        if not happens(self.probability, random):
            return image
        first = second = random.uniform(*self.sigma)
        angle = 0.0
        if not happens(self.isotropic, random):
            second, angle = random.uniform(*self.sigma), random.uniform(0, math.pi)
        side = None
        if self.size is not None:
            side = 2 * int(random.integers(self.size[0] // 2, (self.size[1] - 1) // 2 + 1)) + 1
        return convolve(image, gaussian_kernel(first * pixel, second * pixel, angle, side))


def gaussian_kernel(first: float, second: float, angle: float, side: int | None = None) -> np.ndarray:
    """Return a Gaussian kernel, [side, side] float64, that sums to 1.

    It is the Gaussian density at the centres of the pixels, not its integral over them, as in BSRGAN and
    Real-ESRGAN; its covariance is that of the density to 1 % for standard deviations of half a pixel and
    more.

    Args:
        first: standard deviation in pixels along the axis that is turned from the x axis by `angle`.
        second: standard deviation along the other axis.
        angle: in radians, from the x axis (right) towards the y axis (down).
        side: an odd number of pixels; default: 3 times the larger standard deviation each way.

    >>> kernel = gaussian_kernel(1.0, 1.0, 0.0, 3)
    >>> (kernel / kernel[1, 1]).round(3)[0].tolist()
    [0.368, 0.607, 0.368]
    """
    reach = math.ceil(REACH * max(first, second)) if side is None else side // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    # A narrower one has the same pixels: 1 in the middle, 0 around it.
    squares = [(part / max(sigma, 1e-2)) ** 2 for part, sigma in ((along, first), (across, second))]
    kernel: np.ndarray = np.exp(-sum(squares) / 2)
    return kernel / kernel.sum()


def convolve(image: Tensor, kernel: np.ndarray) -> Tensor:
    """Convolve an image [3, h, w] float32 with a kernel of odd sides; it is mirrored beyond its borders.

    By Fourier transform: its time does not depend on the kernel, its result not on the number of threads.
    """
    if kernel.size == 1:
        return image
    height, width = image.shape[1:]
    reach = kernel.shape[0] // 2
    padded = np.pad(image.numpy(), ((0, 0), (reach, reach), (reach, reach)), "reflect")
    size = tuple(_fast(extent) for extent in padded.shape[1:])
    spectrum = np.fft.rfft2(padded, size) * np.fft.rfft2(kernel, size)
    full = np.fft.irfft2(spectrum, size)[:, 2 * reach :, 2 * reach :]
    return torch.from_numpy(np.ascontiguousarray(full[:, :height, :width], np.float32))


def _fast(extent: int) -> int:
    """The next extent whose only prime factors are 2, 3 and 5, which is fast to transform."""
    while True:
        rest = extent
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return extent
        extent += 1
