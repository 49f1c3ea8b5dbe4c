"""Noise: Gaussian, as of amplifiers, or shot noise, of counted photons; in each channel or in all alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .settings import check_probability, check_range, happens

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the grey image (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noise that is independent in every pixel, and in every channel unless it is grey.

    Raises ValueError for a wrong range or probability. Real-ESRGAN (section 3.1) has probabilities of 0.5 for
    shot and 0.4 for grey noise.
    """

    sigma: tuple[float, float] = (0.0, 25.0)
    """Range of its standard deviation, in 8-bit levels (0 to 255); drawn uniformly for each image. Of shot
    noise, it is the one at white."""
    probability: float = 1.0
    """Probability that an image gets noise."""
    shot: float = 0.0
    """Probability that the noise is shot noise, whose variance is proportional to brightness (Poisson),
    instead of Gaussian."""
    grey: float = 0.0
    """Probability that all channels get the same noise."""

    def __post_init__(self) -> None:
        check_range("noise", "sigma", self.sigma)
        check_probability("noise", probability=self.probability, shot=self.shot, grey=self.grey)

    def __call__(self, image: Tensor, random: np.random.Generator) -> Tensor:
        """Add noise to an image, [3, h, w] float32 in [0, 1]; the result is not clamped."""
        if not happens(self.probability, random):
            return image
        sigma = random.uniform(*self.sigma) / 255
        shot, grey = happens(self.shot, random), happens(self.grey, random)
        if shot and sigma > 0:
            signal = torch.tensordot(torch.tensor(LUMA), image, 1)[None] if grey else image
            return image + shot_noise(signal, sigma, random)
        shape = (1, *image.shape[1:]) if grey else image.shape
        return image + sigma * torch.from_numpy(random.standard_normal(shape, np.float32))


def shot_noise(signal: Tensor, sigma: float, random: np.random.Generator) -> Tensor:
    """Return the shot noise of a signal in [0, 1], float32: white is 1 / sigma^2 photons on average."""
    photons = 1 / sigma**2
    clean = signal.numpy().astype(np.float64).clip(0, 1)
    return torch.from_numpy((random.poisson(clean * photons) / photons - clean).astype(np.float32))
