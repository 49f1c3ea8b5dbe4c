"""Writing DICOM files, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import FileDataset, FileMetaDataset


def random(low: int, high: int, dtype: type, *shape: int) -> np.ndarray:
    return np.random.default_rng(low % 7).integers(low, high, shape, dtype)


def write(
    path: Path,
    pixels: np.ndarray,
    kind: str = "MONOCHROME2",
    syntax: str = uid.ExplicitVRLittleEndian,
    **more: Any,
) -> Any:
    """Write frames [H, W], [H, W, 3] or, with NumberOfFrames, [n, H, W]; returns what pydicom reads of it."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = "1.2.3", syntax
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    frame = pixels.shape[1:] if "NumberOfFrames" in more else pixels.shape
    data.Rows, data.Columns = frame[:2]
    data.SamplesPerPixel = 3 if len(frame) == 3 else 1
    data.PhotometricInterpretation = kind
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.PixelData = pixels.tobytes()
    for name, value in more.items():
        setattr(data, name, value)
    data.HighBit = more.get("HighBit", data.BitsStored - 1)
    data.save_as(path, enforce_file_format=True)
    return pydicom.dcmread(path)
