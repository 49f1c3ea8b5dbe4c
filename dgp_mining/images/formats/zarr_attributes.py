"""The attributes of a Zarr group and what OME says in them, read without zarr."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_ATTRIBUTES = 1 << 24
"""Upper limit of the bytes that are read: they are kilobytes, or megabytes if metadata are consolidated."""


def zarr_attributes(folder: Path) -> bytes:
    """Return the JSON file with the attributes of a Zarr group, of format 3 or 2; b"" if there is none.

    Raises OSError if the folder may not be read.
    """
    for name in ("zarr.json", ".zattrs"):
        try:
            with (folder / name).open("rb") as file:
                return file.read(MAX_ATTRIBUTES)
        except (FileNotFoundError, IsADirectoryError):
            pass
    return b""


def ome_attributes(attributes: bytes) -> dict[str, Any]:
    """Return what OME says in such a file: its key "ome" in format 3, all in format 2; {} if it is damaged.

    >>> ome_attributes(b'{"attributes": {"ome": {"version": "0.5"}}}'), ome_attributes(b"{}")
    ({'version': '0.5'}, {})
    """
    try:
        found = json.loads(attributes)
        found = found["attributes"].get("ome") if "attributes" in found else found
    except (ValueError, AttributeError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def is_ome_zarr(attributes: bytes) -> bool:
    """Whether a Zarr group is an image, a collection of images or a plate of OME-NGFF 0.5 (2.3 to 2.7)."""
    keys = {"multiscales", "plate", "well", "bioformats2raw.layout"}
    return bool(keys & set(ome_attributes(attributes)))
