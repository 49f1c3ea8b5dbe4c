#!/usr/bin/env bash
# EXPECTED  pyiqa's `psnry` (PSNR(test_y_channel=True)) is the PSNR-Y of the super-resolution literature: its docstrings say
#           "YCbCr", and of SSIM "same as official matlab code", and MATLAB's rgb2ycbcr gives luma from 16 to 235.
# SEEN      It takes the Y of YIQ, from 0 to 255, by default: every PSNR-Y is 20 log10(255 / 219) = 1.32 dB below that of BasicSR and
#           MATLAB, and `ssim`, whose constants do not scale along, is too low too. PSNR(color_space="ycbcr") is the literature's.
# VERSIONS  pyiqa 0.1.16, torch 2.13.0, Python 3.11, 2026-11-27.
# MATTERS   1.32 dB is more than most papers gain: a trained network seems worse than bicubic interpolation in a table copied from
#           a paper. sr-eval takes 16 to 235 (sr_model/evaluation/metrics.py); sr_model/METRICS.md has the whole table.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/pip" install -q --no-deps pyiqa==0.1.16
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib
import importlib.util
import math
import sys
import types
from pathlib import Path

import torch

# Only the two metrics and what they import: the package itself imports torchvision and others, which are not needed.
root = Path(importlib.util.find_spec("pyiqa").submodule_search_locations[0])
for name in ("", "archs", "utils"):
    module = types.ModuleType(f"pyiqa.{name}".rstrip("."))
    module.__path__ = [str(root / name)]
    sys.modules[module.__name__] = module
PSNR = importlib.import_module("pyiqa.archs.psnr_arch").PSNR
SSIM = importlib.import_module("pyiqa.archs.ssim_arch").SSIM

torch.manual_seed(0)
image = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16), 128, mode="bicubic").clamp(0, 1)
image = (image * 255).round() / 255
noisy = ((image + 0.02 * torch.randn_like(image)).clamp(0, 1) * 255).round() / 255


def luma(picture):  # MATLAB's rgb2ycbcr, for values in [0, 1]
    weights = torch.tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1) / 255
    return (picture * weights).sum(1, keepdim=True) + 16 / 255


def psnr(one, other):
    return -10 * math.log10((one - other).double().square().mean())


expected = psnr(luma(noisy), luma(image))
seen = PSNR(test_y_channel=True)(noisy, image).item()  # the options of create_metric("psnry")
chosen = PSNR(test_y_channel=True, color_space="ycbcr")(noisy, image).item()
similarity = [SSIM(color_space=space)(noisy, image).item() for space in ("ycbcr", "yiq")]
print(f"PSNR-Y of the literature {expected:.3f} dB, pyiqa's psnry {seen:.3f} dB: {seen - expected:+.3f} dB")
print(f"with color_space='ycbcr' {chosen:.3f} dB; 20 log10(219 / 255) is {20 * math.log10(219 / 255):+.3f} dB")
print(f"SSIM on luma: {similarity[0]:.4f} with color_space='ycbcr', {similarity[1]:.4f} by default")
lower = abs(seen - expected - 20 * math.log10(219 / 255)) < 0.02
sys.exit(0 if lower and abs(chosen - expected) < 0.02 and similarity[1] < similarity[0] else 1)
PYTHON
