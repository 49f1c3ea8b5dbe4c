"""The settings of a mining run: `Settings` as given, `StoreSettings` in full; comparing two."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypedDict

import splat2d

from ..fitting import statistics
from ..fitting.recipes import (
    DEFAULT_DENSITY,
    RECIPES,
    FastRecipe,
    GaussianImageRecipe,
    Recipe,
    former_recipe,
    longest,
    make_recipe,
)
from ..images.paths import printable_name
from ..images.reading import Reading
from ..schema import LARGEST, as_kind, check_depth, shortened

HELD_OUT_SHARE = 0.25
"""Default share of the crops whose held-out-pixel PSNR is measured: each measurement costs a quarter of a
fit, and the mean of a quarter of many crops is known well enough."""

ALL_HELD_OUT = 100
"""Number of crops up to which all are measured by default."""


MOST = {"crop": 16_384, "max_crops": 10**9, "iterations": 10**7, "seed": LARGEST - 1}
"""Largest values of settings: a crop of more pixels takes tens of gigabytes, more iterations weeks."""

MOST_SNAPSHOTS = 1000
"""Most iterations at which statistics are stored."""


@dataclass(frozen=True)
class Settings:
    """The settings that determine, together with the images, the results of a mining run.

    Raises ValueError if a value is out of its range.

    >>> Settings(crop=64, max_crops=500).recipe
    'fast'
    """

    crop: int = 256
    """Side of the square crops, pixels."""
    max_crops: int | None = None
    """Largest number of crops, sampled evenly over the images; None: all crops that do not overlap."""
    density: float = DEFAULT_DENSITY
    """Gaussians per pixel."""
    recipe: str = "fast"
    """Fitting recipe: one of `recipes.RECIPES`."""
    iterations: int | None = None
    """Optimiser steps; None: the recipe's own number."""
    seed: int = 0
    """Seeds the choice of crops, random initialisations and the sampling of Gaussians."""
    keep_fields: bool = False
    """Store every Gaussian, not only the statistics."""
    snapshots: tuple[int, ...] | None = None
    """Iterations, ascending, at which statistics are stored as well; None: only at the end."""
    target_psnr: float | None = None
    """PSNR on the fitted pixels, dB, at which a fit ends early; None: every fit runs all its iterations."""
    white: float | None = None
    """The stored number that is white; None: what each file says. This and what follows: see `Reading`."""
    window: tuple[float, float] | None = None
    """The stored numbers that are black and white."""
    axis: str | None = None
    """Axis across which a volume or series is cut."""
    slice: int | None = None
    """Number of the slice, frame or page that is read."""
    tone: str = "clip"
    """What becomes of linear light above white."""
    held_out_share: float | None = None
    """Share of the crops, drawn from the seed, whose held-out-pixel PSNR is measured, above 0 and at most 1;
    None: all of up to 100 crops, otherwise `HELD_OUT_SHARE`. It changes nothing else."""

    def __post_init__(self) -> None:
        if self.white is not None:  # equal numbers must give equal digests
            object.__setattr__(self, "white", float(self.white))
        if self.window is not None:
            object.__setattr__(self, "window", tuple(float(level) for level in self.window))
        _ = self.reading  # raises ValueError
        least = {"crop": 16, "max_crops": 1, "iterations": 1, "seed": 0}
        for name, value in least.items():
            if getattr(self, name) is not None and getattr(self, name) < value:
                raise ValueError(f"{name}= must be at least {value}, got {getattr(self, name)}.")
            if getattr(self, name) is not None and getattr(self, name) > MOST[name]:
                raise ValueError(f"{name}= must be at most {MOST[name]:,}, got {getattr(self, name)}.")
        if len(self.snapshots or ()) > MOST_SNAPSHOTS:
            raise ValueError(
                f"snapshots= has {len(self.snapshots or ())} iterations, more than {MOST_SNAPSHOTS}."
            )
        if self.recipe not in RECIPES:
            raise ValueError(f"recipe= must be one of {', '.join(RECIPES)}, got {self.recipe!r}.")
        if self.target_psnr is not None and not 0 < self.target_psnr < math.inf:
            raise ValueError(f"target_psnr= must be a finite number above 0 dB, got {self.target_psnr}.")
        if self.target_psnr is not None and self.snapshots:
            raise ValueError("snapshots= has iterations that a fit with target_psnr= may not reach.")
        if looks := self.snapshots:
            if list(looks) != sorted(set(looks)) or looks[0] < 0:
                raise ValueError(f"snapshots= must be ascending iterations such as 0,50,100, got {looks}.")
            if looks[-1] > (self.iterations or longest(self.recipe)):
                most = make_recipe(self.recipe, self.iterations).iterations
                raise ValueError(f"snapshots= has {looks[-1]}, but a fit has {most} iterations.")
        if self.held_out_share is not None and not 0 < self.held_out_share <= 1:
            raise ValueError(f"held_out_share= must be above 0 and at most 1, got {self.held_out_share}.")
        if not 0 < self.density <= 4:
            raise ValueError(f"density= must be above 0 and at most 4, got {self.density}.")

    @property
    def reading(self) -> Reading:
        """How images are read. Raises ValueError if a choice is out of its range."""
        return Reading(self.white, self.window, self.axis, self.slice, self.tone)


