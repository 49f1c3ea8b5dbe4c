"""What planning needs to know of each image: its size, how it is read, and why it cannot be mined."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..images import brightness
from ..images.failures import one_sentence
from ..images.file_content import nbytes_of
from ..images.image_file import ImageFile, turn
from ..images.kinds import colours_in_words, kind_of, levels_in_words
from ..images.limits import ImageError
from ..images.many import in_threads, told
from ..images.stored import check_levels, open_image
from ..progress import ProgressCallback
from ..retry import retry
from .grid import crop_grid
from .settings import Settings

_MASKS = threading.BoundedSemaphore(4)
"""Held while the pixels that hold data are found, for which some formats decode the whole image."""

_IS_COPY, _MINED_ONCE = " is a copy of ", ": it is mined once."


@dataclass(frozen=True, eq=False)
class Header:
    """What planning needs to know of an image."""

    size: tuple[int, int] = (0, 0)
    """(height, width); zero if the header cannot be read."""
    nbytes: int = 0
    """Bytes of the file."""
    problem: str = ""
    """Why it cannot be mined, one sentence; empty if it can."""
    kind: tuple[str, str] = ("", "")
    """How it is read, such as ("8-bit RGB PNG, sRGB", "white is 255")."""
    white_is_assumed: bool = False
    """See `brightness.white_is_assumed`; False if it cannot be mined."""
    whole: np.ndarray | None = None
    """[cells] bool, the cells of its grid without pixels that hold no data; None: all."""


def read_headers(
    paths: Sequence[Path],
    names: Sequence[str],
    settings: Settings,
    callback: ProgressCallback | None = None,
) -> list[Header]:
    """Read the headers of the images `paths`, whose names in the plan are `names`."""
    pairs = list(zip(paths, names, strict=True))
    read = in_threads(lambda pair: _header(*pair, settings), pairs)
    return list(told(read, "Reading headers", len(pairs), callback or ProgressCallback()))


def copy_of(path: Path, original: str) -> str:
    """Return the sentence in `Plan.problems` for a file with the same content as the image `original`."""
    return f"{path}{_IS_COPY}{original}{_MINED_ONCE}"


def original_of(problem: str) -> str:
    """Return the image that a copy is a copy of, from its sentence; "" if it is no copy.

    >>> original_of(copy_of(Path("photos/b.png"), "a.png"))
    'a.png'
    """
    return problem.rpartition(_IS_COPY)[2].removesuffix(_MINED_ONCE) if is_copy(problem) else ""


def is_copy(problem: str) -> bool:
    """Whether a sentence of `Plan.problems` is that of a copy, which is no fault of the folder.

    >>> is_copy(copy_of(Path("b.png"), "a.png")), is_copy("b.png is empty: replace or remove it.")
    (True, False)
    """
    return problem.endswith(_MINED_ONCE)


def faults(problems: Iterable[str]) -> list[str]:
    """Return those sentences of `Plan.problems` that say what is wrong with an image."""
    return [problem for problem in problems if problem and not is_copy(problem)]


def _header(path: Path, name: str, settings: Settings) -> Header:
    size, problem, kind, assumed = (0, 0), "", ("", ""), False
    whole: np.ndarray | None = None
    try:
        file = retry(lambda: open_image(path, settings.reading))
        kind = f"{kind_of(file)}, {colours_in_words(file)}", levels_in_words(file, settings.reading)
        size = file.size
        check_levels(file)
        assumed = brightness.white_is_assumed(file)
        if min(size) < settings.crop:
            problem = (
                f"{path} is {size[1]}x{size[0]}, smaller than a crop of {settings.crop}: use smaller crops "
                "or leave it out."
            )
        elif file.valid is not None:
            whole = _whole_cells(file, name, settings)
            if not whole.any():
                problem = (
                    f"{path} has no crop of {settings.crop}x{settings.crop} without pixels that hold no "
                    "data: use smaller crops or leave it out."
                )
    except ImageError as error:
        problem = str(error)
    try:
        nbytes = retry(lambda: nbytes_of(path))
    except OSError:  # a dangling link, for which `problem` is already set
        nbytes = 0
    return Header(size, nbytes, problem, kind, assumed and not problem, whole)


def _whole_cells(file: ImageFile, name: str, settings: Settings) -> np.ndarray:  # [cells] bool
    """Return which cells of an image's grid have data everywhere. Raises ImageError."""
    assert file.valid is not None
    with _MASKS, one_sentence(file.path):
        valid = turn(retry(file.valid), file.orientation)
    if valid.shape != file.size:
        raise ImageError(f"{file.path} has a mask of another size than its pixels: replace or remove it.")
    places, _ = crop_grid(name, file.size, settings.crop, settings.seed)
    (top, left), side = places[0], settings.crop
    rows, columns = file.size[0] // side, file.size[1] // side
    cells = valid[top : top + rows * side, left : left + columns * side]
    return cells.reshape(rows, side, columns, side).all(axis=(1, 3)).ravel()
