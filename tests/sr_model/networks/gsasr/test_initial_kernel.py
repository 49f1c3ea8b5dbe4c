"""Gaussians start as the mean kernel of the prior."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dgp_mining.prior.dictionary import Dictionary
from sr_model import GSASR
from sr_model.networks.gsasr.initial_kernel import start_at_mean_kernel


def test_gaussians_may_start_as_the_mean_kernel_of_a_prior(tiny_gsasr, dictionary: Dictionary):
    xx, xy, yy = dictionary.covariance.mean(0)
    settings = replace(tiny_gsasr.network, interpolate=False)
    field = GSASR(start_at_mean_kernel(settings, dictionary))(torch.rand(1, 3, 4, 4), 2)
    l11, l21, l22 = (field.cholesky[0, 0] * settings.cells).tolist()  # in grid spacings
    assert (l11**2, l11 * l21, l21**2 + l22**2) == pytest.approx((xx, xy, yy), rel=1e-4)
    # A network that starts as bicubic interpolation starts with a round kernel of the same area.
    start = start_at_mean_kernel(tiny_gsasr.network, dictionary).start
    assert start[0] == start[2] == pytest.approx((xx * yy - xy**2) ** 0.25)
    assert start[1] == 0
