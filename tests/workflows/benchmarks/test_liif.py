"""LIIF interpolates as its paper says."""

from __future__ import annotations

import torch


def test_liif_blends_its_four_neighbours_as_bilinear_interpolation_does():
    """Local ensemble's weights: a decoder that returns its feature interpolates the features."""
    from liif import LIIF

    class Feature(torch.nn.Module):
        def forward(self, inputs):
            return inputs[..., 4:5].expand(*inputs.shape[:-1], 3)  # the middle one of the unfolded nine

    liif = LIIF(torch.nn.Identity(), 1)
    liif.decoder = Feature()
    features = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    ours = liif(features, (20, 35))[:, :1]
    exact = torch.nn.functional.interpolate(features, (20, 35), mode="bilinear", align_corners=False)
    inner = (..., slice(2, -2), slice(3, -3))  # beyond the outer centres LIIF does not interpolate
    assert torch.allclose(ours[inner], exact[inner], atol=1e-5)
