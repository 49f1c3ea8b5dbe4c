#!/usr/bin/env bash
# EXPECTED  ncnn.Mat(array) holds the numbers of a NumPy array, as torch.from_numpy does, also if the array is a view such as
#           picture.transpose(2, 0, 1), which every loader makes of a photograph [H, W, 3]; or it raises an error.
# SEEN      The strides of a view are ignored: the Mat has its shape, and the memory that it is a view of read in
#           order. A network then upscales a picture whose channels and pixels are mixed, without a word.
# VERSIONS  ncnn 1.0.20261020, NumPy 2.4.2, Python 3.11, Linux x86_64, 2026-11-28.
# MATTERS   Comparisons of super-resolution networks run many peers by ncnn; with mixed pixels their PSNR is far too low.
#           workflows/studies/peer_networks.py makes the planes contiguous first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ncnn==1.0.20261020 numpy==2.4.2
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import ncnn
import numpy as np

picture = np.arange(4 * 5 * 3, dtype=np.float32).reshape(4, 5, 3)  # [H, W, 3]
view = picture.transpose(2, 0, 1)
copy = np.ascontiguousarray(view)
equal = {}
for name, planes in {"contiguous copy": copy, "view": view}.items():
    held = ncnn.Mat(planes)
    read = np.array(held)
    equal[name] = np.array_equal(read, planes)
    print(f"{name}: expected first row {planes[0, 0].tolist()}, ncnn.Mat has {read[0, 0].tolist()}, shape {read.shape}")
as_described = equal == {"contiguous copy": True, "view": False}
print("as described" if as_described else f"changed: {equal}")
sys.exit(0 if as_described else 1)
PY
