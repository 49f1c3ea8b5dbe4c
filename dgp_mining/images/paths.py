"""Listing the images of a folder, and checking that image names do not lead out of it on any system."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..harmless import harmless, is_harmless
from ..progress import ProgressCallback
from .formats.table import FOLDER_SUFFIXES, FORMATS, format_of, head_of, suffix_of
from .formats.table import SUFFIXES as SUFFIXES
from .limits import ImageError

MOST_KINDS = 6
"""Suffixes that `counted` names; if there are two others or more, they are only counted."""

MOST_FILES = 10_000_000
"""Files and folders of a folder of images, with those below: a list of more takes gigabytes."""

_ZARR = frozenset({"zarr.json", ".zgroup", ".zarray", ".zattrs"})
"""Files that a Zarr store has, of either format."""

_DRIVE = re.compile(r"[A-Za-z]:")


def unsafe_name(name: str) -> str | None:
    """Return why `name`, a path relative to a folder of images, must not be used; None if it is safe.

    >>> unsafe_name("../secret.png")
    "leads out of its folder by '..'"
    """
    parts = name.split("/")
    if ".." in parts:
        return "leads out of its folder by '..'"
    if "" in parts or "." in parts or _DRIVE.match(name):
        return "is not the path of a file in a folder"
    if "\\" in name or not is_harmless(name):
        return "contains a backslash or an unprintable character"
    return None


def real_path(path: str | Path) -> Path:
    """Return the absolute path of a file without links, as `Path.resolve`.

    A link to itself keeps its path; `Path.resolve` raises RuntimeError for it in Python before 3.13.

    >>> real_path("/a/../b").as_posix()[-2:]
    '/b'
    """
    return Path(os.path.realpath(path))


def printable_name(name: str) -> str:
    """Replace harmful characters and backslashes in `name`, so that it can be shown and stored.

    >>> printable_name("a\\x1b[2Jb.png")
    'a�[2Jb.png'
    """
    return harmless(name).replace("\\", "\N{REPLACEMENT CHARACTER}")


def list_images(folder: str | Path) -> list[Path]:
    """List all images in `folder` and its subfolders, sorted by their path in it.

    Everything with the suffix of an image is listed, even broken links and pipes, and so are folders without
    read permission; `read_image` raises an error for these. Files without a suffix are listed if they are
    DICOM, whose names have none by its standard (PS3.10, 8.2). Links to folders are followed, but no folder
    is entered twice, by whatever path; a Zarr store is one image (OME-Zarr) or none. Hidden files and folders
    are skipped.

    Raises ImageError if the folder does not exist or holds no images.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.jpg", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in list_images(folder)]
    ['a.jpg', 'b.png']
    """
    folder = Path(folder)
    return [folder / name for name in list_folder(folder).images]


@dataclass(frozen=True)
class Listing:
    """What a folder and its subfolders hold, sorted; paths below the folder, with '/' between their parts."""

    images: list[str]
    """What `list_images` lists."""
    others: list[str]
    """All other files, except for hidden ones."""


def list_folder(
    folder: str | Path, may_be_empty: bool = False, callback: ProgressCallback | None = None
) -> Listing:
    """List the images, as `list_images` does, and the other files of a folder.

    Raises ImageError if the folder does not exist, holds more than MOST_FILES, or holds no images unless it
    `may_be_empty`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise ImageError(f"{folder} is a file: images= takes a folder.")
        raise ImageError(f"The folder {folder} does not exist: name a folder of images with images=.")
    if is_image_folder(folder):
        raise ImageError(f"{folder} is one image: name the folder that holds it with images=.")
    found: dict[bool, list[str]] = {True: [], False: []}
    for name, is_image in _files(folder, callback or ProgressCallback()):
        found[is_image].append(name)
    # The pixels of NIfTI's pairs are read by their headers.
    pairs = {name[: -len(".hdr")] for name in found[True] if name.lower().endswith(".hdr")}
    found[False] = [
        name for name in found[False] if not (name.lower().endswith(".img") and name[: -len(".img")] in pairs)
    ]
    if not (found[True] or may_be_empty):
        held = f"; {counted(found[False])}" if found[False] else ""
        raise ImageError(
            f"The folder {folder} holds no images that can be read{held}: name another with images=."
        )
    return Listing(sorted(found[True]), sorted(found[False]))


