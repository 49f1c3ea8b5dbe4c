"""DICOM (PS3.3, PS3.5, PS3.10), read with pydicom: grey images by their window, and colour images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..encoding import Encoding
from ..image_file import ImageFile, Model, Samples, full_range
from ..limits import ImageError, check_size
from ..reading import Reading
from .dicom_frames import (
    check_compression,
    check_length,
    deflated_from,
    is_deflated,
    number_of_frames,
    read_frame,
    transfer_syntax,
)
from .dicom_grey import Grey, grey_of
from .measured import slice_number
from .packed import check_deflated
from .pillow_file import frame_note

_TAGS: list[Any] = [
    *("SOPClassUID", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration", "PhotometricInterpretation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("ModalityLUTSequence", "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth"),
    *("PresentationLUTShape", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *("ICCProfile", "TotalPixelMatrixColumns", "TotalPixelMatrixRows"),
    *("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", 0x60000010),
]
"""Keywords of the attributes that are read; others are passed over. The last is the first overlay's rows."""

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")

_LONGEST_NAME = 100
"""Characters of a name in the file that an error repeats."""


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a DICOM file. Raises ImageError and pydicom's errors."""
    header = _header(path)
    frames = number_of_frames(header)
    if reading.axis in ("x", "y"):
        raise ImageError(f"{path} is cut into frames already, so axis={reading.axis} is not possible.")
    # A volume's first frame is mostly empty; of a film, one frame is as good as another.
    frame = slice_number(path, reading, frames, "frames", frames // 2)
    notes = frame_note(frame, frames, "frames")
    if int(header.get("TotalPixelMatrixColumns") or 0) > header.Columns:
        notes += ("its frames are the tiles of a larger image",)
    if 0x60000010 in header:
        notes += ("its overlays are left out",)
    notes += _spacing_note(header)
    kind = str(header.get("PhotometricInterpretation", "")).strip()
    common: dict[str, Any] = {
        "path": path,
        "format": "DICOM",
        "height": int(header.Rows),
        "width": int(header.Columns),
        "notes": notes,
        "more": {"modality": str(header.get("Modality", "")), "stored as": transfer_syntax(header).name},
    }
    bits = int(header.get("BitsStored") or header.get("BitsAllocated") or 32)
    if kind in _GREY:
        grey = grey_of(path, header, frame)
        masked = grey.padding is not None or grey.floating
        return ImageFile(
            **common,
            model=Model.GREY,
            channels=1,
            bits=bits,
            floating=grey.floating,
            measured=True,
            levels=grey.levels(),
            levels_by_pixels=grey.levels_in_words(),
            reversed=grey.inverse,
            decode=lambda: grey.samples(read_frame(path, header, frame), reading),
            valid=(lambda: _valid(path, header, frame, grey)) if masked else None,
        )
    if kind != "PALETTE COLOR" and kind not in _COLOUR:
        raise ImageError(
            f"{path} has the photometric interpretation {kind[:_LONGEST_NAME]}, which is not "
            "read: convert it."
        )
    if kind.startswith("YBR_FULL") and bits != 8:
        raise ImageError(f"{path} holds {kind} of {bits} bits, which is not read: convert it to RGB.")
    if kind == "PALETTE COLOR":
        bits = int(header.RedPaletteColorLookupTableDescriptor[2])
    profile = header.get("ICCProfile")
    return ImageFile(
        **common,
        model=Model.RGB,
        channels=3,
        bits=bits,
        levels=full_range(bits),
        encoding=Encoding(bytes(profile)) if profile else Encoding(),
        decode=lambda: _colours(path, header, frame, kind),
    )


def _header(path: Path) -> Any:
    """Read the attributes that say what the pixels are. Raises ImageError if there are no pixels."""
    import pydicom
    from pydicom.uid import UID

    with path.open("rb") as file:
        if start := deflated_from(file):
            check_deflated(path, start)
        file.seek(0)
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=_TAGS)
        held = path.stat().st_size - file.tell()  # it has stopped before the element of the pixels
    held -= 8 if transfer_syntax(header).is_implicit_VR else 12  # its tag and length (PS3.5, 7.1)
    empty = held < 0 and not is_deflated(header)
    if header.get("Rows") is None or header.get("Columns") is None or empty:
        kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
        what = f"DICOM ({UID(kind).name[:_LONGEST_NAME]})" if kind else "DICOM"
        raise ImageError(f"{path} is {what} without pixels: remove it.")
    check_size(path, int(header.Rows), int(header.Columns))
    if not header.get("PhotometricInterpretation"):
        raise ImageError(f"{path} does not say its photometric interpretation: replace or remove it.")
    stored, high = header.get("BitsStored"), header.get("HighBit")
    if stored is not None and high is not None and int(high) != int(stored) - 1:
        raise ImageError(f"{path} keeps its numbers in the upper bits (HighBit {high}): convert it.")
    check_compression(path, header)
    check_length(path, header, held)
    return header


def _spacing_note(header: Any) -> tuple[str, ...]:
    """The note on pixels that are no squares (10.7.1.3, C.7.6.3.1.7)."""
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing") or header.get("PixelAspectRatio")
    if not spacing or len(spacing) != 2 or min(map(float, spacing)) <= 0:
        return ()
    height, width = map(float, spacing)
    if max(height, width) / min(height, width) <= 1.01:
        return ()
    return (f"its pixels are {height / width:.3g} times as high as wide, and are not resampled",)


def _valid(path: Path, header: Any, frame: int, grey: Grey) -> np.ndarray:
    stored = read_frame(path, header, frame)
    valid = grey.valid(stored)
    return np.ones(stored.shape, bool) if valid is None else valid


def _colours(path: Path, header: Any, frame: int, kind: str) -> Samples:
    pixels = read_frame(path, header, frame)
    if kind != "PALETTE COLOR":
        return Samples(pixels)
    from pydicom.pixels.processing import apply_color_lut

    colours = apply_color_lut(pixels, header)[..., :3]
    bits = int(header.RedPaletteColorLookupTableDescriptor[2])
    if bits == 16 and _palette_max(header) < 256:
        note = "its palette of 16 bits holds numbers of 8, and is taken for one of 8 bits"
        return Samples(colours, (note,), full_range(8))
    return Samples(colours)


def _palette_max(header: Any) -> int:
    """The greatest number in a palette that is not segmented; 65535 if it is."""
    tables = [header.get(f"{colour}PaletteColorLookupTableData") for colour in ("Red", "Green", "Blue")]
    if any(table is None for table in tables):
        return 65535
    return max(int(np.frombuffer(table, np.uint16).max(initial=0)) for table in tables)
