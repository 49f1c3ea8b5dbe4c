"""The architectures by name: which settings make which network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from math import sqrt
from typing import Any

from torch import Tensor

from dgp_mining.covariance import cholesky_from_covariance
from dgp_mining.prior.dictionary import Dictionary

from .base import Network
from .continuoussr.dictionary_choice import chosen_kernels
from .continuoussr.network import ContinuousSR
from .continuoussr.settings import NetworkSettings
from .gsasr.network import GSASR
from .gsasr.settings import GSASRSettings

Settings = NetworkSettings | GSASRSettings
"""What determines a network of any architecture."""
ARCHITECTURES: dict[str, type[Settings]] = {"continuoussr": NetworkSettings, "gsasr": GSASRSettings}
"""Settings by the architecture's name; checkpoints without a name are the first's."""


def architecture(settings: Settings) -> str:
    """The name of the architecture that `settings` are of."""
    return next(name for name, kind in ARCHITECTURES.items() if isinstance(settings, kind))


def with_prior(settings: Settings, prior: Dictionary | None) -> tuple[Settings, Dictionary | None]:
    """What to build and which kernels it blends, given a mined prior.

    ContinuousSR blends the prior's kernels, or others in their place; the Gaussians of a GSASR may start as
    their mean. Raises ValueError where a prior is needed, or cannot give what is asked of it.
    """
    if isinstance(settings, GSASRSettings):
        return settings if prior is None else started_from(settings, prior), None
    if prior is None:
        raise ValueError("ContinuousSR needs a dictionary of kernels: name one with --prior")
    return settings, chosen_kernels(settings, prior)


def build_network(settings: Settings, dictionary: Tensor | None = None) -> Network:
    """A network with fresh weights.

    `dictionary`: [K, 3] Cholesky factors in grid spacings, which ContinuousSR cannot do without and GSASR
    has no use for. Raises ValueError where it cannot give the start.
    """
    if isinstance(settings, GSASRSettings):
        return GSASR(settings)
    if dictionary is None:
        raise ValueError("ContinuousSR blends the kernels of a dictionary, and there is none")
    return ContinuousSR(settings, dictionary)


def settings_from(name: str, header: Mapping[str, Any]) -> Settings:
    """The settings in a file's header; fields newer than the file have their defaults.

    Raises ValueError for fields or an architecture unknown here, TypeError where one without default is
    missing.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"there is no architecture {name} here")
    kind = ARCHITECTURES[name]
    unknown = header.keys() - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"there is no network setting {', '.join(sorted(unknown))} here")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in header.items()})


def started_from(settings: GSASRSettings, prior: Dictionary) -> GSASRSettings:
    """The settings of a network whose Gaussians start as the prior's mean kernel.

    The mean is that of the covariances. Where the network starts as bicubic interpolation, it is a round
    kernel of the same area. Raises ValueError where the kernel is wider than the network can make.
    """
    l11, l21, l22 = cholesky_from_covariance(prior.covariance.mean(0)).tolist()
    sigma = sqrt(l11 * l22)
    return replace(settings, start=(sigma, 0.0, sigma) if settings.interpolate else (l11, l21, l22))
