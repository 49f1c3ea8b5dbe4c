#!/usr/bin/env bash
# EXPECTED  kornia's resize(..., interpolation="bicubic", antialias=True) low-pass filters as bicubic interpolation with antialias does
#           in torch, torchvision, Pillow and MATLAB: the cubic kernel, stretched by the scale.
# SEEN      It blurs with a Gaussian and then applies the unstretched kernel with a = -0.75. The result differs from torch's and
#           Pillow's, which agree, by tens of grey levels; at 1/2 by half as much as without antialias.
# VERSIONS  kornia 0.9.0, torch 2.13.0, Pillow 13.0.0, Python 3.11, 2026-11-27.
# MATTERS   LR images that are made on the GPU with kornia, to train a network or to mine a prior at another scale, are another task than
#           that of the benchmarks. Here they are made by splat2d.imresize (cuda/splat2d/matlab_imresize.py); sr_model/METRICS.md has more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 pillow==13.0.0 kornia==0.9.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import torch
from kornia.geometry.transform import resize
from PIL import Image
from torch.nn.functional import interpolate

SIDE, BORDER = 128, 8
x, y = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="xy")
image = 0.5 + 0.5 * torch.cos(0.02 * (x.square() + y.square()) / 2)[None, None]  # finer and finer rings
changed = True
for parts in (2, 4):
    size = (SIDE // parts, SIDE // parts)
    pillow = torch.from_numpy(np.array(Image.fromarray(image[0, 0].numpy()).resize(size, Image.Resampling.BICUBIC)))
    results = {
        "torch, antialias=True": interpolate(image, size, mode="bicubic", antialias=True),
        "kornia, antialias=True": resize(image, size, "bicubic", antialias=True),
        "kornia, antialias=False": resize(image, size, "bicubic", antialias=False),
    }
    inside = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    levels = {name: (one[0, 0] - pillow)[inside].abs().max().item() * 255 for name, one in results.items()}
    for name, level in levels.items():
        print(f"1/{parts}  {name:<24} differs from Pillow's antialiased bicubic by up to {level:7.3f} of 255")
    changed &= levels["torch, antialias=True"] < 0.1 and levels["kornia, antialias=True"] > 5
sys.exit(0 if changed else 1)
PYTHON
