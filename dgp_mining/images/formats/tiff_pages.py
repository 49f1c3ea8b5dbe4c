"""Which pages of a TIFF file make up the image: the first of full resolution, or the channels of a stack."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import tifffile

from ..limits import ImageError
from ..reading import Reading, no_such_slice
from .pillow_file import frame_note

Page = tifffile.TiffPage | tifffile.TiffFrame

_REDUCED, _MASK = 1, 4  # bits of NewSubfileType (TIFF 6.0, section 8)
_NAMES = {"Z": "slices", "T": "times"}


@dataclass(frozen=True)
class Plane:
    """Where one plane of the image is stored."""

    page: Page
    offset: int | None = None
    """Position of its numbers in the file, if they are one of several planes behind a single directory."""
    depth: int = 0
    """Number of the plane among those of a page with ImageDepth."""

    @property
    def directory(self) -> tifffile.TiffPage:
        """The page whose tags say how the plane is stored."""
        return _keyframe(self.page)


@dataclass(frozen=True)
class ChosenPages:
    """The planes of the image, and what belongs to it."""

    planes: tuple[Plane, ...]
    """One, or one for each channel."""
    mask: Page | None = None
    """The transparency mask, whose nonzero pixels hold data."""
    notes: tuple[str, ...] = ()
    """What is not read, for the user."""


def choose_pages(path: Path, tiff: tifffile.TiffFile, reading: Reading) -> ChosenPages:
    """Return the pages that make the image.

    Reduced-resolution pages and transparency masks (NewSubfileType; TIFF 6.0, section 8) are never the image.
    Of a stack whose axes the file names (OME, ImageJ and others), all channels are taken at the middle along
    z and at the first time; of other pages, the first. `reading` chooses others. Raises ImageError.
    """
    if series := _stack(tiff):
        return _of_stack(path, tiff, series, reading)
    full, masks = _full_pages(path, tiff)
    number = reading.slice or 0
    if len(full) == 1 and full[0].imagedepth > 1:
        number = 0  # which counts along its depth
    if number >= len(full):
        raise no_such_slice(path, len(full), "pages", number)
    page = full[number]
    chosen = _of_volume(path, page, reading if len(full) == 1 else replace(reading, slice=None))
    own = [below for below in _below(tiff, page) if _is_mask(below)]
    own = [mask for mask in own + masks * (len(full) == 1) if not mask.subfiletype & _REDUCED]
    mask = next((mask for mask in masks if _belongs(mask, page)), None)
    mask = mask or next((mask for mask in own if _is_as_large(mask, page)), None)
    notes = frame_note(number, len(full), "pages")
    if own and mask is None:
        notes = (*notes, "its transparency mask has another size and is left out")
    said = (tiff.imagej_metadata or {}).get("images", 1)
    if isinstance(said, int) and said > max(len(full), 1):  # more than tifffile found, or it were a stack
        notes = (*notes, f"its description names {said} images, but it holds {len(full)}")
    if page.subfiletype & _REDUCED:
        notes = (*notes, "it holds only reduced-resolution pages, of which the largest is read")
    return ChosenPages(chosen.planes, mask, (*notes, *chosen.notes))


def _stack(tiff: tifffile.TiffFile) -> tifffile.TiffPageSeries | None:
    """The first series of a file that names the axes of its pages; None of plain pages."""
    try:
        series = tiff.series[0]
    except Exception:  # of damaged descriptions, all kinds
        return None
    if series.kind in ("generic", "uniform") or not series.keyframe.shape:
        return None
    if series.kind == "shaped" and len(series) == 1 and not series.is_truncated:
        return None
    return series


def _of_stack(
    path: Path, tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, reading: Reading
) -> ChosenPages:
    sizes = _leading_sizes(series)
    if sizes is None:
        raise ImageError(f"{path} has the axes {series.axes}, but one image is needed: convert it.")
    at, notes = _position(path, sizes, reading)
    if series.kind == "ome" and len(tiff.series) > 1:
        notes = (f"the first of its {len(tiff.series)} images is read", *notes)
    channels = [range(size) if axis == "C" else [at[axis]] for axis, size in sizes.items()]
    strides = [math.prod(list(sizes.values())[axis + 1 :]) for axis in range(len(sizes))]
    numbers = [
        sum(i * stride for i, stride in zip(index, strides, strict=True))
        for index in itertools.product(*channels)
    ]
    if series.is_truncated:
        start, page = series.dataoffset, series.keyframe
        if start is None:
            raise ImageError(f"{path} stores {math.prod(sizes.values())} planes in one page: convert it.")
        return ChosenPages(
            tuple(Plane(page, start + number * page.nbytes) for number in numbers), None, notes
        )
    pages = [found for number in numbers if (found := series.pages[number]) is not None]
    if len(pages) < len(numbers):
        raise ImageError(f"{path} lacks a page that its description names: replace or remove it.")
    if len(pages) == 1:
        volume = _of_volume(path, pages[0], reading)
        return ChosenPages(volume.planes, None, (*notes, *volume.notes))
    return ChosenPages(tuple(Plane(page) for page in pages), None, notes)


def _leading_sizes(series: tifffile.TiffPageSeries) -> dict[str, int] | None:
    """The axes along which the pages of a stack lie, with their sizes; None if that cannot be said."""
    axes, shape = series.get_axes(False), series.get_shape(False)
    inner = math.prod(series.keyframe.shape)
    for count in range(len(shape) + 1):
        if math.prod(shape[count:]) == inner:
            planes = math.prod(shape[:count])
            if series.is_truncated or planes == len(series.pages):
                return dict(zip(axes[:count], shape[:count], strict=True))
    return None


def _position(
    path: Path, sizes: Mapping[str, int], reading: Reading
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Where a stack is cut along every axis but that of channels, and the notes on that."""
    several = [axis for axis, size in sizes.items() if size > 1 and axis != "C"]
    cut = next((axis for axis in ("Z", "T", *several) if axis in several), None)
    if cut and reading.axis:
        if reading.axis in ("x", "y"):
            raise ImageError(
                f"{path} is a stack of pages, which is not cut across {reading.axis}: use axis=z."
            )
        if reading.axis.upper() in several:
            cut = reading.axis.upper()
        elif cut in _NAMES:
            raise ImageError(f"{path} has no axis {reading.axis}, but {cut.lower()}: use axis={cut.lower()}.")
    at = {axis: size // 2 if axis == "Z" else 0 for axis, size in sizes.items()}
    if not cut and reading.slice:
        raise no_such_slice(path, 1, "pages", reading.slice)
    if cut and reading.slice is not None:
        at[cut] = reading.slice
        if reading.slice >= sizes[cut]:
            raise no_such_slice(path, sizes[cut], _NAMES.get(cut, "pages"), reading.slice)
    notes = (
        slice_note(at[axis], sizes[axis])
        if axis == "Z"
        else frame_note(at[axis], sizes[axis], _NAMES.get(axis, "pages"))
        for axis in several
    )
    return at, tuple(itertools.chain.from_iterable(notes))


def slice_note(number: int, count: int) -> tuple[str, ...]:
    """Return the note on which slice of a volume is read.

    >>> slice_note(6, 12)
    ('slice 6 (from 0) of its 12 along z is read',)
    """
    return (f"slice {number} (from 0) of its {count} along z is read",) if count > 1 else ()


def _of_volume(path: Path, page: Page, reading: Reading) -> ChosenPages:
    """One plane of a page that has several (ImageDepth, SGI's extension of TIFF)."""
    depth = _keyframe(page).imagedepth
    at, notes = _position(path, {"Z": depth}, reading) if depth > 1 else ({"Z": 0}, ())
    return ChosenPages((Plane(page, depth=at["Z"]),), None, notes)


def _full_pages(
    path: Path, tiff: tifffile.TiffFile
) -> tuple[list[tifffile.TiffPage], list[tifffile.TiffPage]]:
    """The pages of full resolution, and the transparency masks of the file."""
    tiff.pages.useframes = False
    pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage) and page.shape]
    masks = [page for page in pages if _is_mask(page)]
    images = [page for page in pages if not _is_mask(page)]
    if full := [page for page in images if not page.subfiletype & _REDUCED]:
        return full, masks
    # The image of a camera raw file is in a SubIFD of its thumbnail.
    below = [page for parent in images for page in _below(tiff, parent) if not _is_mask(page)]
    if full := [page for page in below if not page.subfiletype & _REDUCED]:
        return full, masks
    if not images:
        raise ImageError(f"{path} holds {'only a transparency mask' if masks else 'no image'}: remove it.")
    return [max(images, key=lambda page: page.imagelength * page.imagewidth)], masks


