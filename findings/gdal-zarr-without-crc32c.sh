#!/usr/bin/env bash
# EXPECTED  GDAL reads a Zarr v3 array of numbers whose chunks carry a CRC-32C, a codec of the specification's core.
# SEEN      "Unsupported codec: crc32c"; without that codec it is read. Text ("string") is read neither way, and by
#           tensorstore neither.
# VERSIONS  rasterio 1.5.2 (GDAL 3.12.2), tensorstore 0.1.86, zarr 3.1.6, Python 3.12, 2026-11-28.
# MATTERS   Every chunk of a store carries a CRC-32C: GDAL reads none of it, tensorstore all but the text
#           (dgp_mining/README.md, "Read a store with other tools").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q rasterio==1.5.2 tensorstore==0.1.86 zarr==3.1.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import os
import sys

import numpy as np
import rasterio
import tensorstore
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec


def gdal(path):
    try:
        with rasterio.open(f'ZARR:"{path}"') as found:
            return found.read(1).shape == (3, 2)
    except rasterio.errors.RasterioIOError as error:
        print(f"GDAL {rasterio.__gdal_version__}: {path}: {error}")
        return False


def google(path):
    try:
        kvstore = {"driver": "file", "path": f"{os.path.abspath(path)}/"}
        return tensorstore.open({"driver": "zarr3", "kvstore": kvstore}, open=True).result().shape[0] == 3
    except ValueError as error:
        print(f"tensorstore: {path}: {str(error).partition('data_type')[2][:80]} ...")
        return False


numbers, words = np.ones((3, 2), np.float32), np.array(["a", "b", "c"])
zarr.create_array("plain", data=numbers, compressors=[ZstdCodec()])
zarr.create_array("checked", data=numbers, compressors=[ZstdCodec(), Crc32cCodec()])
zarr.create_array("text", shape=3, dtype="string", compressors=[ZstdCodec()])[:] = words
seen = {path: (gdal(path), google(path)) for path in ("plain", "checked", "text")}
expected = {"plain": (True, True), "checked": (True, True), "text": (True, True)}
print(f"read by (GDAL, tensorstore): expected {expected}, seen {seen}")
sys.exit(0 if seen == {"plain": (True, True), "checked": (False, True), "text": (False, False)} else 1)
PYTHON
