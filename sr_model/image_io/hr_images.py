"""The high-resolution (HR) images of a folder, in the layouts in which the field's test sets circulate.

A set often comes with its low-resolution (LR) images, over which no mean must be taken. By their names, these
are left out:

| folder | its HR images |
|---|---|
| `Set5/HR` with `X2`, `X4`; or with `LR_bicubic/X4` (EDSR's benchmark) | `HR` |
| `Set5/GTmod12` with `LRbicx2`, `LRbicx4` (BasicSR) | `GTmod12` |
| `DIV2K_valid_HR` with `DIV2K_valid_LR_bicubic/X4` | `DIV2K_valid_HR` |
| `HR/Set5/x4` with `LR/LRBI/Set5/x4` (RCAN) | `HR/Set5/x4` |
| `1_SRF_4_HR.png` with `1_SRF_4_LR.png` (SelfExSR); `cam_HR.png` with `cam_LR4.png` (RealSR) | `..._HR.png` |
| `Set5/baby.png` with `Set5/X4/babyx4.png` | directly in `Set5` |
| `baby.png` with `babyx4.png` or `baby_x4_reference.png` beside it | `baby.png` |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dgp_mining.images.paths import real_path
from dgp_mining.images.reader import ImageError

from .reader import images_in

_HR_WORD = re.compile(r"(hr|hq|gt)(x?\d+)?|gtmod\d+|originals?|groundtruth")
_LR_WORD = re.compile(r"lr.*|lq|bicubic")
_SCALE = re.compile(r"(^|[^a-z0-9])(x\d+[a-z]?|\d+x|srf_?\d+)($|[^a-z0-9])")
_HR_FILE = re.compile(r".+[_-](hr|gt|hq)([_-]?x?\d+(\.\d+)?)?", re.IGNORECASE)
_LR_FILE = re.compile(r".+[_-](lr[a-z]*|lq)([_-]?x?\d+(\.\d+)?)?", re.IGNORECASE)
_MADE = re.compile(r"(.+?)[_-]?x\d+(\.\d+)?([_-].*)?", re.IGNORECASE)
MOST_NAMED = 8
"""Folders that a message names; the others are only counted."""


@dataclass(frozen=True)
class HRImages:
    """The HR images of a folder."""

    root: Path
    """The folder that was searched."""
    folder: Path
    """The folder that holds the images: `root` or one below it."""
    paths: list[Path]
    """Their files, sorted."""
    left_out: tuple[str, ...] = ()
    """What in `root` is no HR image: folders relative to it, or a number of files."""

    @property
    def note(self) -> str:
        """One sentence for the user on what is left out; empty if nothing is."""
        if not self.left_out:
            return ""
        left_out = _listed(self.left_out)
        if self.folder == self.root:
            return f"{self.root}: left out, as LR or upscaled images by their names: {left_out}"
        place = _relative(self.folder, self.root)
        return f"{self.root}: the high-resolution images are those in {place}; left out: {left_out}"


def find_hr_images(
    folder: str | Path,
    argument: str = "images=",
    without: str | Path | None = None,
    several: bool = False,
) -> HRImages:
    """Find the HR images in a folder and below it: all images, unless names tell LR images from HR images.

    Args:
        folder: the folder to search.
        argument: the argument that named it, for errors.
        without: a folder that is not searched, such as that of results.
        several: whether all folders that may be those of the HR images are taken if there are several, as of
            several cameras; where no name tells of LR images, that is all folders.

    Raises:
        ImageError: if the folder does not exist, holds no images or lies in `without`; if its images are LR
            images by their names; unless `several`, if more than one folder in it may be that of the HR
            images.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp()) / "Set5"
    >>> for name in ("HR/baby.png", "X2/babyx2.png", "X4/babyx4.png"):
    ...     (root / name).parent.mkdir(parents=True, exist_ok=True)
    ...     (root / name).touch()
    >>> found = find_hr_images(root)
    >>> [path.name for path in found.paths], found.left_out
    (['baby.png'], ('X2', 'X4'))
    """
    root = Path(folder)
    paths = images_in(root, argument)
    if without is not None:
        apart = Path(without).resolve()
        paths = [path for path in paths if not real_path(path).is_relative_to(apart)]
        if not paths:
            raise ImageError(f"All images of {root} are in {without}: name another folder with {argument}.")
    low: dict[str, list[Path]] = {}
    high: dict[str, list[Path]] = {}
    unnamed: dict[str, list[Path]] = {}
    mixed = False
    for place, files in _by_folder(root, paths).items():
        kind, within = _kind_of_folder(place)
        marked = [path for path in files if _HR_FILE.fullmatch(path.stem)]
        if marked and any(_LR_FILE.fullmatch(path.stem) for path in files):
            high.setdefault(place, []).extend(marked)
            mixed = True
        elif kind == "lr":
            low[place] = files
        elif kind == "hr":
            high.setdefault(within, []).extend(_originals(files))
        else:
            unnamed[place] = _originals(files)
    candidates = {**high, **unnamed} if several and not (low or mixed) else high or unnamed
    if not (high or low):
        return _found(root, root, paths, [path for files in unnamed.values() for path in files], ())
    if not candidates:
        raise ImageError(
            f"{root} holds only low-resolution images by their names, in {_listed(low)}: name the folder of "
            f"the high-resolution images with {argument}, or one of these folders itself."
        )
    if several and len(candidates) > 1:
        all_taken = [path for files in candidates.values() for path in files]
        others = _outermost([*low, *(name for name in unnamed if name not in candidates)], candidates)
        return _found(root, root, paths, all_taken, others)
    if len(candidates) > 1:
        raise ImageError(
            f"{root} holds several folders that may be the high-resolution images, {_listed(candidates)}: "
            f"name one with {argument}, such as {root / next(iter(candidates))}."
        )
    ((place, taken),) = candidates.items()
    others = _outermost([*low, *(name for name in unnamed if high)], [place])
    return _found(root, root / place, paths, taken, others)


def _found(
    root: Path, folder: Path, paths: Sequence[Path], taken: Sequence[Path], others: Sequence[str]
) -> HRImages:
    """The images `taken`; a file next to them that is not taken joins `others`, further ones as a number."""
    places, chosen = {path.parent for path in taken}, set(taken)
    beside = [path for path in paths if path.parent in places and path not in chosen]
    files = []
    if beside:
        more = f" and {len(beside) - 1:,} more" if len(beside) > 1 else ""
        files = [f"{_relative(beside[0], root)}{more}"]
    return HRImages(root, folder, sorted(taken), (*others, *files))


def _by_folder(root: Path, paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Files by their folder relative to `root`, "." for itself."""
    folders: dict[str, list[Path]] = {}
    for path in paths:
        folders.setdefault(_relative(path.parent, root), []).append(path)
    return folders


