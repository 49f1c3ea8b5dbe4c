#!/usr/bin/env bash
# EXPECTED  A square root is correctly rounded, as IEEE 754 asks and numpy, C and CUDA have it: torch.sqrt gives the same bits everywhere.
# SEEN      In float32 on a CPU, torch 2.13 takes it from MKL's vector functions: on an Intel Xeon 0.6 % of results are not the nearest
#           float, and MKL chooses its code by the processor, so that the same program makes other bits on another machine.
# VERSIONS  torch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11, Linux x86_64, 2026-11-28.
# MATTERS   Widths of Gaussians are square roots of covariances: a prior mined on two kinds of workers depends on which crop went where,
#           and a digest of fields does not repeat. cuda/splat2d/rounding.py takes the roots of fitted Gaussians from numpy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch

values = torch.rand(1 << 20, generator=torch.Generator().manual_seed(0)) + 0.01
nearest = np.sqrt(values.numpy().astype(np.float64)).astype(np.float32)
wrong = {
    "numpy.sqrt": int((np.sqrt(values.numpy()) != nearest).sum()),
    "torch.sqrt": int((torch.sqrt(values).numpy() != nearest).sum()),
}
for name, count in wrong.items():
    print(f"{name}: {count} of {len(nearest)} float32 roots are not the nearest float")
as_described = wrong["numpy.sqrt"] == 0 < wrong["torch.sqrt"]
print("as described" if as_described else "changed")
sys.exit(0 if as_described else 1)
PY
