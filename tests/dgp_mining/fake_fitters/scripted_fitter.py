"""fake_fitter, but each crop, recognised by its first pixel, has a list of outcomes and a file of its calls.

The files lie in the folder named by SCRIPT_FOLDER; see `Script` in conftest.py.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fake_fitter
import numpy as np
import torch
from fake_fitter import held_out_psnr

from dgp_mining.fitting.fit import Fit


def fit_image(pixels: np.ndarray, **settings: Any) -> Fit:
    """The next outcome of the crop: a fit, an error, or the end of the process."""
    folder = Path(os.environ["SCRIPT_FOLDER"])
    crop = str(round(255 * float(pixels[0, 0, 0])))
    with (folder / f"calls-{crop}").open("a+") as calls:
        calls.write("x")
        calls.seek(0)
        call = len(calls.read())
    outcomes = json.loads((folder / "outcomes.json").read_text()).get(crop, [])
    match outcomes[call - 1] if call <= len(outcomes) else "fit":
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "refuse":
            raise ValueError("the crop is refused")
        case "break":
            raise RuntimeError("something broke\nin many places")
    return fake_fitter.fit_image(pixels, **settings)


def fit_images(crops: Sequence[np.ndarray], *, seeds: Sequence[int], **settings: Any) -> list[Fit]:
    """As on a GPU whose memory holds the number of crops in the file `memory`."""
    folder = Path(os.environ["SCRIPT_FOLDER"])
    with (folder / "batches").open("a") as batches:
        batches.write(f"{len(crops)}\n")
    if len(crops) > int((folder / "memory").read_text()):
        raise torch.OutOfMemoryError
    return [fit_image(crop, seed=seed, **settings) for crop, seed in zip(crops, seeds, strict=True)]


def held_out_psnrs(crops: Sequence[np.ndarray], *, seeds: Sequence[int], **settings: Any) -> list[float]:
    """The numbers of fake_fitter."""
    return [held_out_psnr(crop, seed=seed, **settings) for crop, seed in zip(crops, seeds, strict=True)]
