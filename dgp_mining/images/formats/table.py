"""The formats that are read: their suffixes, how content is recognised, and the module that reads it."""

from __future__ import annotations

import importlib
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..image_file import ImageFile
from ..limits import ImageError
from ..reading import Reading
from .packed import GZIP
from .zarr_attributes import is_ome_zarr, zarr_attributes

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
    gzipped: bool = False
    """Whether files that gzip has compressed as a whole are read, too; `recognises` gets what is in them."""
    folder: bool = False
    """Whether an image is a folder; `recognises` then gets the JSON file of its attributes in Zarr."""
    suffixless: bool = False
    """Whether names often have no suffix, so that `list_images` looks into files without one."""
    only_first: bool = False
    """Whether of a file one image is read, so that a choice of another is refused."""

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
        if self.only_first and reading.slice:
            raise ImageError(
                f"{path} is {self.name}, of which only the first image is read, not slice={reading.slice}."
            )
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


def _netpbm(head: bytes) -> bool:
    return re.match(rb"P([1-6][\s#]|7\r?\n|[Ff]\s)", head) is not None


def _bare_dib(head: bytes) -> bool:
    return int.from_bytes(head[:4], "little") in (12, 40, 52, 56, 108, 124)  # the size of its header


def _radiance(head: bytes) -> bool:
    # Some programs put their own name into the first line.
    return head.startswith((b"#?RADIANCE", b"#?RGBE")) or (
        head.startswith(b"#?") and b"\nFORMAT=32-bit_rle_" in head
    )


def _targa(head: bytes) -> bool:
    return len(head) >= 18 and head[1] in (0, 1) and head[2] in (0, 1, 2, 3, 9, 10, 11, 32, 33)


_RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25", ".kdc", ".mef"),
    *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
)

