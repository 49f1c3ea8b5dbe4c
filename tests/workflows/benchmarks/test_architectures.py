"""Architectures are compared after equal training; no test asserts a time."""

from __future__ import annotations

import pytest
import torch


def test_architectures_prints_what_each_reaches_and_costs(quick):
    printed, written = quick("architectures.py")
    assert "budget: 0.02 minutes each" in printed
    assert set(written["networks"]) == {"ContinuousSR", "GSASR", "LIIF"}
    for figures in written["networks"].values():
        assert figures["steps"] >= 1
        assert figures["parameters"] > 100_000
        assert figures["psnr"].keys() == figures["bicubic"].keys() == {"x2", "x4"}
        assert all(value > 0 for cost in figures["cost"].values() for value in cost.values())
    assert (
        abs(written["networks"]["GSASR"]["psnr"]["x2"] - written["networks"]["GSASR"]["bicubic"]["x2"]) < 0.5
    )


def test_liif_learns_from_the_pixels_that_it_renders():
    """A pixel's loss is against that pixel: a network that renders the image has none."""
    from architectures import LIIFNetwork

    from sr_model.encoders import EDSR
    from sr_model.training.samples import Batch

    torch.manual_seed(0)
    network = LIIFNetwork(EDSR(8, 1)).requires_grad_(False)
    lr = torch.rand(2, 3, 6, 6)
    rendered = network(lr).render((15, 15))
    random = torch.Generator().manual_seed(0)
    assert network.loss(Batch(lr, (rendered,)), random) == pytest.approx(0, abs=1e-6)
    assert network.loss(Batch(lr, (rendered.mT.contiguous(),)), random) > 1e-3
