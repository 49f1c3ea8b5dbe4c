"""What determines a mining run: `Settings`, and how two runs' settings differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..fitting.recipes import DEFAULT_DENSITY, RECIPES, make_recipe


@dataclass(frozen=True)
class Settings:
    """What determines a mining run, beside the images."""

    crop: int = 256
    """Side of the square crops, pixels."""
    max_crops: int | None = None
    """Most crops to fit, spread evenly over the images; None: all that fit without overlapping."""
    density: float = DEFAULT_DENSITY
    """Gaussians per pixel."""
    recipe: str = "fast"
    """How to fit: one of `recipes.RECIPES`."""
    iterations: int | None = None
    """Optimiser steps; None: the recipe's own number."""
    seed: int = 0
    """Of the choice of crops, of random starts and of the samples of Gaussians."""
    keep_fields: bool = False
    """Store every Gaussian, not only the statistics."""
    snapshots: tuple[int, ...] | None = None
    """Iterations at which to store statistics, too, ascending; None: at none."""
    target_psnr: float | None = None
    """A fit ends once its PSNR on the fitted pixels reaches this, dB; None: when its iterations are done."""

    def __post_init__(self) -> None:
        least = {"crop": 16, "max_crops": 1, "iterations": 1, "seed": 0}
        for name, value in least.items():
            if getattr(self, name) is not None and getattr(self, name) < value:
                raise ValueError(f"{_option(name)} must be at least {value}, got {getattr(self, name)}.")
        if self.recipe not in RECIPES:
            raise ValueError(f"--recipe must be one of {', '.join(RECIPES)}, got {self.recipe!r}.")
        if self.target_psnr is not None and not 0 < self.target_psnr < math.inf:
            raise ValueError(f"--target-psnr must be above 0 dB, got {self.target_psnr}.")
        if self.target_psnr is not None and self.snapshots:
            raise ValueError("--snapshots has iterations that a fit with --target-psnr may not reach.")
        if looks := self.snapshots:
            if list(looks) != sorted(set(looks)) or looks[0] < 0:
                raise ValueError(f"--snapshots must be ascending iterations such as 0,50,100, got {looks}.")
            if looks[-1] > (most := make_recipe(self.recipe, self.iterations).iterations):
                raise ValueError(f"--snapshots has {looks[-1]}, but a fit has {most} iterations.")
        if not 0 < self.density <= 4:
            raise ValueError(f"--density must be above 0 and at most 4, got {self.density}.")


def differences(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """'name: stored value there, asked value here' for every setting that differs."""
    sentences = []
    for key in sorted(stored.keys() | asked.keys()):
        there, here = stored.get(key), asked.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            sentences += [f"{key} {text}" for text in differences(there, here)]
        elif there != here:
            sentences.append(f"{key} is {there} there and {here} here")
    return sentences


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
