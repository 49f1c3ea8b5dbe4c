"""Names of images in a plan or a store, which must not lead anywhere else on any system."""

from __future__ import annotations

import re

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
