"""Whoever changes the bits of a fit raises GENERATION, by which stores notice it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import splat2d
from dgp_mining.fitting import recipes
from dgp_mining.fitting.fit import fit_image
from dgp_mining.fitting.generation import GENERATION

DIGESTS = {
    1: {
        "fast of 0.1.0": "adb3427c73de00b9",
        "fast": "d8696249ba0e9056",
        "lattice": "c8df1ac56e66f3f0",
        "gaussianimage": "65245b2bfc771fb3",
    },
}
"""For each number, the digests of fits to PIXELS by each of RECIPES."""

RECIPES = {
    "fast of 0.1.0": recipes.FAST_OF_0_1_0,
    **{name: name for name in recipes.RECIPES},
}

ROW, COLUMN = np.mgrid[:24, :24]
PIXELS = np.stack([ROW * COLUMN % 17 / 17, (ROW * 3 + COLUMN) % 24 / 24, ROW // 8 * COLUMN / 64], -1)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_fit_of_other_bits_has_another_generation(name: str) -> None:
    if splat2d.backend() != "cpu":
        pytest.skip("splat2d has no native library here, and torch fits to other bits")
    field = fit_image(PIXELS.astype(np.float32), recipe=RECIPES[name], iterations=12).field
    digest = hashlib.sha256()
    for tensor in (field.means, field.cholesky, field.colors):
        digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[GENERATION][name], (
        "Fits have other bits: raise GENERATION in dgp_mining/fitting/generation.py, and add their digests."
    )
