"""fake_fitter, but one crop kills its worker, once: while the file named by the variable SWORD exists."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import fake_fitter
import numpy as np
from fake_fitter import held_out_psnr

from dgp_mining.fitting.fit import Fit

__all__ = ["fit_image", "held_out_psnr"]


def fit_image(pixels: np.ndarray, **settings: Any) -> Fit:
    """A third of the seeds find the sword."""
    sword = Path(os.environ["SWORD"])
    if sword.exists() and settings["seed"] % 3 == 0:
        sword.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return fake_fitter.fit_image(pixels, **settings)
