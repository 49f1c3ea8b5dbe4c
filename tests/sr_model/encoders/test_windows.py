"""Attention stays within its window and within the image."""

from __future__ import annotations

import pytest
import torch

from sr_model.encoders.windows import WindowAttention


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("shifted", [False, True])
def test_attention_looks_across_its_window_and_never_around_the_image(shifted, axis):
    attention = WindowAttention(12, 6, 8, shifted).double().requires_grad_(False)
    tokens = torch.rand(1, 32, 32, 12, dtype=torch.float64)
    changed = tokens.clone()
    changed.narrow(axis, 0, 4).zero_()  # the part that shifted windows join to the opposite border
    seen = (attention(changed) - attention(tokens)).abs().amax((0, 3)).amax(2 - axis)
    assert seen[:4].min() > 0
    assert (seen[4:8].min() > 0) is not shifted
    assert seen[8:].max() < 1e-30


@pytest.mark.parametrize("shifted", [False, True])
def test_attention_is_the_same_whether_it_learns_or_not(shifted):
    attention = WindowAttention(12, 6, 8, shifted).double()
    tokens = torch.randn(2, 16, 24, 12, dtype=torch.float64)
    with torch.no_grad():
        fused = attention(tokens)
    torch.testing.assert_close(attention(tokens).detach(), fused, rtol=0, atol=1e-12)
