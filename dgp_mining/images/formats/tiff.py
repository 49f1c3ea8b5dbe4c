"""TIFF and BigTIFF (TIFF 6.0, and what GeoTIFF, OME-TIFF, ImageJ and others add to it), read with tifffile.

`tiff_pages` chooses the pages, `tiff_kinds` says which kinds are read, `tiff_samples` what their samples are,
and decodes them, `tiff_colours` converts what is not grey, RGB or ink.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from tifffile import COMPRESSION

from ..attachments import Attachments, iptc_records, resolution, tiff_exif
from ..image_file import UNIT, Alpha, ImageFile, Levels, Model, Samples
from ..limits import ImageError, ends_early
from ..reading import Reading
from .geotiff import BandScale, band_scale, georeference, holds_data, nodata_of
from .ome import is_spread_over_files, significant_bits
from .tiff_claims import check_claims
from .tiff_encoding import encoding_of
from .tiff_kinds import LIGHT, enum_name
from .tiff_pages import ChosenPages, choose_pages, data_end
from .tiff_samples import Layout, layout_of, plane_samples

tifffile.logger().setLevel("CRITICAL")  # we report a file's faults in one sentence

_ORIENTATION, _XMP, _IPTC, _PHOTOSHOP = 274, 700, 33723, 34377
_RPC = 50844  # RPCCoefficientTag, of GDAL's "RPCs in GeoTIFF"


@dataclass(frozen=True)
class _Described:
    """Everything that the directories of a file say about the image."""

    pages: ChosenPages
    layout: Layout
    nodata: float | None
    scale: BandScale | None

    @property
    def page(self) -> tifffile.TiffPage:
        """The page whose tags count."""
        return self.pages.planes[0].directory

    @property
    def bands(self) -> int:
        """The number of channels without alpha."""
        return self.layout.channels * len(self.pages.planes)


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a TIFF file. Raises ImageError and tifffile's errors."""
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        described = _describe(path, tiff, reading)
        page, layout, scale = described.page, described.layout, described.scale
        several = len(described.pages.planes) > 1
        notes = (*described.pages.notes, *layout.notes)
        if scale:
            notes = (
                *notes,
                f"its scale {_listed(scale.scale)} and offset {_listed(scale.offset)} are applied",
            )
        encoding = layout.encoding
        if layout.model in (Model.RGB, Model.GREY) and layout.photometric not in LIGHT and not several:
            encoding, unsaid = encoding_of(tiff, page, layout.model)
            notes = (*notes, *unsaid)
        orientation = page.tags.valueof(_ORIENTATION)
        return ImageFile(
            path=path,
            format="TIFF",
            height=page.imagelength,
            width=page.imagewidth,
            model=Model.CHANNELS if several else layout.model,
            channels=described.bands,
            alpha=layout.alpha,
            bits=32 if scale else layout.bits,
            floating=layout.floating or scale is not None,
            levels=UNIT if scale else layout.levels,
            levels_by_pixels="" if scale else _levels_by_pixels(tiff, described),
            encoding=encoding,
            orientation=orientation if orientation in range(1, 9) else 1,
            notes=notes,
            decode=lambda: _decode(path, reading),
            attachments=lambda: _attachments(path, reading),
            valid=_maybe_valid(path, described, reading),
            more={"compression": enum_name(COMPRESSION, page.compression)},
        )


def _describe(path: Path, tiff: tifffile.TiffFile, reading: Reading) -> _Described:
    if is_spread_over_files(tiff):  # a description may name other files, anywhere; only this one is read
        raise ImageError(f"{path} is spread over several files: store its channels in one.")
    pages = choose_pages(path, tiff, reading)
    page = pages.planes[0].directory
    layout = layout_of(path, page, significant_bits(tiff), reading)
    for plane in pages.planes:
        check_claims(path, plane)
    if len(pages.planes) > 1 and layout.alpha != Alpha.NONE:
        raise ImageError(f"{path} has an alpha channel in each of its channels: remove it.")
    bands = layout.channels * len(pages.planes)
    measured = layout.model in (Model.GREY, Model.CHANNELS) or layout.colours == tuple(range(layout.channels))
    return _Described(pages, layout, nodata_of(page), band_scale(page, range(bands)) if measured else None)


