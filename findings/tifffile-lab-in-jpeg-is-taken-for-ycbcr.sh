#!/usr/bin/env bash
# EXPECTED  tifffile returns the L*, a*, b* of a CIELab TIFF with JPEG compression that libtiff has written, since the TIFF's
#           PhotometricInterpretation says what the three components are (TIFF Technical Note 2).
# SEEN      It takes them for YCbCr and returns what that is in RGB: libjpeg guesses the colours from component identifiers, and
#           nothing tells it otherwise.
# VERSIONS  tifffile 2026.3.3, imagecodecs 2026.3.6, Pillow 12.0.0 (libtiff inside), Python 3.11, 2026-11-27.
# MATTERS   Colours come out wrong without a word; dgp_mining/images/formats/tiff_samples.py has libjpeg keep such components.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tifffile==2026.3.3 imagecodecs==2026.3.6 pillow==12.0.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import tifffile
from PIL import Image

# A grey-green of L* = 60, in large blocks that JPEG hardly changes. Pillow writes with libtiff.
lab = np.empty((32, 32, 3), np.uint8)
lab[:] = (153, 40, 20)
Image.fromarray(lab, "LAB").save("lab.tif", compression="jpeg", quality=100)

by_libtiff = np.asarray(Image.open("lab.tif"))[16, 16].astype(int)
by_tifffile = tifffile.imread("lab.tif")[16, 16].astype(int)
print(f"stored L*, a*, b*  {lab[16, 16]}")
print(f"read by libtiff    {by_libtiff}")
print(f"read by tifffile   {by_tifffile}")
right = np.abs(by_libtiff - lab[16, 16]).max() <= 2
sys.exit(0 if right and np.abs(by_tifffile - lab[16, 16]).max() > 20 else 1)
PYTHON