@dataclass(frozen=True)
class StatisticsSettings:
    """The numbers that determine the statistics of a fitted crop; see fitting/statistics.py."""

    sample: int = statistics.SAMPLE_SIZE
    """Gaussians sampled from each crop."""
    dead: float = statistics.DEAD_AMPLITUDE
    """Amplitude below which a Gaussian is dead."""
    border: float = statistics.BORDER
    """Grid spacings from the crop's side within which a Gaussian belongs to the border."""
    bins: int = statistics.BINS
    """Bins of each histogram."""
    ranges: tuple[tuple[float, float], ...] = statistics.RANGES
    """Range of each histogram."""


class FitArguments(TypedDict, total=False):
    """Keyword arguments of `fit_image`, without the seed."""

    density: float
    recipe: Recipe
    iterations: int
    target_psnr: float


class SettingsKeysError(ValueError):
    """Stored settings have other keys than this version's: another version wrote them."""


@dataclass(frozen=True, kw_only=True)
class StoreSettings(Settings):
    """The settings of a store in full: `Settings` and every number that follows from them."""

    iterations: int = field()
    """Optimiser steps."""
    fit: Recipe
    """The numbers of the recipe."""
    statistics: StatisticsSettings
    """The numbers that determine the statistics."""
    backend: str
    """The backend of the fits: 'cpu', 'torch' or 'cuda'."""
    held_out_share: float = 1.0
    """As in `Settings`; older stores measure all crops."""
    stored: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """Keys of the JSON form, in order; older stores lack some. Empty: all keys."""

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> StoreSettings:
        """Return the settings that a store holds as JSON.

        Raises SettingsKeysError if keys are missing or unknown, ValueError or TypeError for an invalid value.
        """
        check_depth(settings, "its settings")
        if not isinstance(settings, dict):
            raise ValueError("its settings must be a table")
        _check_keys(settings, _ALL, optional=_ADDED_LATER)
        _check_values(settings)
        values = dict(settings)
        recipe = FastRecipe if "start_sigma" in values["fit"] else GaussianImageRecipe
        adam = _ADAM if recipe is FastRecipe else {}
        values["fit"] = recipe(iterations=values["iterations"], **adam | _as_tuples(values["fit"]))
        values["statistics"] = StatisticsSettings(**_as_tuples(values["statistics"]))
        return cls(stored=tuple(settings), **_as_tuples(values))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, with the keys of `from_json` in the same order."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["fit"] = {
            key: value
            for key, value in asdict(self.fit).items()
            if key != "iterations" and (key, value) not in _ADAM.items()
        }
        plain["statistics"] = asdict(self.statistics)
        return {key: _as_lists(plain[key]) for key in self.stored or _ALL}

    @property
    def is_of_earlier_version(self) -> bool:
        """Whether the recipe has the numbers that it had in an earlier version."""
        return former_recipe(self.recipe, self.fit) is not None

    def fit_arguments(self) -> FitArguments:
        """Return the arguments of `fit_image` that are the same for every crop."""
        arguments = FitArguments(density=self.density, recipe=self.fit, iterations=self.iterations)
        if self.target_psnr is not None:
            arguments["target_psnr"] = self.target_psnr
        return arguments