FORMATS = (
    Format(  # its first 128 bytes may be those of a TIFF file (PS3.10, 7.1)
        "DICOM",
        (".dcm", ".dicom", ".ima"),
        "dicom",
        lambda head: head[128:132] == b"DICM",
        package="pydicom",
        imported="pydicom",
        extra="science",
        suffixless=True,
    ),
    Format("PNG", (".png", ".apng"), "png", starts_with(b"\x89PNG\r\n\x1a\n")),
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jls"), "jpeg", starts_with(b"\xff\xd8\xff")),
    # Most of them look like TIFF, whose first page is then a thumbnail.
    Format(
        "camera raw",
        _RAW_SUFFIXES,
        "camera_raw",
        starts_with(
            *(b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILM", b"FOVb", b"\0MRM"),
            *(b"II\x1a\0\0\0HEAPCCDR", b"\0\0\0\x18ftypcrx "),
        ),
        package="rawpy",
        imported="rawpy",
        extra="science",
        by_suffix=True,
    ),
    Format("TIFF", (".tif", ".tiff", ".btf"), "tiff", starts_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    Format("BMP", (".bmp", ".dib"), "bmp", starts_with(b"BM"), only_first=True),
    Format("QOI", (".qoi",), "qoi", starts_with(b"qoif"), only_first=True),
    Format("Radiance HDR", (".hdr", ".rgbe", ".xyze", ".pic"), "radiance", _radiance, only_first=True),
    Format(
        "OpenEXR",
        (".exr",),
        "openexr",
        starts_with(b"\x76\x2f\x31\x01"),
        package="OpenEXR",
        imported="OpenEXR",
        extra="science",
    ),
    Format("Netpbm", (".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm"), "netpbm", _netpbm),
    Format("WebP", (".webp",), "webp", lambda head: head[:4] + head[8:12] == b"RIFFWEBP"),
    Format("GIF", (".gif",), "gif", starts_with(b"GIF87a", b"GIF89a")),
    Format(
        "JPEG 2000",
        (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc", ".jph", ".jhc"),
        "jpeg2000",
        starts_with(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
        only_first=True,
    ),
    Format(
        "JPEG XL", (".jxl",), "jpegxl", starts_with(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), only_first=True
    ),
    Format("AVIF", (".avif", ".avifs"), "avif", _iso_brand(b"avif", b"avis")),
    Format(
        "HEIF",
        (".heic", ".heif", ".hif", ".heics", ".heifs"),
        "heif",
        _iso_brand(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
        package="pillow-heif",
        imported="pillow_heif",
        extra="heif",
        only_first=True,
    ),
    Format(  # without preamble: a first element of group 2 or 8, of either byte order
        "DICOM",
        (".dcm", ".dicom", ".ima"),
        "dicom",
        starts_with(b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08"),
        package="pydicom",
        imported="pydicom",
        extra="science",
        by_suffix=True,
    ),
    Format(
        "NIfTI",
        (".nii", ".nii.gz", ".hdr"),  # of a pair, the header is listed
        "nifti",
        lambda head: head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"),
        package="nibabel",
        imported="nibabel",
        extra="science",
        gzipped=True,
    ),
    Format(
        "MGH",
        (".mgh", ".mgz"),
        "nifti",
        starts_with(b"\0\0\0\1"),
        package="nibabel",
        imported="nibabel",
        extra="science",
        by_suffix=True,
        gzipped=True,
    ),
    Format(
        "FITS",
        (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fz"),
        "fits",
        starts_with(b"SIMPLE  ="),
        package="astropy",
        imported="astropy",
        extra="science",
        gzipped=True,
    ),
    Format("OME-Zarr", (".zarr",), "ome_zarr", is_ome_zarr, folder=True),
    # Content tells little of these.
    Format(
        "DIB",
        (".dib",),
        "bmp",
        starts_with(*(bytes([n, 0, 0, 0]) for n in (12, 40, 52, 56, 108, 124))),
        by_suffix=True,
        only_first=True,
    ),
    Format("TGA", (".tga", ".icb", ".vda", ".vst"), "tga", _targa, by_suffix=True, only_first=True),
)
"""Every format, the ones that content tells apart first."""

SUFFIXES = frozenset(suffix for form in FORMATS if not form.folder for suffix in form.suffixes)
"""Suffixes, in lower case, of all formats whose images are files; some are double, as ".nii.gz"."""

FOLDER_SUFFIXES = frozenset(suffix for form in FORMATS if form.folder for suffix in form.suffixes)
"""Suffixes, in lower case, of all formats whose images are folders."""

_DOUBLE = tuple(suffix for suffix in SUFFIXES if suffix.count(".") > 1)


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in lower case, a double one where a format has it.

    >>> suffix_of("a.b.PNG"), suffix_of("a.b.nii.gz"), suffix_of("a.tar.gz")
    ('.png', '.nii.gz', '.gz')
    """
    for suffix in _DOUBLE:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return suffix
    return os.path.splitext(name)[1].lower()


def format_of(path: Path) -> Format:
    """Return the format of an image, by its content where that tells, else by its suffix.

    Raises ImageError, and OSError if it cannot be read.
    """
    folder = path.is_dir()
    head = zarr_attributes(path) if folder else head_of(path)
    gzipped = not folder and head.startswith(GZIP)
    if gzipped:
        head = _gunzipped(head)
    suffix = suffix_of(path.name)
    for form in FORMATS:
        if form.folder != folder or (gzipped and not form.gzipped):
            continue
        if form.recognises(head) and (not form.by_suffix or suffix in form.suffixes):
            return form
    if folder:
        raise ImageError(f"{path} is a folder, not an image.")
    raise ImageError(f"{path} is not an image in a format that is read: remove or convert it.")


def head_of(path: Path) -> bytes:
    """Return the first HEAD bytes of a file; more of one that gzip has compressed, to see into it."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        return head + file.read(8 * HEAD) if head.startswith(GZIP) else head


def _gunzipped(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD)
    except zlib.error:
        return b""