def counted(names: Iterable[str]) -> str:
    """Count files by their suffix, the most frequent first, without a suffix last.

    >>> counted(["a.heic", "b.HEIC", "c.cr3", "README"])
    '4 other files are not read: 2 .heic, 1 .cr3, 1 without a suffix'
    """
    numbers = Counter(map(_kind, names))
    kinds = sorted(numbers, key=lambda suffix: (not suffix, -numbers[suffix], suffix))
    named = len(kinds) if len(kinds) <= MOST_KINDS + 1 else MOST_KINDS
    shown = [f"{numbers[kind]:,} {kind or 'without a suffix'}" for kind in kinds[:named]]
    if others := kinds[named:]:
        shown.append(f"{sum(numbers[kind] for kind in others):,} of {len(others)} more kinds")
    total = numbers.total()
    return f"{total:,} other {'file is' if total == 1 else 'files are'} not read: {', '.join(shown)}"


def _kind(name: str) -> str:
    """The suffix of a file; "" for what only looks like one, as in '1.2.840' or 'Fig. 3 (old)'."""
    suffix = suffix_of(name.rpartition("/")[2])
    return suffix if re.fullmatch(r"(\.[a-z0-9_~-]{1,10})+", suffix) and not suffix[1:].isdecimal() else ""


def _files(folder: Path, callback: ProgressCallback) -> Iterator[tuple[str, bool]]:
    """Yield the paths of the files in `folder` and below, relative to it, and whether each is an image.

    Folders wait in a list, so that they may be nested as deep as a path can be long.
    """
    waiting, entered, found = [("", os.path.realpath(folder))], set[tuple[int, int] | str](), 0
    while waiting:
        below, real = waiting.pop()
        try:
            if (known := _identity(real)) in entered:
                continue
            entered.add(known)
            entries = _entries(real, MOST_FILES - found)
        except (FileNotFoundError, ProcessLookupError):  # removed since its own folder was read
            continue
        except OSError:
            yield below, True
            continue
        found += len(entries)
        if found > MOST_FILES:
            raise ImageError(
                f"The folder {folder} holds more than {MOST_FILES:,} files: name a smaller one with images=."
            )
        callback.on_progress("Looking for images, files", found, 0)
        names = {entry.name for entry in entries}
        if below and names & _ZARR:
            yield below, False
            continue
        folders = []
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            stem, suffix = os.path.splitext(entry.name)
            if entry.name.startswith(".") or (suffix == ".img" and f"{stem}.hdr" in names):
                continue  # of a pair of NIfTI files, the header is listed
            if not _is_folder(entry):
                yield name, suffix_of(entry.name) in SUFFIXES or _is_without_suffix(entry)
            elif suffix_of(entry.name) in FOLDER_SUFFIXES:
                yield name, _is_image_folder(Path(entry.path))
            else:
                folders.append((name, os.path.realpath(entry.path) if entry.is_symlink() else entry.path))
        waiting += reversed(folders)


def _identity(folder: str) -> tuple[int, int] | str:
    """What tells whether two paths, as through a link or a second mount, lead to the same folder."""
    about = os.stat(folder)
    return (about.st_dev, about.st_ino) if about.st_ino else folder


def _entries(folder: str, most: int) -> list[os.DirEntry[str]]:
    """What a folder holds, or of an endless one a little more than `most`: sorted by name, links last."""
    with os.scandir(folder) as entries:
        some = itertools.islice(entries, most + 1)
        return sorted(some, key=lambda entry: (entry.is_symlink(), entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_image_folder(path: Path) -> bool:
    """Whether a folder is itself an image, of a format whose images are folders (OME-Zarr)."""
    return path.is_dir() and suffix_of(path.name) in FOLDER_SUFFIXES and _is_image_folder(path)


def _is_image_folder(path: Path) -> bool:
    """Whether a folder of a format that is one holds an image, or cannot be read, which is then said."""
    try:
        format_of(path)
    except ImageError:
        return False
    except OSError:
        return True
    return True


def _is_without_suffix(entry: os.DirEntry[str]) -> bool:
    """Whether a file without a suffix, or with the digits of a DICOM UID for one, is an image by its content.

    A DICOMDIR, which lists the images of a disc, is not an image.
    """
    suffix = suffix_of(entry.name)
    if (suffix and not suffix[1:].isdecimal()) or entry.name == "DICOMDIR":
        return False
    try:
        if not entry.is_file() or not entry.stat().st_size:
            return False  # a file of the kernel, which has no size, may be one that waits for events
        head = head_of(Path(entry.path))
    except OSError:
        return False
    return any(form.suffixless and form.recognises(head) for form in FORMATS)
