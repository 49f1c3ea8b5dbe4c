"""Listing the images of a folder, and checking that image names do not lead out of it on any system."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .formats.table import FOLDER_SUFFIXES, FORMATS, format_of, head_of, suffix_of
from .formats.table import SUFFIXES as SUFFIXES
from .limits import ImageError

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
    if "\\" in name or not name.isprintable():
        return "contains a backslash or an unprintable character"
    return None


def printable_name(name: str) -> str:
    """Replace unprintable characters and backslashes in `name`, so that it can be shown and stored.

    >>> printable_name("a\\x1b[2Jb.png")
    'a�[2Jb.png'
    """
    return "".join(c if c.isprintable() and c != "\\" else "\N{REPLACEMENT CHARACTER}" for c in name)


def list_images(folder: str | Path) -> list[Path]:
    """List all images in `folder` and its subfolders, sorted by their path in it.

    Everything with the suffix of an image is listed, even broken links and pipes, and so are folders without
    read permission; `read_image` raises an error for these. Files without a suffix are listed if they are
    DICOM, whose names have none by its standard (PS3.10, 8.2). Links to folders are followed, but no folder
    is entered twice; a Zarr store is one image (OME-Zarr) or none. Hidden files and folders are skipped.

    Raises ImageError if the folder does not exist or holds no images.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.jpg", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in list_images(folder)]
    ['a.jpg', 'b.png']
    """
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise ImageError(f"{folder} is a file: images= takes a folder.")
        raise ImageError(f"The folder {folder} does not exist: name a folder of images with images=.")
    found = sorted(_named_like_images(folder, "", set()))
    if not found:
        kinds = ", ".join(sorted(SUFFIXES | FOLDER_SUFFIXES))
        raise ImageError(f"The folder {folder} holds no images ({kinds}): name another with images=.")
    return [folder / name for name in found]


def _named_like_images(folder: Path, below: str, entered: set[str]) -> Iterator[str]:
    """Yield the paths of images in `folder / below`, relative to `folder`, with '/' between their parts.

    `entered` holds the folders that were already entered.
    """
    real = os.path.realpath(folder / below)
    if real in entered:
        return
    entered.add(real)
    try:
        entries = sorted(os.scandir(real), key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError:
        yield below
        return
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            if suffix_of(entry.name) not in FOLDER_SUFFIXES:
                yield from _named_like_images(folder, name, entered)
            elif _is_image_folder(Path(entry.path)):
                yield name
        elif suffix_of(entry.name) in SUFFIXES or _is_without_suffix(entry):
            yield name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


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

    A DICOMDIR, which lists the images of a disc, is none.
    """
    suffix = suffix_of(entry.name)
    if (suffix and not suffix[1:].isdecimal()) or entry.name == "DICOMDIR":
        return False
    try:
        if not entry.is_file():
            return False
        head = head_of(Path(entry.path))
    except OSError:
        return False
    return any(form.suffixless and form.recognises(head) for form in FORMATS)
