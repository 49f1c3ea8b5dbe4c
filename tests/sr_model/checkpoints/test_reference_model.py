"""The reference model is shipped, small, of known origin, and better than bicubic interpolation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from dgp_mining.images.reader import read_rgb
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.shipped import MODEL
from sr_model import PRESETS, PROTOCOLS, Checkpoint
from sr_model.checkpoints.checkpoint import load_reference
from sr_model.evaluation.protocol import score
from sr_model.networks.continuoussr.dictionary_choice import chosen_kernels

DATA = Path(__file__).parents[3] / "data"


def test_it_is_preset_span_on_the_reference_prior_of_0_1_0():
    path = DATA / MODEL
    assert path.stat().st_size < 6e6
    checkpoint = Checkpoint.load(path)
    assert asdict(checkpoint.network) == asdict(PRESETS["span"].network)
    kernels = chosen_kernels(checkpoint.network, Dictionary.load(DATA / "priors/natural-730-0.1.0.npz"))
    assert np.array_equal(checkpoint.dictionary.numpy(), kernels.cholesky)
    assert checkpoint.notes["dictionary"]["fingerprint"] == kernels.metadata["fingerprint"]


def test_it_is_better_than_bicubic_on_a_photograph_that_it_has_not_seen():
    pixels = read_rgb(DATA / "samples" / "heldout" / "chelsea.png")[60:188, 80:208]
    image = torch.from_numpy((pixels * 255 + 0.5).astype(np.uint8)).permute(2, 0, 1)
    for scale in (2.0, 3.7):
        scored = score(load_reference(), image, scale, PROTOCOLS["benchmark"])
        assert scored.psnr > scored.bicubic_psnr + 0.5
