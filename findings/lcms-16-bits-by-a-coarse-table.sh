#!/usr/bin/env bash
# EXPECTED  Little CMS converts 16-bit RGB from one matrix profile to another at least as exactly as 8-bit RGB.
# SEEN      By default it replaces the formulas by a table of 33 nodes a side for 16 bits (not for 8 bits, nor for floats):
#           colours near the limits of sRGB are wrong by up to 20 of 255 levels. The flag NOOPTIMIZE gives the exact values.
# VERSIONS  imagecodecs 2026.3.6 (Little CMS 2.18), numpy 2.4.6, Python 3.11, November 2026.
# MATTERS   16-bit photographs in Adobe RGB would be mined with other colours than the same ones in 8 bits;
#           dgp_mining/images/colour.py sets the flag for 16 bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import imagecodecs
import numpy as np

adobe, srgb = imagecodecs.cms_profile("adobergb"), imagecodecs.cms_profile("srgb")
colours = np.random.default_rng(0).integers(0, 256, (256, 256, 3))


def converted(pixels, flags=0):
    return imagecodecs.cms_transform(pixels, adobe, srgb, colorspace="rgb", outcolorspace="rgb", flags=flags)


exact = converted(colours / 255).clip(0, 1) * 255
eight = converted(colours.astype(np.uint8))
sixteen = converted((colours * 257).astype(np.uint16)) / 257
without = converted((colours * 257).astype(np.uint16), int(imagecodecs.CMS.FLAGS.NOOPTIMIZE)) / 257
errors = [np.abs(values - exact).max() for values in (eight, sixteen, without)]
print("largest error in levels of 255, against floats: expected below 1 in all")
print("8 bits {:.2f}, 16 bits {:.2f}, 16 bits with NOOPTIMIZE {:.2f}".format(*errors))
sys.exit(0 if errors[0] < 1 and errors[1] > 5 and errors[2] < 0.1 else 1)
PYTHON
