"""Whoever changes the bits of a fit raises GENERATION, by which stores notice it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import splat2d
from dgp_mining.fitting.fit import fit_image
from dgp_mining.fitting.generation import GENERATION

DIGESTS = {
    1: {"fast": "adb3427c73de00b9", "lattice": "c8df1ac56e66f3f0", "gaussianimage": "65245b2bfc771fb3"},
}
"""For each number, the digests of fits to PIXELS by each recipe."""

ROW, COLUMN = np.mgrid[:24, :24]
PIXELS = np.stack([ROW * COLUMN % 17 / 17, (ROW * 3 + COLUMN) % 24 / 24, ROW // 8 * COLUMN / 64], -1)


@pytest.mark.parametrize("recipe", ["fast", "lattice", "gaussianimage"])
def test_a_fit_of_other_bits_has_another_generation(recipe: str) -> None:
    if splat2d.backend() != "cpu":
        pytest.skip("splat2d has no native library here, and torch fits to other bits")
    field = fit_image(PIXELS.astype(np.float32), recipe=recipe, iterations=12).field
    digest = hashlib.sha256()
    for tensor in (field.means, field.cholesky, field.colors):
        digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[GENERATION][recipe], (
        "Fits have other bits: raise GENERATION in dgp_mining/fitting/generation.py, and add their digests."
    )