_ALL = tuple(f.name for f in fields(StoreSettings) if f.name != "stored")
_ADAM = {"opposed": 1.0}
"""Numbers of a recipe that stores have only if they are others: older stores lack them."""

_ADDED_LATER = ("snapshots", "target_psnr", *(f.name for f in fields(Reading)), "held_out_share")


def resolve_settings(
    settings: Settings, device: str = "cpu", begun: StoreSettings | None = None
) -> StoreSettings:
    """Return `settings` with every number that follows from them, for fits on `device`, "cpu" or "cuda".

    A store that was `begun` with former numbers of the same recipe, or another share of measured crops, goes
    on with them unless `settings` name others.
    """
    recipe = make_recipe(settings.recipe, settings.iterations)
    if begun and begun.recipe == settings.recipe and (former := former_recipe(begun.recipe, begun.fit)):
        recipe = make_recipe(former, settings.iterations)
    share = settings.held_out_share or (begun.held_out_share if begun else HELD_OUT_SHARE)
    return StoreSettings(
        **{**vars(settings), "iterations": recipe.iterations, "held_out_share": share},
        fit=recipe,
        statistics=StatisticsSettings(),
        backend=splat2d.backend() if device == "cpu" else device,
    )


def differences(stored: StoreSettings, asked: StoreSettings) -> list[str]:
    """Return 'name is (stored value) there and (asked value) here' for every setting that differs.

    Except for `max_crops`, which may grow.
    """
    return _differences(
        replace(stored, max_crops=None, stored=()).to_json(),
        replace(asked, max_crops=None, stored=()).to_json(),
    )


def _differences(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    sentences = []
    for key in sorted(stored.keys() | asked.keys()):
        there, here = stored.get(key), asked.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            sentences += [f"{key} {text}" for text in _differences(there, here)]
        elif there != here:
            sentences.append(f"{key} is {_spelt(there)} there and {_spelt(here)} here")
    return sentences


def _spelt(value: Any) -> str:
    """A setting as it is given: no number has a needless ".0", and None was not given."""
    if isinstance(value, list):
        return ",".join(map(_spelt, value))
    return "not given" if value is None else str(value).removesuffix(".0")


def _check_values(settings: dict[str, Any]) -> None:
    """Raise ValueError, naming the setting, if a value has another type or is out of its range."""
    given = {one.name for one in fields(Settings)}
    as_kind({name: value for name, value in settings.items() if name in given}, Settings, "its settings")
    for name in ("fit", "statistics"):
        as_kind(settings[name], dict[str, Any], f"its settings.{name}")
    recipe = FastRecipe if "start_sigma" in settings["fit"] else GaussianImageRecipe
    _check_keys(
        settings["fit"], [one.name for one in fields(recipe) if one.name != "iterations"], tuple(_ADAM)
    )
    as_kind(settings["fit"], recipe, "its settings.fit")
    _check_keys(settings["statistics"], [one.name for one in fields(StatisticsSettings)])
    as_kind(settings["statistics"], StatisticsSettings, "its settings.statistics")
    as_kind(settings["iterations"], int, "its settings.iterations")
    # Any name: a run with another one than its own is refused by name (`workers.worker`).
    if not re.fullmatch(r"[\w-]{1,40}", as_kind(settings["backend"], str, "its settings.backend")):
        raise ValueError("its settings.backend must be a name of 1 to 40 letters, digits, _ or -")


def _check_keys(found: Mapping[str, Any], expected: Any, optional: tuple[str, ...] = ()) -> None:
    missing = [key for key in expected if key not in found and key not in optional]
    unknown = [printable_name(shortened(str(key), 60)) for key in found if key not in expected]
    if missing or unknown:
        sentences = [f"lacks {', '.join(missing)}"] * bool(missing)
        sentences += [f"has the unknown {', '.join(unknown[:5])}"] * bool(unknown)
        raise SettingsKeysError(" and ".join(sentences))


def _as_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _as_tuple(value) for key, value in values.items()}


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(one) for one in value) if isinstance(value, list) else value


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_lists(one) for key, one in value.items()}
    return [_as_lists(one) for one in value] if isinstance(value, tuple) else value