def _kind_of_folder(place: str) -> tuple[str, str]:
    """Whether a folder's path says "hr", "lr" or "" (neither), and the HR folder that it is or lies in."""
    parts = [] if place == "." else place.split("/")
    for depth, part in enumerate(parts, 1):
        for word in re.split(r"[^a-z0-9]+", part.lower()):
            if _HR_WORD.fullmatch(word):
                # HR images that were cropped for one scale are a set of their own.
                scaled = [end for end in range(depth, len(parts)) if _SCALE.search(parts[end].lower())]
                return "hr", "/".join(parts[: scaled[-1] + 1 if scaled else depth])
            if _LR_WORD.fullmatch(word):
                return "lr", ""
    return ("lr" if any(_SCALE.search(part.lower()) for part in parts) else ""), ""


def _originals(files: Sequence[Path]) -> list[Path]:
    """The files of a folder without those that are named after another, such as a_x4.png beside a.png."""
    stems = {path.stem for path in files}
    return [path for path in files if not ((made := _MADE.fullmatch(path.stem)) and made.group(1) in stems)]


def _outermost(folders: Iterable[str], taken: Collection[str]) -> list[str]:
    """The folders that were not taken, each by the topmost folder in which nothing was."""
    tops = []
    for folder in folders:
        parts = folder.split("/")
        ends = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
        tops.append(next(top for top in ends if top == folder or not _within(taken, top)))
    return list(dict.fromkeys("what is directly in it" if top == "." else top for top in tops))


def _within(places: Iterable[str], folder: str) -> bool:
    return any(f"{place}/".startswith(f"{folder}/") for place in places)


def _listed(names: Iterable[str]) -> str:
    """Names in a sentence: a, b and c."""
    listed = ["what is directly in it" if name == "." else name for name in names]
    if len(listed) > MOST_NAMED:
        listed = [*listed[:MOST_NAMED], f"{len(listed) - MOST_NAMED:,} more"]
    return " and ".join([*([", ".join(listed[:-1])] if listed[1:] else []), listed[-1]])


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
