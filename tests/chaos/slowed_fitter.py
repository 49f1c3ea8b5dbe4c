"""fake_fitter, slow while the run is being disturbed, in a worker that takes memory on demand.

The folder in the variable DISTURBANCES holds "over" once they are, and "ballast-NAME" while the worker whose
variable CHAOS_NAME is NAME shall take as many bytes as the file says.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import fake_fitter
import numpy as np
from fake_fitter import held_out_psnr

from dgp_mining.fitting.fit import Fit

__all__ = ["fit_image", "held_out_psnr"]

PAUSE = 0.04
"""Seconds of every fit, until the disturbances are over."""


def fit_image(pixels: np.ndarray, **settings: Any) -> Fit:
    """Fit, at the pace of the disturbances."""
    folder = os.environ.get("DISTURBANCES")
    if folder and not (Path(folder) / "over").exists():
        time.sleep(PAUSE)
    return fake_fitter.fit_image(pixels, **settings)


def _take_memory() -> None:
    path = Path(os.environ["DISTURBANCES"]) / f"ballast-{os.environ['CHAOS_NAME']}"
    ballast = b""
    while True:
        wanted = int(path.read_text() or 0) if path.exists() else 0
        if wanted != len(ballast):
            ballast = b"x" * wanted
        time.sleep(0.1)


if "DISTURBANCES" in os.environ and "CHAOS_NAME" in os.environ:
    threading.Thread(target=_take_memory, daemon=True).start()
