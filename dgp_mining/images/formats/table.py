"""The formats that are read: their suffixes, how content is recognised, and the module that reads it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..image_file import ImageFile
from ..limits import ImageError
from ..reading import Reading

HEAD = 512
"""Bytes at the start of a file that `Format.recognises` receives."""


@dataclass(frozen=True)
class Format:
    """A format of image files."""

    name: str
    """Its usual name."""
    suffixes: tuple[str, ...]
    """Suffixes, in lower case, of the files that `list_images` lists."""
    module: str
    """The module of this package that reads it."""
    recognises: Callable[[bytes], bool]
    """Whether a file that starts with these bytes is of this format."""
    package: str = ""
    """The distribution that must be installed to read it; empty: nothing beyond the core."""
    imported: str = ""
    """The module of that distribution."""
    extra: str = ""
    """The extra of this project that brings the distribution."""
    by_suffix: bool = False
    """Whether `recognises` counts only for files with one of the suffixes."""

    def open_file(self, path: Path, reading: Reading) -> ImageFile:
        """Read the header of a file of this format. Raises ImageError and the errors of the decoder."""
        if self.imported:
            try:
                importlib.import_module(self.imported)
            except ImportError as error:
                raise ImageError(
                    f"{path} is {self.name}, which {self.package} reads: install it with "
                    f"pip install 'dgp-mining[{self.extra}]'."
                ) from error
        module = importlib.import_module(f"{__package__}.{self.module}")
        opened: ImageFile = module.open_file(path, reading)
        return opened


def starts_with(*magic: bytes) -> Callable[[bytes], bool]:
    """Return a test for content that starts with one of the byte strings."""
    return lambda head: head.startswith(magic)


def _iso_brand(*brands: bytes) -> Callable[[bytes], bool]:
    """Return a test for ISO base media files that name one of the brands (ISO/IEC 14496-12, 4.3)."""

    def test(head: bytes) -> bool:
        if head[4:8] != b"ftyp":
            return False
        box = head[8 : int.from_bytes(head[:4])]
        named = {box[:4], *(box[start : start + 4] for start in range(8, len(box), 4))}
        return bool(named & set(brands))

    return test


FORMATS = (
    Format("PNG", (".png", ".apng"), "png", starts_with(b"\x89PNG\r\n\x1a\n")),
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "jpeg", starts_with(b"\xff\xd8\xff")),
    Format("TIFF", (".tif", ".tiff", ".btf"), "tiff", starts_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    Format("BMP", (".bmp", ".dib"), "pillow_formats", starts_with(b"BM")),
    Format("WebP", (".webp",), "pillow_formats", lambda head: head[:4] + head[8:12] == b"RIFFWEBP"),
    Format(
        "JPEG 2000",
        (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
        "jpeg2000",
        starts_with(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ),
)
"""Every format, the ones that content tells apart first."""

SUFFIXES = frozenset(suffix for form in FORMATS for suffix in form.suffixes)
"""Suffixes, in lower case, of all formats."""


def format_of(path: Path) -> Format:
    """Return the format of a file, by its content where that tells, else by its suffix. Raises ImageError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    suffix = path.suffix.lower()
    for form in FORMATS:
        if form.recognises(head) and (not form.by_suffix or suffix in form.suffixes):
            return form
    raise ImageError(f"{path} is not an image in a format that is read: remove or convert it.")
