"""Names of images in a plan or a store, which must not lead anywhere else on any system."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .pixels import ImageError

_DRIVE = re.compile(r"[A-Za-z]:")


def unsafe_name(name: str) -> str | None:
    """Why the path `name`, relative to a folder of images, must not be used there; None where it may.

    >>> unsafe_name("../secret.png")
    "leads out of its folder by '..'"
    """
    parts = name.split("/")
    if ".." in parts:
        return "leads out of its folder by '..'"
    if "" in parts or "." in parts or _DRIVE.match(name):
        return "is not the path of a file in a folder"
    if "\\" in name or not name.isprintable():
        return "has a backslash or an unprintable character in it"
    return None


def printable_name(name: str) -> str:
    """`name` as it can be shown and stored: what is unsafe to print is replaced."""
    return "".join(c if c.isprintable() and c != "\\" else "\N{REPLACEMENT CHARACTER}" for c in name)


SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k"})
"""File name endings (in lower case) that `list_images` takes for images."""


def list_images(folder: str | Path) -> list[Path]:
    """All images in `folder` and below it, sorted by their path in it; hidden files and folders are skipped.

    Whatever is named like an image is listed, links that lead nowhere and pipes as well, and so are folders
    that may not be read: `read_image` says of each what is wrong. Linked folders are entered; none twice.
    Raises ImageError where the folder does not exist or holds no images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ImageError(f"The folder {folder} {what}: name a folder of images with images=.")
    found = sorted(_named_like_images(folder, "", set()))
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ImageError(f"The folder {folder} holds no images ({kinds}): name another with images=.")
    return [folder / name for name in found]


def _named_like_images(folder: Path, below: str, entered: set[str]) -> Iterator[str]:
    """Paths in `folder`, with '/' between their parts; `below` is where to look, `entered` where we were."""
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
            yield from _named_like_images(folder, name, entered)
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
            yield name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
