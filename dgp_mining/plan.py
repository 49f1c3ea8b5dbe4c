"""The plan: which crops of which images are fitted, with what settings, in which chunks.

A plan follows from the images and the settings alone, so that every machine makes the same one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .faults import patiently
from .images import ImageError, image_size, list_images
from .names import printable_name, unsafe_name
from .recipes import DEFAULT_DENSITY, RECIPES, make_recipe

CHUNK_WORK = 250_000_000
"""Pixel-iterations of a chunk: about 15 s with the native kernel on one core."""

CHUNKS = 64
"""A run is cut into at least about this many chunks, so that workers finish together."""

READERS = 16
"""Threads that read the headers of images."""


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


@dataclass(frozen=True, eq=False)
class Plan:
    """Images, their crops in order, and the settings in full."""

    folder: str | None
    """The folder of images as the user named it; None where a store has images of several."""
    settings: dict[str, Any]
    """Everything that determines the results, JSON-serialisable: `Settings` and what they stand for."""
    names: list[str]
    """[I] image paths in the folder, with '/' between their parts, sorted."""
    sizes: np.ndarray
    """[I, 2] int64, (height, width); zero where the header cannot be read."""
    nbytes: np.ndarray
    """[I] int64, file sizes."""
    problems: list[str]
    """[I] why an image has no crops, one sentence; empty where it has."""
    image: np.ndarray
    """[n] int64, the image of each crop, ascending."""
    position: np.ndarray
    """[n, 2] int64, (row, column) of each crop's first pixel."""

    @property
    def crops(self) -> int:
        """Number of crops, n."""
        return len(self.image)


def make_plan(folder: str | Path, settings: Settings, fixed: dict[str, Any]) -> Plan:
    """Choose the crops of the images in `folder`; `fixed` joins the settings as given (recipe, backend).

    Each image is cut into non-overlapping crops, on a grid at an offset drawn from the seed and the image's
    name. Of these, `max_crops` are taken in rounds, one crop of every image in each round, both in random
    order; so a small number still sees as many images as it can. Images that are unreadable or smaller than
    a crop keep a sentence that says so. Raises ImageError where no crop is left.
    """
    paths = list_images(folder)
    names = [path.relative_to(folder).as_posix() for path in paths]
    sizes, nbytes, problems = zip(*_headers(paths, settings.crop), strict=True)
    sizes, problems = np.array(sizes, np.int64), list(problems)
    for i, name in enumerate(names):
        if reason := unsafe_name(name):
            names[i], sizes[i] = printable_name(name), 0
            problems[i] = f"{folder}/{names[i]} {reason}: rename it."
    image, position = choose_crops(names, sizes, settings)
    if not len(image):
        more = f" (and {len(paths) - 1} more like it)" if len(paths) > 1 else ""
        raise ImageError(f"No image in {folder} can be mined{more}: {problems[0]}")
    return Plan(
        folder=str(folder),
        settings=json.loads(json.dumps({**vars(settings), **fixed})),  # lists for tuples, as when read back
        names=names,
        sizes=sizes,
        nbytes=np.array(nbytes, np.int64),
        problems=problems,
        image=image,
        position=position,
    )


def _headers(paths: list[Path], crop: int) -> Iterator[tuple[tuple[int, int], int, str]]:
    """Size, bytes and problem of each image. Many are read at once: on a network share it is the waiting that
    takes the time."""
    # What decoders do to the filters of warnings is not safe in threads; here it is undone.
    with warnings.catch_warnings(), ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(functools.partial(_header, crop=crop), paths)


def _header(path: Path, crop: int) -> tuple[tuple[int, int], int, str]:
    size, problem = (0, 0), ""
    try:
        size = patiently(lambda: image_size(path))
        if min(size) < crop:
            problem = (
                f"{path} is {size[1]}x{size[0]}, smaller than a crop of {crop}: take a smaller --crop or "
                "leave it out."
            )
    except ImageError as error:
        problem = str(error)
    try:
        return size, path.stat().st_size, problem
    except OSError:  # a link that leads nowhere, which is its problem already
        return size, 0, problem


def choose_crops(
    names: list[str], sizes: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:  # [n], [n, 2]
    """The image and (row, column) of each crop, ordered by both; see `make_plan`."""
    images, positions, rounds = [], [], []
    for i, (name, (height, width)) in enumerate(zip(names, sizes, strict=True)):
        rows, columns = height // settings.crop, width // settings.crop
        if rows * columns == 0:
            continue
        rng = np.random.default_rng(seed_of(settings.seed, name))
        top = rng.integers(height - rows * settings.crop + 1)
        left = rng.integers(width - columns * settings.crop + 1)
        y, x = np.divmod(np.arange(rows * columns), columns)
        positions.append(np.column_stack([y, x]) * settings.crop + (top, left))
        images.append(np.full(rows * columns, i))
        rounds.append(rng.permutation(rows * columns))
    if not images:
        return np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
    image, position = np.concatenate(images), np.concatenate(positions)
    turn = np.random.default_rng(settings.seed).permutation(len(names))[image]
    taken = np.sort(np.lexsort([turn, np.concatenate(rounds)])[: settings.max_crops])
    return image[taken], position[taken]


def chunk_length(crops: int, crop: int, iterations: int) -> int:
    """Crops per chunk of the store: a static choice, the same on every machine."""
    by_work = CHUNK_WORK // (crop * crop * iterations)
    return int(np.clip(min(by_work, crops // CHUNKS), 1, 64))


def seed_of(seed: int, name: str, *position: int) -> list[int]:
    """A seed for numpy that depends on the image's name and on the position, not on any order."""
    digest = hashlib.sha256(name.encode()).digest()
    return [seed, int.from_bytes(digest[:8], "little"), *position]


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
