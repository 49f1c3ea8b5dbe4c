#!/usr/bin/env bash
# EXPECTED  OpenCV, whose pixels are B, G, R, exchanges red and blue when it reads or writes a PAM of the tuple type RGB, as it
#           does for PPM and every other format: the page pam(5) of Netpbm says "red, green, blue, in that order".
# SEEN      It does not: a red PAM is read as blue, and a red picture is written as a blue PAM, with the tuple type RGB or
#           RGB_ALPHA, at 8 and 16 bits. What it has written itself it reads back, so that nobody notices.
# VERSIONS  opencv-python-headless 5.0.0.93, numpy 2.4.6, Python 3.11, 2026-11-27.
# MATTERS   PAM is how Netpbm and FFmpeg hand on pictures with alpha. A data set that went through OpenCV once has red and blue
#           exchanged for everybody else. dgp_mining/images/formats/netpbm.py reads PAM as the page says, and its test
#           compares PPM and PFM with OpenCV, but not PAM.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np


def pam(kind: str, maxval: int, pixel: list[int]) -> bytes:
    head = f"P7\nWIDTH 1\nHEIGHT 1\nDEPTH {len(pixel)}\nMAXVAL {maxval}\nTUPLTYPE {kind}\nENDHDR\n"
    return head.encode() + np.array(pixel, ">u2" if maxval > 255 else "u1").tobytes()


as_described = []
for name, content in (
    ("red PPM, 8 bits", b"P6 1 1 255\n\xff\0\0"),
    ("red PAM, 8 bits", pam("RGB", 255, [255, 0, 0])),
    ("red PAM, 16 bits", pam("RGB", 65535, [65535, 0, 0])),
    ("red PAM with alpha", pam("RGB_ALPHA", 255, [255, 0, 0, 128])),
):
    seen = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)[0, 0].tolist()
    blue, red = seen[0] > 0, seen[2] > 0
    print(f"{name:18}: expected B, G, R with red alone, seen {seen}")
    as_described.append((red, blue) == ((True, False) if "PPM" in name else (False, True)))

red = np.full((1, 1, 3), (0, 0, 255), np.uint8)  # B, G, R
for suffix, options in ((".ppm", []), (".pam", [cv2.IMWRITE_PAM_TUPLETYPE, cv2.IMWRITE_PAM_FORMAT_RGB])):
    written = bytes(cv2.imencode(suffix, red, options)[1])
    print(f"red written as {suffix}: expected ... ff 00 00, seen ... {written[-3:].hex(' ')}")
    as_described.append(written[-3:] == (b"\xff\0\0" if suffix == ".ppm" else b"\0\0\xff"))
sys.exit(0 if all(as_described) else 1)
PYTHON
