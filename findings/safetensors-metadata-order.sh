#!/usr/bin/env bash
# EXPECTED  safetensors writes the same bytes for the same tensors and the same metadata, so that files can be compared by their hash.
# SEEN      With two or more metadata entries, their order in the header is random, anew in every call: 50 files of one process are two kinds.
# VERSIONS  safetensors 0.8.0, numpy 2.4.6, Python 3.11, 2026-11-27.
# MATTERS   Two runs that end with the same weights write checkpoints of different hashes, which looks like a training that cannot be
#           reproduced. Here checkpoints have their metadata in one order (sr_model/checkpoints/tensor_file.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q safetensors==0.8.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
from collections import Counter

import numpy as np
from safetensors.numpy import save

tensors = {"weight": np.arange(4, dtype=np.float32)}
files = {
    entries: Counter(save(tensors, metadata={f"key{i}": "value" for i in range(entries)}) for _ in range(50))
    for entries in (1, 2)
}
for entries, kinds in files.items():
    print(f"50 files with {entries} metadata entries: {len(kinds)} kinds of bytes, {sorted(kinds.values())} times each")
sys.exit(0 if len(files[1]) == 1 and len(files[2]) == 2 else 1)
PYTHON
