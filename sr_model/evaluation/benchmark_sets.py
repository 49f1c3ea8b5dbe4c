"""The test sets of the super-resolution literature, found by the names that their folders bear."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dgp_mining.images.reader import ImageError


@dataclass(frozen=True)
class BenchmarkSet:
    """A test set as the literature knows it."""

    name: str
    """Its usual name."""
    images: int
    """Number of its images."""
    pattern: str
    """Regular expression for the names of its folder, in lower case without punctuation."""


BENCHMARK_SETS = (
    BenchmarkSet("Set5", 5, r"set5"),
    BenchmarkSet("Set14", 14, r"set14"),
    BenchmarkSet("BSD100", 100, r"b100|bsds?100|bsds?"),
    BenchmarkSet("Urban100", 100, r"urban(100)?|u100"),
    BenchmarkSet("Manga109", 109, r"manga(109)?|m109"),
    BenchmarkSet("General100", 100, r"general(100)?"),
    BenchmarkSet("DIV2K", 100, r"div2k(val(id(ation)?)?)?(hr)?(100)?"),
    BenchmarkSet("LSDIR", 250, r"lsdir(val(id(ation)?)?)?(hr)?(1|250)?"),
    BenchmarkSet("Kodak", 24, r"kodak(24|photocd)?"),
)
"""The sets that both papers measure, and Kodak."""
_VALIDATION = re.compile(r"(.*valid.*hr|valhr|val1?|valid|validation)")


@dataclass(frozen=True)
class SetFolder:
    """A test set in a folder."""

    set: BenchmarkSet
    """The test set."""
    label: str
    """Its name in tables: the set's, or the folder's if another folder holds the same set."""
    folder: Path
    """Its folder, or that of its validation images, with LR images or without."""


@dataclass(frozen=True)
class FoundSets:
    """The test sets in a folder."""

    sets: list[SetFolder]
    """Those that are there, in the order of BENCHMARK_SETS."""
    absent: list[str]
    """Names of those that are not."""
    unknown: list[str]
    """Names of the folders that are none of them."""


def find_benchmark_sets(folder: str | Path, argument: str = "folder=") -> FoundSets:
    """Find test sets among the folders in `folder`; `folder` itself may also be one.

    Names are compared without case and punctuation: Set5, set5; BSD100, B100, BSDS100; DIV2K,
    DIV2K_valid_HR. Of DIV2K and LSDIR with their training images, the validation images are taken.

    Raises:
        ImageError: if the folder does not exist, or there is no test set in it; the message names `argument`.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("set5", "B100", "holiday"):
    ...     (root / name).mkdir()
    >>> found = find_benchmark_sets(root)
    >>> [one.label for one in found.sets], found.absent[:3], found.unknown
    (['Set5', 'BSD100'], ['Set14', 'Urban100', 'Manga109'], ['holiday'])
    """
    root = Path(folder)
    if not root.is_dir():
        raise ImageError(f"{root} is no folder: name one that holds test sets with {argument}.")
    inside = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    known = [(path, found) for path in inside if (found := named_set(path.name))]
    unknown = [path.name for path in inside if not named_set(path.name)]
    if not known and (itself := named_set(root.resolve().name)):
        known, unknown = [(root, itself)], []
    if not known:
        names = ", ".join(one.name for one in BENCHMARK_SETS)
        raise ImageError(
            f"{root} holds none of the folders {names}: name the folder that holds test sets with "
            f"{argument}, or measure one folder of images with images=."
        )
    known.sort(key=lambda pair: BENCHMARK_SETS.index(pair[1]))
    held = [one.name for _, one in known]
    sets = [
        SetFolder(one, one.name if held.count(one.name) == 1 else path.name, _validation(path))
        for path, one in known
    ]
    return FoundSets(sets, [one.name for one in BENCHMARK_SETS if one.name not in held], unknown)


def named_set(name: str) -> BenchmarkSet | None:
    """The test set whose folder may have this name.

    >>> [found and found.name for found in map(named_set, ("DIV2K_valid_HR", "bsds100", "DIV2K_train_HR"))]
    ['DIV2K', 'BSD100', None]
    """
    plain = _plain(name)
    return next((one for one in BENCHMARK_SETS if re.fullmatch(one.pattern, plain)), None)


def _validation(folder: Path) -> Path:
    """The folder of validation images in one that holds training images too; else the folder itself."""
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return _only((path for path in inside if _VALIDATION.fullmatch(_plain(path.name))), folder)


def _only(found: Iterable[Path], otherwise: Path) -> Path:
    listed = list(found)
    return listed[0] if len(listed) == 1 else otherwise


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
