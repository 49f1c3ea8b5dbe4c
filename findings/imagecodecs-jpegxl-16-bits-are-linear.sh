#!/usr/bin/env bash
# EXPECTED  A picture written by imagecodecs.jpegxl_encode has the same colours, whether its array holds 8 or 16 bits.
# SEEN      Arrays of 8 bits are written as sRGB, those of 16 bits and of floats as linear light: the middle grey of 16 bits is
#           shown at 188 of 255 rather than at 128.
# VERSIONS  imagecodecs 2026.3.6 (libjxl 0.11.2), pillow-jxl-plugin 1.3.8, Pillow 13.0.0, Python 3.11, November 2026.
# MATTERS   A reader that follows the header, as it must, brightens 16-bit JPEG XL files of this origin; ours does
#           (dgp_mining/images/formats/jpegxl_header.py), and says that it converts from linear light. Tests and tools that write
#           16-bit JPEG XL with imagecodecs make files of other colours than they mean to.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q imagecodecs==2026.3.6 pillow==13.0.0 pillow-jxl-plugin==1.3.8
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import sys

import imagecodecs
import numpy as np
import pillow_jxl  # noqa: F401  registers JPEG XL with Pillow
from PIL import Image

seen = {}
for dtype, grey in ((np.uint8, 128), (np.uint16, 128 * 257)):
    file = imagecodecs.jpegxl_encode(np.full((16, 16), grey, dtype), lossless=True)
    stored = imagecodecs.jpegxl_decode(file)
    assert (stored == grey).all()
    # libjxl describes the colours in the header by an ICC profile; lcms applies it.
    profile = Image.open(io.BytesIO(file)).info["icc_profile"]
    shown = imagecodecs.cms_transform(
        stored, profile, imagecodecs.cms_profile("srgb"), colorspace="gray", outcolorspace="rgb"
    )
    seen[np.dtype(dtype).name] = round(float(shown.mean()) * 255 / np.iinfo(dtype).max)
print(f"middle grey, 128 of 255 in both arrays, is shown at {seen}")
sys.exit(0 if abs(seen["uint8"] - 128) <= 1 and abs(seen["uint16"] - 188) <= 1 else 1)
PYTHON
