"""Reading an image to upscale it: its pixels as they are stored, with alpha, and its metadata.

`dgp_mining.images.stored` reads them; what the upscaled image cannot hold is converted here, and said.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import ExifTags

from dgp_mining.images.attachments import Attachments
from dgp_mining.images.colour import to_srgb
from dgp_mining.images.encoding import SRGB, Encoding
from dgp_mining.images.failures import one_sentence
from dgp_mining.images.formats.jpeg import says_adobe_rgb
from dgp_mining.images.image_file import UNIT, ImageFile, Model, full_range
from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, read_rgb
from dgp_mining.images.reading import AS_STORED, Reading
from dgp_mining.images.stored import StoredImage, read_stored, sixteen_or_eight_bits

from .metadata import Metadata, describes_layout, loaded_exif, portable_exif, portable_texts, profile_fits
from .xmp import is_laborious, is_well_formed, without_other_parts

log = logging.getLogger(__name__)

_SHAPE = re.compile(r'\{"shape": \[[\d, ]*\]\}\0*')
"""tifffile's description of an array, which nobody misses."""

_RICHER = ("DICOM", "FITS", "NIfTI", "MGH", "OME-Zarr", "OpenEXR", "Radiance HDR", "camera raw")
"""Formats that hold more about a picture than any that is written does, or than is read."""


@dataclass(frozen=True)
class SourceImage:
    """An image to be upscaled, turned upright."""

    pixels: np.ndarray
    """[H, W, C] uint8, uint16 or float32 in [0, 1], grey or RGB; if C is 2 or 4, straight alpha is last."""
    metadata: Metadata
    """What is kept beyond the pixels."""


def read_source_image(path: str | Path, reading: Reading = AS_STORED) -> SourceImage:
    """Read an image file, grey or RGB, with or without alpha, as it is stored.

    CMYK and Lab are converted to sRGB and lose their profile. What is converted, assumed or left out is
    logged, a line each.

    Raises ImageError, naming the file, if it cannot be read; its messages name the choices of `reading` as
    "reading.white=".
    """
    path = Path(path)
    try:
        stored = read_stored(path, reading)
    except ImageError as error:
        raise ImageError(_of_request(str(error))) from error
    if stored.file.model == Model.CHANNELS:
        raise ImageError(f"{path} has {stored.file.channels} channels, not grey or RGB: convert it.")
    with one_sentence(path):
        return _as_source(stored)


def _as_source(stored: StoredImage) -> SourceImage:
    path, pixels = stored.file.path, sixteen_or_eight_bits(stored)
    notes = [*stored.notes, *_of_values(stored, pixels)]
    encoding = stored.file.encoding
    if stored.file.model in (Model.CMYK, Model.LAB):
        notes.append("its colours are converted to sRGB")
        pixels, encoding = _as_srgb(stored, pixels, notes), SRGB
    profile = encoding.profile
    if profile and not profile_fits(profile, pixels.shape[2] - 1 + pixels.shape[2] % 2):
        notes.append("its colour profile does not fit its pixels and is dropped")
        profile, encoding = None, SRGB
    metadata = _metadata(stored, encoding, notes)
    if stored.file.model in (Model.CMYK, Model.LAB):
        metadata = metadata.in_srgb()
    for note in dict.fromkeys(notes):
        log.warning("%s: %s", path, _of_request(note))
    return SourceImage(np.ascontiguousarray(pixels), metadata)


def read_eight_bits(path: str | Path) -> np.ndarray:
    """Read an image to train on or to measure, as the file itself says: [H, W, 3] uint8, sRGB.

    Raises as `dgp_mining.images.read_rgb`, but its messages advise no choices, since none can be made here.
    """
    try:
        pixels = read_rgb(path)
    except ImageError as error:
        raise ImageError(_without_choices(str(error))) from error
    return np.ascontiguousarray((pixels * 255 + 0.5).astype(np.uint8))


def _without_choices(text: str) -> str:
    """A message of the reader without the advice to say how numbers are read.

    >>> _without_choices("a.tif holds X: give it with white=, or convert it to 8 bits.")
    'a.tif holds X: convert it to 8 bits.'
    """
    text = re.sub(r"give it with white=, or (?=convert)", "", text)
    return re.sub(r", or say with white= or window= which are black and white", "", text)


