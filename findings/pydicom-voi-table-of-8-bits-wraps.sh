#!/usr/bin/env bash
# EXPECTED  pydicom's apply_voi maps a stored value through a VOI lookup table (PS3.3, C.11.2.1.1) by its difference to the first value mapped.
# SEEN      If the table's entries have 8 bits, that difference is kept in 8 bits, too: with more than 256 entries, as of 12-bit images, the
#           value 256 gets the entry of 0, 257 that of 1, and so on. A grey ramp comes out as its darkest sixteenth, repeated, without a word.
# VERSIONS  pydicom 3.0.2, numpy 2.4.6, Python 3.11, 2026-11-27.
# MATTERS   DICOM images are read with their own VOI tables. The tables are looked up in dgp_mining/images/formats/dicom_grey.py instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pydicom==3.0.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
table = Dataset()
table.LUTDescriptor = [4096, 0, 8]  # entries, first value mapped, bits of an entry
table.add_new("LUTData", "OW", (np.arange(4096) // 16).astype("<u2").tobytes())

meta = FileMetaDataset()
meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
meta.MediaStorageSOPInstanceUID = "1.2.3"
image = FileDataset("ramp.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
image.Rows, image.Columns = ramp.shape
image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
image.VOILUTSequence = pydicom.Sequence([table])
image.PixelData = ramp.tobytes()
image.save_as("ramp.dcm", enforce_file_format=True)

image = pydicom.dcmread("ramp.dcm")
seen = apply_voi_lut(image.pixel_array, image)
for value in (0, 255, 256, 2048, 4095):
    print(f"stored {value:4}: expected {value // 16:3}, seen {seen.flat[value]}")
expected = ramp // 16
sys.exit(0 if (seen == np.uint8(ramp % 256) // 16).all() and (seen != expected).any() else 1)
PYTHON
