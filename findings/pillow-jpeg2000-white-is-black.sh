#!/usr/bin/env bash
# EXPECTED  Pillow, which has 8 bits for each of R, G and B, reads an RGB JPEG 2000 of 10, 12 or 16 bits rounded to 8: white
#           stays 255. The numbers that OpenJPEG, inside, decodes are right.
# SEEN      White becomes 0, black: 8-bit rounding carries beyond 255 and wraps around, so that the brightest half step of
#           every channel is black without a warning. Grey is another way wrong: 12-bit white is 65520 of 65535, since
#           the value is shifted and not scaled. Images of 8 bits are right.
# VERSIONS  Pillow 13.0.0 (OpenJPEG inside), imagecodecs 2026.3.6, numpy 2.4.6, Python 3.11, 2026-11-27.
# MATTERS   Digital cinema, archives and satellites keep JPEG 2000 of 12 or 16 bits. A prior mined, or a network trained, on
#           such files through Pillow learns black speckles in every overexposed sky. dgp_mining/images/formats/jpeg2000.py
#           decodes them with OpenJPEG's numbers and the depth of each component.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0 imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import sys

import imagecodecs
import numpy as np
from PIL import Image

print("grey to white in five steps, losslessly stored; the first row as Pillow reads it")
seen = {}
for bits in (8, 10, 12, 16):
    most = 2**bits - 1
    ramp = (np.arange(5) * most // 4).astype(np.uint8 if bits == 8 else np.uint16)
    for channels in (1, 3):
        picture = np.broadcast_to(ramp[None, :, None], (8, 5, channels)).squeeze()
        encoded = imagecodecs.jpeg2k_encode(picture, level=0, bitspersample=bits, codecformat="jp2")
        assert np.array_equal(imagecodecs.jpeg2k_decode(encoded), picture), "the file is not lossless"
        read = np.asarray(Image.open(io.BytesIO(encoded)))
        row = read[0].reshape(5, -1)[:, 0].tolist()
        whole = np.iinfo(read.dtype).max
        print(f"  {bits:2} bits, {'RGB ' if channels == 3 else 'grey'}: {row}, white expected {whole}, seen {row[-1]}")
        seen[bits, channels] = row[-1]
as_described = [seen[bits, 3] == (255 if bits == 8 else 0) for bits in (8, 10, 12, 16)]
as_described += [seen[12, 1] == 65520, seen[16, 1] == 65535]
sys.exit(0 if all(as_described) else 1)
PYTHON