def _keyframe(page: Page) -> tifffile.TiffPage:
    """The page whose tags count for a page: itself, or the first of a stack of equal ones."""
    return cast(tifffile.TiffPage, page.keyframe)


def data_end(page: Page) -> int:
    """Return the position in the file at which the pixels of a page end.

    Strips or tiles without content count nothing (they are not stored), and uncompressed ones no more than
    their pixels, for which some writers give too large a number.
    """
    directory = _keyframe(page)
    most = None
    if directory.compression == 1:
        rows, columns = directory.rowsperstrip, directory.imagewidth
        if directory.is_tiled:
            rows, columns = directory.tilelength * max(directory.tiledepth, 1), directory.tilewidth
        samples = directory.samplesperpixel if directory.planarconfig == 1 else 1
        most = rows * -(-columns * samples * directory.bitspersample // 8)
    ends = (
        offset + (count if most is None else min(count, most))
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
        if count
    )
    return max(ends, default=0)


def _below(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> list[tifffile.TiffPage]:
    """The pages in the SubIFDs of a page (TIFF Technical Note 1)."""
    found = []
    for number, offset in enumerate(page.subifds or ()):
        tiff.filehandle.seek(offset)
        found.append(tifffile.TiffPage(tiff, (page.index, number)))
    return found


def _is_mask(page: tifffile.TiffPage) -> bool:
    return bool(page.subfiletype & _MASK) or page.photometric == tifffile.PHOTOMETRIC.MASK


def _belongs(mask: tifffile.TiffPage, page: tifffile.TiffPage) -> bool:
    """Whether a mask is that of a page: of the same size, and behind it."""
    behind = mask.index > page.index and not mask.subfiletype & _REDUCED
    return behind and _is_as_large(mask, page)


def _is_as_large(mask: tifffile.TiffPage, page: tifffile.TiffPage) -> bool:
    return (mask.imagelength, mask.imagewidth) == (page.imagelength, page.imagewidth)
