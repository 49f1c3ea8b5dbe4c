"""The plan: which crops of which images are fitted, with which settings, in which chunks.

A plan depends only on the images and the settings, so that every machine makes the same one.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..images.paths import list_images, printable_name, unsafe_name
from ..images.reader import ImageError, image_size
from ..retry import retry
from .settings import Settings, StoreSettings

CHUNK_WORK = 250_000_000
"""Pixel-iterations of a chunk: about 15 s with the C++ library on one core."""

CHUNKS = 64
"""Approximate minimum of the chunks of a run, so that workers finish together."""

READERS = 16
"""Threads that read image headers."""


Crop = tuple[str, int, int]
"""Name of the image in the folder, row and column."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The I images and n crops of a run or store, in order, and the settings in full."""

    folder: str | None
    """The folder of images as the user named it; None if there are several."""
    settings: StoreSettings
    """Everything that determines the results, except for the images."""
    names: list[str]
    """[I] image paths in the folder, with '/' between their parts; sorted if `make_plan` made the plan."""
    sizes: np.ndarray
    """[I, 2] int64, (height, width); zero if the header cannot be read."""
    nbytes: np.ndarray
    """[I] int64, file sizes."""
    problems: list[str]
    """[I] why an image has no crops, one sentence; empty if it has."""
    image: np.ndarray
    """[n] int64, the image of each crop, as an index; ascending if `make_plan` made the plan."""
    position: np.ndarray
    """[n, 2] int64, (row, column) of each crop's first pixel."""

    @property
    def crops(self) -> int:
        """Number of crops, n."""
        return len(self.image)


def make_plan(folder: str | Path, settings: StoreSettings) -> Plan:
    """Choose the crops of the images in `folder`.

    Each image is cut into non-overlapping crops, on a grid at an offset drawn from the seed and the image's
    name. Of these, `max_crops` are taken in rounds: each round takes one crop of every image, images and
    crops in random order, so that even a small number covers as many images as possible. For an image that is
    unreadable or smaller than a crop, `Plan.problems` has the reason. Raises ImageError if no crop is left.
    """
    paths = list_images(folder)
    names = [path.relative_to(folder).as_posix() for path in paths]
    headers = list(_headers(paths, settings.crop))
    sizes = np.array([size for size, _, _ in headers], np.int64)
    problems = [problem for _, _, problem in headers]
    for i, name in enumerate(names):
        if reason := unsafe_name(name):
            names[i], sizes[i] = printable_name(name), 0
            problems[i] = f"{folder}/{names[i]} {reason}: rename it."
    image, position = choose_crops(names, sizes, settings)
    if not len(image):
        raise ImageError(_no_crop(folder, sizes, problems, settings.crop))
    return Plan(
        folder=str(folder),
        settings=settings,
        names=names,
        sizes=sizes,
        nbytes=np.array([nbytes for _, nbytes, _ in headers], np.int64),
        problems=problems,
        image=image,
        position=position,
    )


def _no_crop(folder: str | Path, sizes: np.ndarray, problems: list[str], crop: int) -> str:
    """Return why no image of a folder can be mined."""
    if sizes.min() > 0:  # all are readable
        height, width = sizes[sizes.min(axis=1).argmax()]
        return (
            f"No image in {folder} is large enough for a crop of {crop}x{crop} pixels: the largest is "
            f"{width}x{height}. Take smaller crops with crop=."
        )
    others = f" ({len(problems) - 1} more cannot be mined either.)" if len(problems) > 1 else ""
    return f"No image in {folder} can be mined: {problems[0]}{others}"


def _headers(paths: list[Path], crop: int) -> Iterator[tuple[tuple[int, int], int, str]]:
    """Yield size, bytes and problem of each image, read by many threads because network shares are slow."""
    # Decoders change the warning filters, which is not thread-safe; they are restored here.
    with warnings.catch_warnings(), ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(functools.partial(_header, crop=crop), paths)


def _header(path: Path, crop: int) -> tuple[tuple[int, int], int, str]:
    size, problem = (0, 0), ""
    try:
        size = retry(lambda: image_size(path))
        if min(size) < crop:
            problem = (
                f"{path} is {size[1]}x{size[0]}, smaller than a crop of {crop}: use smaller crops or "
                "leave it out."
            )
    except ImageError as error:
        problem = str(error)
    try:
        return size, path.stat().st_size, problem
    except OSError:  # a dangling link, for which `problem` is already set
        return size, 0, problem


def choose_crops(
    names: list[str], sizes: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:  # [n], [n, 2]
    """Return the image and the (row, column) of each crop, ordered by both; see `make_plan`."""
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
    """Return the number of crops per chunk of the store, which is the same on every machine."""
    by_work = CHUNK_WORK // (crop * crop * iterations)
    return int(np.clip(min(by_work, crops // CHUNKS), 1, 64))


def seed_of(seed: int, name: str, *position: int) -> list[int]:
    """Return a seed for numpy that depends on the seed, the image's name and the position alone."""
    digest = hashlib.sha256(name.encode()).digest()
    return [seed, int.from_bytes(digest[:8], "little"), *position]


def fit_seed(seed: int, crop: Crop) -> tuple[int, np.random.Generator]:
    """Return the seed of a crop's fit, and the generator that samples the fitted Gaussians afterwards.

    Both depend only on the run's seed, the image's name and the position.

    >>> fit_seed(0, ("a.png", 0, 32))[0] == fit_seed(0, ("a.png", 0, 32))[0]
    True
    """
    rng = np.random.default_rng(seed_of(seed, *crop))
    return int(rng.integers(2**31)), rng
