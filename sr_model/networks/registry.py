"""The architectures by name. To add one, in five steps:

1. `networks/<name>/settings.py`: a frozen dataclass that extends `NetworkSettings`, with field docstrings.
2. `networks/<name>/network.py`: a class that extends `Network`; its constructor takes (settings, dictionary).
3. Here: one line in `ARCHITECTURES`. If it has no use for a prior, `with_prior` returns (settings, None).
4. `config/presets.py`: presets `<name>-demo` and `<name>-paper`, the defaults of `sr-train --arch <name>`.
5. `tests/sr_model/networks/<name>/test_network.py`, and its line in `tests/test_layers.py`.

Training, checkpoints, TOML settings, evaluation and upscaling take the new architecture from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from torch import Tensor

from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.schema import as_kind, shortened

from .base import Network, NetworkSettings
from .continuoussr.dictionary_choice import with_prior as continuoussr_with_prior
from .continuoussr.network import ContinuousSR
from .continuoussr.settings import ContinuousSRSettings
from .gsasr.initial_kernel import with_prior as gsasr_with_prior
from .gsasr.network import GSASR
from .gsasr.settings import GSASRSettings

SettingsT = TypeVar("SettingsT", bound=NetworkSettings)


@dataclass(frozen=True)
class Architecture(Generic[SettingsT]):
    """What the rest of the package needs to know about an architecture."""

    settings: type[SettingsT]
    """Its settings."""
    network: Callable[[SettingsT, Tensor | None], Network]
    """Its class. It is called with the settings and the kernels to blend ([K, 3] Cholesky factors in grid
    spacings, or None)."""
    with_prior: Callable[[SettingsT, Dictionary], tuple[SettingsT, Dictionary | None]]
    """Function that applies a mined prior: it returns the settings to build, and the dictionary to blend."""
    needs_prior: bool
    """Whether the network cannot be built without a prior."""


ARCHITECTURES: dict[str, Architecture[Any]] = {
    "continuoussr": Architecture(
        ContinuousSRSettings, ContinuousSR, continuoussr_with_prior, needs_prior=True
    ),
    "gsasr": Architecture(GSASRSettings, GSASR, gsasr_with_prior, needs_prior=False),
}
"""The architectures by name, as in checkpoints and on the command line."""
DEFAULT_ARCHITECTURE = "continuoussr"
"""Architecture if a command names none, and of checkpoints written before there was a second architecture."""


def architecture_name(settings: NetworkSettings) -> str:
    """Return the name of the architecture that `settings` belong to."""
    return next(name for name, known in ARCHITECTURES.items() if isinstance(settings, known.settings))


def needs_prior(settings: NetworkSettings) -> bool:
    """Return whether a network with these settings cannot be built without a prior."""
    return ARCHITECTURES[architecture_name(settings)].needs_prior


def with_prior(
    settings: NetworkSettings, prior: Dictionary | None
) -> tuple[NetworkSettings, Dictionary | None]:
    """Return the settings to build and the dictionary that the network blends, given a mined prior.

    ContinuousSR blends the prior's kernels, or others in their place; the Gaussians of a GSASR may start as
    the prior's mean kernel.

    Raises:
        ValueError: if a prior is needed and `prior` is None, or the settings ask for more than it has.
    """
    name = architecture_name(settings)
    if prior is not None:
        return ARCHITECTURES[name].with_prior(settings, prior)
    if ARCHITECTURES[name].needs_prior:
        raise ValueError(f"{name} needs a dictionary of kernels: name one with prior=")
    return settings, None


def build_network(settings: NetworkSettings, dictionary: Tensor | None = None) -> Network:
    """Return a network with fresh weights.

    Args:
        settings: of any architecture.
        dictionary: [K, 3] Cholesky factors in grid spacings; ContinuousSR needs them, GSASR ignores them.

    Raises:
        ValueError: if the dictionary is missing or cannot give the start kernel.
    """
    return ARCHITECTURES[architecture_name(settings)].network(settings, dictionary)


def settings_from(name: str, header: Mapping[str, Any]) -> NetworkSettings:
    """Return the settings in a file's header; fields newer than the file have their defaults.

    Raises:
        ValueError: for an architecture or a field unknown here, a field without default that is missing, or
            one with a value of another type or that it cannot have; it names the field.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"there is no architecture {shortened(str(name), 60)} here")
    settings: type[NetworkSettings] = ARCHITECTURES[name].settings
    unknown = header.keys() - {field.name for field in fields(settings)}
    if unknown:
        raise ValueError(f"there is no network setting {shortened(', '.join(sorted(unknown)))} here")
    return as_kind(dict(header), settings, "network")
