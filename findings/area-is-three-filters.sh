#!/usr/bin/env bash
# EXPECTED  "Area" reduction is one filter: OpenCV's INTER_AREA, Pillow's BOX and torch's F.interpolate(mode="area") agree up to rounding.
# SEEN      They agree at whole ratios only. Otherwise OpenCV weights every pixel by the share of it that an output pixel covers, Pillow takes
#           whole pixels by their centres, and torch averages whole pixels of overlapping windows: up to a tenth of the range apart.
# VERSIONS  opencv-python-headless 5.0.0.93, Pillow 13.0.0, torch 2.13.0, Python 3.11, 2026-11-27.
# MATTERS   Networks for real photographs are trained on degradations that name "area" among their kernels (Real-ESRGAN takes torch's), at
#           random, not whole ratios. Here `area` is the mean over a pixel's area, as OpenCV's (sr_model/degradation/).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate


def reductions(image: np.ndarray, height: int, width: int) -> dict[str, np.ndarray]:
    tensor = torch.from_numpy(image)[None, None]
    return {
        "OpenCV INTER_AREA": cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA),
        "Pillow BOX": np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX)),
        "torch area": interpolate(tensor, (height, width), mode="area")[0, 0].numpy(),
    }


image = np.random.default_rng(0).random((48, 60)).astype(np.float32)
farthest = {}
for height, width in ((16, 20), (13, 17)):
    results = reductions(image, height, width)
    exact = results.pop("OpenCV INTER_AREA")
    for name, result in results.items():
        farthest[height, name] = float(np.abs(result - exact).max())
        print(f"48x60 to {height}x{width}: {name:<10} differs from OpenCV INTER_AREA by up to {farthest[height, name]:.6f} of the range")
whole = all(value < 1e-5 for (height, _), value in farthest.items() if height == 16)
others = all(value > 0.05 for (height, _), value in farthest.items() if height == 13)
sys.exit(0 if whole and others else 1)
PYTHON
