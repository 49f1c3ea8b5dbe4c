"""The kernel that all Gaussians of a GSASR have at its start, taken from a mined prior."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from dgp_mining.covariance import cholesky_from_covariance
from dgp_mining.prior.dictionary import Dictionary

from .settings import GSASRSettings


def with_prior(settings: GSASRSettings, prior: Dictionary) -> tuple[GSASRSettings, None]:
    """Apply a mined prior: return the settings of the network to build, and None for the kernels to blend."""
    return start_at_mean_kernel(settings, prior), None


def start_at_mean_kernel(settings: GSASRSettings, prior: Dictionary) -> GSASRSettings:
    """Return settings with which Gaussians start as the kernel of the prior's mean covariance.

    If the network starts as bicubic interpolation, it is a round kernel of the same area.

    Raises:
        ValueError: if the kernel is wider than the network's Gaussians can be.
    """
    l11, l21, l22 = cholesky_from_covariance(prior.covariance.mean(0)).tolist()
    sigma = sqrt(l11 * l22)
    return replace(settings, start=(sigma, 0.0, sigma) if settings.interpolate else (l11, l21, l22))
