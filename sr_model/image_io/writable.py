"""Leaving out metadata that cannot be written, so that a picture is not lost for them."""

from __future__ import annotations

import io
import logging
import warnings
from dataclasses import replace

import numpy as np

from .metadata import Metadata
from .writer import Target, format_of, write_into

log = logging.getLogger(__name__)

_KINDS = {
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "texts": "texts",
    "geo": "georeference",
    "dpi": "resolution",
    "profile": "colour profile",
}
"""Fields of Metadata that can be left out, and what they are called."""


def writable(target: Target) -> Target:
    """Return the target without what of its metadata cannot be written, of which a line is logged.

    Damaged metadata may be read and yet fit into no file, in ways that only writing shows: a picture of one
    pixel is written with them, and with each kind alone if that fails. The picture itself is never lost.
    """
    about = target.metadata
    if _can_be_written(target):
        return target
    bare = Metadata(encoding=about.encoding)
    lost = []
    for name, words in _KINDS.items():
        value = getattr(about, name)
        if value and not _can_be_written(replace(target, metadata=replace(bare, **{name: value}))):
            about = replace(about, **{name: getattr(bare, name)})
            lost.append(words)
    kept = replace(target, metadata=about)
    if not _can_be_written(kept):  # not together
        kept, lost = replace(target, metadata=bare), ["metadata"]
    form = format_of(target.path).name
    log.warning("%s: damaged %s cannot be written to %s, left out", target.path, " and ".join(lost), form)
    return kept


def _can_be_written(target: Target) -> bool:
    if target.metadata == Metadata(encoding=target.metadata.encoding):
        return True
    small = replace(target, height=1, width=1)
    pixel = np.zeros((1, 1, small.channels), small.written_dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write_into(io.BytesIO(), small, iter([pixel]))
    except Exception:  # encoders raise all kinds of errors
        return False
    return True
