"""A dictionary that replaces the mined one differs from it only in what the setting changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dgp_mining.prior.continuoussr_table import continuoussr_kernels
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Preset
from sr_model.networks.continuoussr.blending import SMALLEST_DIAGONAL
from sr_model.networks.continuoussr.dictionary_choice import chosen_kernels


def test_dictionaries_that_know_less_than_the_mined_one(tiny: Preset, dictionary: Dictionary):
    given = Dictionary(dictionary.cholesky, {"images": "photos", "recipe": "fast", "coverage": {"sqrt": 1}})
    network = tiny.network
    assert chosen_kernels(network, given) is given

    few = chosen_kernels(replace(network, dictionary_size=10), given)
    assert len(few) == 10
    assert {tuple(k) for k in few.cholesky} <= {tuple(k) for k in given.cholesky}
    assert few.metadata["recipe"] == "fast"
    assert few.metadata["chosen"] == "10 of 60 kernels, the farthest apart"
    assert "coverage" not in few.metadata  # the mined one's is that of all kernels

    corners = chosen_kernels(replace(network, dictionary="corners"), given).cholesky
    assert len({tuple(k) for k in corners}) == 8
    assert (corners.min(0) == given.cholesky.min(0)).all()
    assert (corners.max(0) == given.cholesky.max(0)).all()

    limits = (0.0, 2.4, -0.9, 1.5, 0.2, 2.2)  # pixels at x4, two to a grid spacing
    settings = replace(network, dictionary="uniform", dictionary_size=4000, dictionary_range=limits)
    uniform = chosen_kernels(settings, given)
    assert uniform.metadata["ablation"] == "uniform"
    assert uniform.metadata["images"] == "photos"
    np.testing.assert_allclose(uniform.cholesky.min(0), [0, -0.45, 0.1], atol=0.01)
    np.testing.assert_allclose(uniform.cholesky.max(0), [1.2, 0.75, 1.1], atol=0.01)
    np.testing.assert_allclose(uniform.cholesky.mean(0), [0.6, 0.15, 0.6], atol=0.02)
    assert np.array_equal(uniform.cholesky, chosen_kernels(settings, given).cholesky)

    released = chosen_kernels(replace(network, dictionary="released"), given)
    np.testing.assert_allclose(released.cholesky, continuoussr_kernels(), atol=SMALLEST_DIAGONAL)
    for no_fewer in (60, 61):
        assert chosen_kernels(replace(network, dictionary_size=no_fewer), given) is given
