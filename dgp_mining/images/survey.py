"""Checking the images of a folder before a run: what each is taken for, which cannot be read, and copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..progress import ProgressCallback
from ..retry import retry
from .brightness import too_dark, white_is_assumed
from .copies import copies, decoders
from .file_content import nbytes_of
from .image_file import ImageFile
from .kinds import alike, colours_in_words, kind_of, levels_in_words, white_of
from .limits import ImageError
from .many import in_threads, told
from .paths import list_folder, printable_name, unsafe_name
from .reader import decode_image
from .reading import AS_STORED, Reading
from .stored import check_levels, open_image


@dataclass(frozen=True)
class Surveyed:
    """An image of a folder, and what it is taken for; all but `path` is empty if it cannot be read."""

    path: str
    """Its path in the folder."""
    format: str = ""
    """Such as "PNG"."""
    kind: str = ""
    """Format, bits and channels, such as "8-bit RGB PNG"."""
    height: int = 0
    """Rows of the upright image."""
    width: int = 0
    """Columns of the upright image."""
    model: str = ""
    """What the channels are: grey, RGB, CMYK, Lab or channels."""
    channels: int = 0
    """Number of channels without alpha."""
    bits: int = 0
    """Significant bits of a stored number."""
    floating: bool = False
    """Whether the numbers are floats."""
    white: float | None = None
    """The stored number that is white; None if it is unknown, or shown only by the pixels."""
    levels: str = ""
    """How stored numbers become [0, 1], in words."""
    encoding: str = ""
    """How values become colours, in words."""
    orientation: int = 1
    """EXIF orientation, which is applied."""
    alpha: str = "none"
    """none, straight or associated."""
    nbytes: int = 0
    """Size of the file, bytes."""
    notes: tuple[str, ...] = ()
    """What is left out or assumed."""
    more: dict[str, str] | None = None
    """Further facts, such as the compression."""
    error: str = ""
    """Why it cannot be read, one sentence; empty if it can."""
    duplicate_of: str = ""
    """The image that is mined instead, because it is the same; see `copies`."""


@dataclass(frozen=True)
class Survey:
    """What a folder holds."""

    folder: str
    images: list[Surveyed]
    """All images, sorted by path."""
    others: list[str]
    """Paths of the files that are not read, because of their suffix."""
    misnamed: dict[str, str]
    """Those of them that are images by their content: path -> format."""
    warnings: list[str]
    """Sentences on the folder as a whole."""

    @property
    def unreadable(self) -> list[Surveyed]:
        """The images that cannot be read."""
        return [image for image in self.images if image.error]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; "files" has a record for each image."""
        return {
            "folder": self.folder,
            "files": [vars(image) | {"size": [image.height, image.width]} for image in self.images],
            "others": self.others,
            "misnamed": self.misnamed,
            "warnings": self.warnings,
        }


def survey(
    folder: str | Path,
    reading: Reading = AS_STORED,
    *,
    decode: bool = False,
    callback: ProgressCallback | None = None,
) -> Survey:
    """Look at all images of a folder and its subfolders; their headers, or with `decode` their pixels, too.

    Files of the same size are compared with each other. Without `decode`, at most `brightness.LOOKED_AT`
    images of 15 and 16 bits are decoded, to see whether they use their range. Raises ImageError if the folder
    does not exist; an image that cannot be read has its sentence in `Surveyed.error`.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (3, 2)).save(folder / "a.png")
    >>> [(image.path, image.kind, image.height) for image in survey(folder).images]
    [('a.png', '8-bit RGB PNG', 2)]
    """
    folder, callback = Path(folder), callback or ProgressCallback()
    listed = list_folder(folder, may_be_empty=True, callback=callback)
    paths = [folder / name for name in listed.images]
    headed = list(told(in_threads(_headed(reading), paths), "Reading headers", len(paths), callback))
    images = [_named(folder, name, image) for name, (_, image) in zip(listed.images, headed, strict=True)]
    if decode:
        readable = _readable(images)
        decoded = in_threads(_decoded(reading), [paths[i] for i in readable], decoders())
        looked = told(decoded, "Decoding", len(readable), callback)
        for i, (notes, error) in zip(readable, looked, strict=True):
            images[i] = replace(images[i], notes=notes, error=error)
    readable = _readable(images)
    same = copies(
        [paths[i] for i in readable],
        [images[i].nbytes for i in readable],
        [(images[i].height, images[i].width) for i in readable],
        reading,
    )
    for copy, first in same.items():
        images[readable[copy]] = replace(images[readable[copy]], duplicate_of=images[readable[first]].path)
    dark = too_dark([paths[i] for i in readable if white_is_assumed(headed[i][0])], reading)
    return Survey(
        folder=str(folder),
        images=images,
        others=[printable_name(name) for name in listed.others],
        misnamed=_misnamed(folder, listed.others),
        warnings=[dark] if dark else [],
    )


