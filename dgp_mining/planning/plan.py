"""The plan: which crops of which images are fitted, with which settings, in which chunks.

A plan depends only on the images and the settings, so that every machine makes the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..images.brightness import too_dark
from ..images.copies import copies
from ..images.kinds import alike
from ..images.limits import ImageError
from ..images.paths import counted, list_folder, printable_name, unsafe_name
from ..images.reading import Reading
from ..progress import ProgressCallback
from .grid import crop_grid, seed_of
from .headers import Header, copy_of, is_copy, read_headers
from .settings import Settings, StoreSettings

CHUNK_WORK = 250_000_000
"""Pixel-iterations of a chunk: about 15 s with the C++ library on one core."""

CHUNKS = 64
"""Approximate minimum of the chunks of a run, so that workers finish together."""

LEAST_CHUNK, LARGEST_CHUNK = 12, 128
"""Crops of a chunk that is fitted in pieces (store/pieces.py), as its crops take long or are many. It has 9
to 17 files."""

MOST_CHUNKS = 50_000
"""Chunks grow rather than become more: a store is listed, and its small arrays are read, chunk by chunk."""

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
    kinds: Mapping[str, int] = field(default_factory=dict)
    """How images with crops are read, and their numbers; known only if `make_plan` made the plan."""
    notes: tuple[str, ...] = ()
    """Sentences on the folder: what is not read, whether white is likely another; as `kinds`."""

    @property
    def crops(self) -> int:
        """Number of crops, n."""
        return len(self.image)


Mined = Callable[[Sequence[Path], Sequence[str], Sequence[Header]], Mapping[int, str]]
"""Finds the images that were mined before under other names: index -> that name."""


def make_plan(
    folder: str | Path,
    settings: StoreSettings,
    mined: Mined | None = None,
    callback: ProgressCallback | None = None,
) -> Plan:
    """Choose the crops of the images in `folder`.

    Each image is cut into non-overlapping crops, on a grid at an offset drawn from the seed and the image's
    name. Of these, `max_crops` are taken in rounds: each round takes one crop of every image, images and
    crops in random order, so that even a small number covers as many images as possible. For an image that is
    unreadable or smaller than a crop, `Plan.problems` has the reason. Of copies
    (see `images.copies`) one is mined, or none if `mined` has it, and crops with pixels that hold no data are
    left out. Raises ImageError if no crop is left, unless `mined` has some.
    """
    listed = list_folder(folder, callback=callback)
    paths, names = [Path(folder) / name for name in listed.images], list(listed.images)
    headers = read_headers(paths, names, settings, callback)
    sizes = np.array([header.size for header in headers], np.int64)
    problems = [header.problem for header in headers]
    for i, name in enumerate(names):
        if reason := unsafe_name(name):
            names[i], sizes[i] = printable_name(name), 0
            problems[i] = f"{folder}/{names[i]} {reason}: rename it."
    usable = [i for i, problem in enumerate(problems) if not problem]
    for i, original in _copies(paths, names, headers, usable, settings.reading, mined).items():
        problems[i] = copy_of(paths[i], original)
    without = np.array([bool(problem) for problem in problems])
    # As if copies were not there, which therefore change no choice.
    once = np.array([i for i, problem in enumerate(problems) if not is_copy(problem)], np.int64)
    whole = {at: headers[i].whole for at, i in enumerate(once) if headers[i].whole is not None}
    chosen = np.where(without[:, None], 0, sizes)[once]
    image, position = choose_crops([names[i] for i in once], chosen, settings, whole)
    image = once[image]
    if not len(image) and not any(map(is_copy, problems)):  # then others are copies of mined ones
        raise ImageError(_no_crop(folder, sizes, problems, settings.crop))
    deep = [path for path, header in zip(paths, headers, strict=True) if header.white_is_assumed]
    notes = [f"{counted(listed.others)}."] if listed.others else []
    notes += filter(None, [too_dark(deep, settings.reading, settings.seed)])
    return Plan(
        folder=str(folder),
        settings=settings,
        names=names,
        sizes=sizes,
        nbytes=np.array([header.nbytes for header in headers], np.int64),
        problems=problems,
        image=image,
        position=position,
        kinds=Counter(alike([headers[i].kind for i in np.unique(image)])),
        notes=tuple(notes),
    )


def _copies(
    paths: Sequence[Path],
    names: Sequence[str],
    headers: Sequence[Header],
    usable: Sequence[int],
    reading: Reading,
    mined: Mined | None,
) -> dict[int, str]:
    """Return which of the `usable` images are copies: index -> name of the image that is mined instead."""
    usable_paths, usable_headers = [paths[i] for i in usable], [headers[i] for i in usable]
    same = copies(usable_paths, [h.nbytes for h in usable_headers], [h.size for h in usable_headers], reading)
    found = {usable[copy]: names[usable[first]] for copy, first in same.items()}
    if not mined:
        return found
    left = [i for i in usable if i not in found]
    before = mined([paths[i] for i in left], [names[i] for i in left], [headers[i] for i in left])
    for at, original in before.items():
        instead = {names[left[at]]: original}  # also for its copies, of which the mined one may be one
        found = {i: instead.get(first, first) for i, first in found.items() if names[i] != original}
        found[left[at]] = original
    return found


def _no_crop(folder: str | Path, sizes: np.ndarray, problems: list[str], crop: int) -> str:
    """Return why no image of a folder can be mined."""
    if sizes.min() > 0 and sizes.min(axis=1).max() < crop:  # all are readable
        height, width = sizes[sizes.min(axis=1).argmax()]
        return (
            f"No image in {folder} is large enough for a crop of {crop}x{crop} pixels: the largest is "
            f"{width}x{height}. Take smaller crops with crop=."
        )
    others = f" {len(problems) - 1} more cannot be mined either." if len(problems) > 1 else ""
    return f"No image in {folder} can be mined: {problems[0]}{others}"


def choose_crops(
    names: list[str],
    sizes: np.ndarray,
    settings: Settings,
    whole: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> tuple[np.ndarray, np.ndarray]:  # [n], [n, 2]
    """Return the image and the (row, column) of each crop, ordered by both; see `make_plan`.

    `whole` has, for the images with pixels that hold no data, [cells] bool: the cells of the grid without
    such pixels.
    """
    images, positions, rounds = [], [], []
    for i, (name, (height, width)) in enumerate(zip(names, sizes, strict=True)):
        if min(height, width) < settings.crop:
            continue
        places, rng = crop_grid(name, (height, width), settings.crop, settings.seed)
        order = rng.permutation(len(places))
        if i in whole:
            places, order = places[whole[i]], np.argsort(np.argsort(order[whole[i]]))
        positions.append(places)
        images.append(np.full(len(places), i))
        rounds.append(order)
    if not images:
        return np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
    image, position = np.concatenate(images), np.concatenate(positions)
    turn = np.random.default_rng(settings.seed).permutation(len(names))[image]
    taken = np.sort(np.lexsort([turn, np.concatenate(rounds)])[: settings.max_crops])
    return image[taken], position[taken]


def chunk_length(crops: int, crop: int, iterations: int) -> int:
    """Return the number of crops per chunk of the store, which is the same on every machine."""
    by_work, by_number = piece_length(crop, iterations), -(-crops // MOST_CHUNKS)
    if by_work < LEAST_CHUNK:
        return int(np.clip(crops, 1, np.clip(by_number, LEAST_CHUNK, LARGEST_CHUNK)))
    return int(np.clip(crops // CHUNKS, 1, np.clip(by_number, by_work, max(by_work, LARGEST_CHUNK))))


def piece_length(crop: int, iterations: int) -> int:
    """Return the number of crops that are fitted, and kept, together: CHUNK_WORK, but at most 64."""
    return int(np.clip(CHUNK_WORK // (crop * crop * iterations), 1, 64))


def count_pieces(crops: int, crop: int, iterations: int) -> int:
    """Return into how many pieces, or whole chunks, `crops` crops are divided."""
    chunk = chunk_length(crops, crop, iterations)
    piece = min(chunk, piece_length(crop, iterations))
    return crops // chunk * -(-chunk // piece) + -(-(crops % chunk) // piece)


def fit_seed(seed: int, crop: Crop) -> tuple[int, np.random.Generator]:
    """Return the seed of a crop's fit, and the generator that samples the fitted Gaussians afterwards.

    Both depend only on the run's seed, the image's name and the position.

    >>> fit_seed(0, ("a.png", 0, 32))[0] == fit_seed(0, ("a.png", 0, 32))[0]
    True
    """
    rng = np.random.default_rng(seed_of(seed, *crop))
    return int(rng.integers(2**31)), rng


def is_measured(fit_seed: int, share: float) -> bool:
    """Whether the held-out-pixel PSNR of the crop with this seed is measured, as that of a `share` of all.

    >>> is_measured(2**30, 0.6), is_measured(2**30, 0.4)
    (True, False)
    """
    return fit_seed < share * 2**31