def _decode(path: Path, reading: Reading) -> Samples:
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        described = _describe(path, tiff, reading)
        if _is_cut_short(tiff, described.pages):
            raise ends_early(path)
        planes = [plane_samples(path, plane, described.layout) for plane in described.pages.planes]
        pixels, stored = (
            np.concatenate(parts, axis=2) if len(planes) > 1 else parts[0]
            for parts in zip(*planes, strict=True)
        )
        valid, notes = _valid(path, described, stored, reading), _notes(described)
        if valid is not None and valid.all():
            valid = None
        if scale := described.scale:
            ones = (1.0,) * (pixels.shape[2] - len(scale.scale))  # alpha
            most = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1.0
            factors = np.array([*scale.scale, *(1 / most for _ in ones)])
            pixels = pixels * factors + np.array([*scale.offset, *(0.0 for _ in ones)])
            return Samples(pixels.astype(np.float32), notes, valid=valid)
        levels, more = _levels_of_pixels(tiff, described, pixels, valid)
        return Samples(pixels, (*notes, *more), levels, valid)


def _notes(described: _Described) -> tuple[str, ...]:
    missing = sum(
        count == 0
        for plane in described.pages.planes
        for count in plane.page.databytecounts
        if plane.offset is None and not (plane.page.is_contiguous and plane.page.dataoffsets[0])
    )
    are = "is" if missing == 1 else "are"
    return (f"{missing} of its strips or tiles {are} not stored and {are} empty",) if missing else ()


def _levels_of_pixels(
    tiff: tifffile.TiffFile, described: _Described, pixels: np.ndarray, valid: np.ndarray | None
) -> tuple[Levels | None, tuple[str, ...]]:
    """Levels that the pixels show: of numbers above a white that a tag claims, and of ImageJ's floats."""
    layout, data = described.layout, pixels if valid is None else pixels[valid]
    if not data.size or layout.levels is None or layout.levels.beyond != "refuse":
        return None, ()
    if not layout.floating and layout.bits < described.page.bitspersample <= 16:
        return _greater_than_claimed(described, data)
    black, white = np.min(layout.levels.black), np.max(layout.levels.white)
    low, high = float(data.min()), float(data.max())
    if min(black, white) <= low and high <= max(black, white):
        return None, ()
    shown = _imagej_range(tiff, described.bands)
    if layout.floating and shown and layout.alpha == Alpha.NONE:
        darkest, brightest = shown
        if _is_reversed(layout.levels):
            darkest, brightest = brightest, darkest
        note = f"ImageJ's display range of {_listed(shown[0])} to {_listed(shown[1])} is black to white"
        return Levels(darkest, brightest, "clip"), (note,)
    return None, ()


def _greater_than_claimed(described: _Described, data: np.ndarray) -> tuple[Levels | None, tuple[str, ...]]:
    """Levels where pixels are greater than a white below what is stored; alpha has its own, if it has any."""
    levels, bands = described.layout.levels, described.bands
    if levels is None or described.layout.photometric == tifffile.PHOTOMETRIC.PALETTE:
        return None, ()
    stored, notes = (1 << described.page.bitspersample) - 1, []
    white, opaque = (max(np.ravel(levels.black)[i], np.ravel(levels.white)[i]) for i in (0, -1))
    if (high := data[..., :bands].max()) > white:
        notes.append(f"it holds {high:g}, so that {stored} is taken for white after all")
        white = stored
    if data.shape[-1] > bands and (high := data[..., bands:].max()) > opaque:
        notes.append(f"its alpha holds {high:g}, so that {stored} is taken for opaque")
        opaque = stored
    if not notes:
        return None, ()
    black, white = (white, 0) if _is_reversed(levels) else (0, white)
    if data.shape[-1] == bands:
        return Levels(float(black), float(white)), tuple(notes)
    return Levels((black,) * bands + (0,), (white,) * bands + (opaque,)), tuple(notes)


def _is_reversed(levels: Levels) -> bool:
    """Whether small numbers are bright."""
    return bool(np.ravel(levels.black)[0] > np.ravel(levels.white)[0])


def _levels_by_pixels(tiff: tifffile.TiffFile, described: _Described) -> str:
    """What `_levels_of_pixels` may find, in words."""
    layout, bits = described.layout, described.page.bitspersample
    if layout.levels is None or layout.levels.beyond != "refuse":
        return ""
    if (
        not layout.floating
        and layout.bits < bits <= 16
        and layout.photometric != tifffile.PHOTOMETRIC.PALETTE
    ):
        white = int(max(np.ravel(layout.levels.black)[0], np.ravel(layout.levels.white)[0]))
        reverse = "black" if _is_reversed(layout.levels) else "white"
        return f"{reverse} is {white:,}, or {(1 << bits) - 1:,} if a number is greater"
    if layout.floating and layout.alpha == Alpha.NONE and _imagej_range(tiff, described.bands):
        return "white is 1, or what ImageJ shows as white if a number is greater"
    return ""


