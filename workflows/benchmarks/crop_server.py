"""Fits the crops that crop.py names, with the packages of any checkout since commit 5e9ec53.

It imports nothing else of the benchmarks, which older checkouts cannot run.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import Any

import numpy as np
import torch
from PIL import Image

SIDE = 256

MODULES = (
    ("dgp_mining.fitting.fit", "dgp_mining.fit"),
    ("dgp_mining.fitting.statistics", "dgp_mining.statistics"),
    ("dgp_mining.fitting.content", "dgp_mining.content"),
    ("splat2d.backends.cpu", "splat2d.native"),
)
"""Where a module is, and where it was in commit 5e9ec53."""


def _either(name: str, former: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return import_module(former)


def serve(instruction_set: str | None = None) -> None:
    """Fit the centre crops of the files that stdin names, one a line, and print COLUMNS of each as JSON."""
    fit, statistics, content, library = (_either(*names) for names in MODULES)
    held_out = getattr(fit, "held_out_psnr", None) or fit.off_lattice_psnr
    settings = _either("dgp_mining.planning.settings", "dgp_mining.fit")
    share = getattr(settings, "HELD_OUT_SHARE", 1.0)
    torch.set_num_threads(1)
    if instruction_set:
        library.set_instruction_set(instruction_set)
    for line in sys.stdin:
        pixels = np.asarray(Image.open(line.strip()).convert("RGB"), np.float32) / 255
        row, column = ((extent - SIDE) // 2 for extent in pixels.shape[:2])
        crop = np.ascontiguousarray(pixels[row : row + SIDE, column : column + SIDE])
        at = [time.thread_time()]
        fitted = fit.fit_image(crop)
        at.append(time.thread_time())
        between = held_out(crop)
        at.append(time.thread_time())
        statistics.measure(fitted.field, np.asarray(fitted.start), np.random.default_rng(0))
        content.measure_content(crop)
        at.append(time.thread_time())
        taken = (1e3 * np.diff(at)).tolist()
        print(json.dumps({"share": share, "row": [fitted.psnr, between, *taken]}), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