def _named(folder: Path, name: str, image: Surveyed) -> Surveyed:
    shown, reason = printable_name(name), unsafe_name(name)
    error = image.error or (f"{folder}/{shown} {reason}: rename it." if reason else "")
    return replace(image, path=shown, error=error)


def _readable(images: list[Surveyed]) -> list[int]:
    return [i for i, image in enumerate(images) if not image.error]


def _headed(reading: Reading) -> Callable[[Path], tuple[ImageFile | None, Surveyed]]:
    def look(path: Path) -> tuple[ImageFile | None, Surveyed]:
        try:
            file = retry(lambda: open_image(path, reading))
            check_levels(file)
            nbytes = retry(lambda: nbytes_of(path))
        except (ImageError, OSError) as error:
            return None, Surveyed("", error=_sentence(path, error))
        height, width = file.size
        about = Surveyed(
            "",
            format=file.format,
            kind=kind_of(file),
            height=height,
            width=width,
            model=str(file.model),
            channels=file.channels,
            bits=file.bits,
            floating=file.floating,
            white=white_of(file),
            levels=levels_in_words(file, reading),
            encoding=colours_in_words(file),
            orientation=file.orientation,
            alpha=str(file.alpha),
            nbytes=nbytes,
            notes=file.notes,
            more=file.more,
        )
        return file, about

    return look


def _decoded(reading: Reading) -> Callable[[Path], tuple[tuple[str, ...], str]]:
    def look(path: Path) -> tuple[tuple[str, ...], str]:
        try:
            return retry(lambda: decode_image(path, reading)).notes, ""
        except (ImageError, OSError) as error:
            return (), _sentence(path, error)

    return look


def _sentence(path: Path, error: ImageError | OSError) -> str:
    return str(error) if isinstance(error, ImageError) else f"{path} cannot be read ({error.strerror})."


def _misnamed(folder: Path, others: list[str]) -> dict[str, str]:
    """Return the files that are images by their content, though their suffix is of no format that is read."""

    def look(name: str) -> str:
        path = folder / name
        try:
            return open_image(path).format if path.is_file() else ""
        except (ImageError, OSError):
            return ""

    found = zip(others, in_threads(look, others), strict=True)
    return {printable_name(name): form for name, form in found if form}


def kinds(images: list[Surveyed]) -> list[tuple[str, list[Surveyed]]]:
    """Group readable images that are read alike; (what they are, the images), the most frequent first."""
    readable = [image for image in images if not image.error]
    groups: dict[str, list[Surveyed]] = {}
    texts = alike([(f"{image.kind}, {image.encoding}", image.levels) for image in readable])
    for text, image in zip(texts, readable, strict=True):
        groups.setdefault(text, []).append(image)
    order = Counter({kind: len(group) for kind, group in groups.items()}).most_common()
    return [(kind, groups[kind]) for kind, _ in order]
