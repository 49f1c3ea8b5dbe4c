"""The fit of no_fit.py, on noise instead of images: a run with it measures what is left beside both."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from no_fit import fit_image as fit_image
from no_fit import held_out_psnr as held_out_psnr

from dgp_mining.images.reader import DecodedImage, image_size
from dgp_mining.planning import crop_loader


@functools.cache
def _pixels(size: tuple[int, int]) -> DecodedImage:
    return DecodedImage(np.random.default_rng(0).random((*size, 3), np.float32), notes=())


crop_loader.decode_image = lambda path, reading: _pixels(image_size(Path(path), reading))