def _imagej_range(tiff: tifffile.TiffFile, bands: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The numbers that ImageJ shows as black and white, for each band; None if the file does not say."""
    said = tiff.imagej_metadata or {}
    ranges = said.get("Ranges")
    if isinstance(ranges, tuple) and len(ranges) == 2 * bands:
        low, high = tuple(map(float, ranges[::2])), tuple(map(float, ranges[1::2]))
    elif "min" in said and "max" in said:
        try:
            low, high = (float(said["min"]),) * bands, (float(said["max"]),) * bands
        except (TypeError, ValueError):
            return None
    else:
        return None
    usable = all(np.isfinite(low + high)) and all(a < b for a, b in zip(low, high, strict=True))
    return (low, high) if usable else None


def _maybe_valid(path: Path, described: _Described, reading: Reading) -> Callable[[], np.ndarray] | None:
    """How to find the pixels that hold data; None if nothing says that some do not."""
    if described.nodata is None and described.pages.mask is None:
        return None

    def valid() -> np.ndarray:
        decoded = _decode(path, reading)
        return np.ones(decoded.pixels.shape[:2], bool) if decoded.valid is None else decoded.valid

    return valid


def _valid(path: Path, described: _Described, stored: np.ndarray, reading: Reading) -> np.ndarray | None:
    """[H, W] bool: which pixels hold data by the mask and the number for missing data; None: all."""
    valid = None
    if mask := described.pages.mask:
        masked = mask.asarray()
        if masked.shape != stored.shape[:2]:
            raise ImageError(f"{path} has a damaged transparency mask: replace it.")
        valid = masked != 0
    if described.nodata is not None:
        levels = reading.levels or (
            described.layout.levels and (described.layout.levels.black, described.layout.levels.white)
        )
        black, white = levels or (np.inf, -np.inf)
        data = holds_data(stored, described.nodata, float(np.min(black)), float(np.max(white)))
        valid = data if valid is None else valid & data
    return valid


def _attachments(path: Path, reading: Reading) -> Attachments:
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        page = choose_pages(path, tiff, reading).planes[0].directory
        geo, xmp = georeference(page), _content(page, _XMP)
        iptc = _content(page, _IPTC) or iptc_records(_content(page, _PHOTOSHOP) or b"")
        if tiff.is_bigtiff and tiff.byteorder == ">":  # of which Pillow reads no EXIF
            unread = "its EXIF, if it has any, is not read from a big-endian BigTIFF"
            return Attachments(xmp=xmp, iptc=iptc, geo=geo, problem=unread)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Pillow, on tags of other types than it expects
                exif = tiff_exif(tiff, page)
                content, dpi = exif.tobytes().removeprefix(b"Exif\0\0"), resolution({}, exif)
        except Exception:  # Pillow reads much that it cannot write, and then raises all kinds of errors
            return Attachments(xmp=xmp, iptc=iptc, geo=geo, problem="its EXIF is damaged")
        sensor = "its RPC model of the sensor is of this size alone" if _RPC in page.tags else ""
        return Attachments(content, xmp, iptc, dpi=dpi, geo=geo, problem=sensor)


def _content(page: tifffile.TiffPage, code: int) -> bytes | None:
    """The bytes of a tag, whatever type it declares; None if there are none."""
    tag = page.tags.get(code)
    if tag is None:
        return None
    page.parent.filehandle.seek(tag.valueoffset)
    return bytes(page.parent.filehandle.read(tag.valuebytecount)) or None


def _is_cut_short(tiff: tifffile.TiffFile, chosen: ChosenPages) -> bool:
    """Whether pixels or a further page lie beyond the end of the file; decoders do not notice either."""
    tiff.pages.get(len(tiff.pages) - 1)
    if (next_page := tiff.pages.next_page_offset) is None:
        return True
    tiff.filehandle.seek(next_page)
    another = int.from_bytes(
        tiff.filehandle.read(tiff.tiff.offsetsize), "little" if tiff.byteorder == "<" else "big"
    )
    if another and another not in {page.offset for page in tiff.pages}:  # else the pages form a ring
        return True
    pages = [plane.page for plane in chosen.planes if plane.offset is None]
    return any(
        data_end(page) > tiff.filehandle.size for page in [*pages, *([chosen.mask] if chosen.mask else [])]
    )


def _listed(numbers: tuple[float, ...]) -> str:
    """One number if all are the same, else all."""
    return ", ".join(f"{number:g}" for number in (numbers[:1] if len(set(numbers)) == 1 else numbers))