def _of_request(text: str) -> str:
    """A message of the reader with its choices as those of an UpscaleRequest: its `window` is another."""
    return re.sub(r"(?<![\w.])(white|window|axis|slice|tone)=", r"reading.\1=", text)


def _of_values(stored: StoredImage, pixels: np.ndarray) -> Iterator[str]:
    """Notes on how stored numbers and those of the result differ."""
    levels, floats = stored.file.levels, pixels.dtype.kind == "f"
    usual = UNIT if stored.file.floating else full_range(stored.file.bits)
    most = 1 if floats else int(np.iinfo(pixels.dtype).max)
    if (
        levels
        and not (isinstance(levels.black, tuple) or isinstance(levels.white, tuple))
        and sorted((levels.black, levels.white)) not in ([0, usual.white], [0, most])
    ):
        yield f"its values {levels.black:g} to {levels.white:g} become 0 to {most:g}"
    if stored.valid is not None:
        yield "pixels without data are upscaled as black, and the value that marks them is not kept"


def _as_srgb(stored: StoredImage, pixels: np.ndarray, notes: list[str]) -> np.ndarray:
    colours = pixels[..., :-1] if stored.alpha else pixels
    rgb = to_srgb(colours, stored.file.model, stored.file.encoding, notes.append)
    return np.concatenate([rgb, pixels[..., -1:]], axis=2) if stored.alpha else rgb


def _attachments(file: ImageFile) -> Attachments:
    try:
        return file.attachments()
    except Exception:  # decoders raise many types; the pixels have been read
        return Attachments(problem="its metadata is damaged")


def _metadata(stored: StoredImage, encoding: Encoding, notes: list[str]) -> Metadata:
    if stored.file.attachments is Attachments and stored.file.format in _RICHER:
        notes.append(f"of what {stored.file.format} holds, only the pixels are kept")
    attached = _attachments(stored.file)
    if attached.problem:
        notes.append(f"{attached.problem} and is dropped")
    exif, xmp, geo = None, attached.xmp, attached.geo
    if attached.exif is not None:
        try:
            loaded = loaded_exif(attached.exif)
            described = loaded.get(ExifTags.Base.ImageDescription)
            if describes_layout(described) and not _SHAPE.fullmatch(str(described)):
                notes.append("its description of axes, planes and sizes is not kept")
            exif = portable_exif(loaded)
        except Exception:  # Pillow reads much that it cannot write, and then raises all kinds of errors
            notes.append("its EXIF is damaged and is dropped")
    if xmp is not None and not is_well_formed(xmp):
        notes.append("its XMP is damaged and is dropped")
        xmp = None
    if xmp is not None and is_laborious(xmp):
        notes.append("its XMP has too many properties to adjust and is dropped")
        xmp = None
    if xmp is not None:
        xmp, removed = without_other_parts(xmp)
        notes += [
            f"what its XMP says of a {what} is not kept" for what in removed if what != "further images"
        ]
    if geo is not None and stored.file.orientation != 1:
        notes.append("its georeference is dropped, since it counts in pixels that are not upright")
        geo = None
    metadata = Metadata(
        profile=encoding.profile,
        exif=exif,
        dpi=attached.dpi,
        xmp=xmp,
        iptc=attached.iptc,
        texts=portable_texts(attached.texts),
        geo=geo,
        encoding=replace(encoding, profile=None),
    )
    if encoding.is_srgb and says_adobe_rgb(exif):  # which does not count where it was read, but would there
        metadata = replace(metadata.in_srgb(), encoding=metadata.encoding)
    return metadata


def image_files(images: str | Path | Sequence[str | Path], argument: str) -> list[Path]:
    """The files of a list of images, or all images in a folder and below it, sorted.

    Raises ImageError, naming `argument` (such as "images="), if the folder does not exist or holds no images.

    >>> image_files(["a.png", Path("b.jpg")], "images=")
    [PosixPath('a.png'), PosixPath('b.jpg')]
    """
    if isinstance(images, str | Path):
        return images_in(images, argument)
    return [Path(path) for path in images]


def images_in(folder: str | Path, argument: str) -> list[Path]:
    """All images in a folder and below it, sorted. Raises ImageError as `image_files` does."""
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise ImageError(f"{folder} is a file: {argument} takes a folder.")
        raise ImageError(f"{folder} does not exist: name a folder of images with {argument}.")
    try:
        return list_images(folder)
    except ImageError as error:
        raise ImageError(f"The folder {folder} holds no images: name another with {argument}.") from error
