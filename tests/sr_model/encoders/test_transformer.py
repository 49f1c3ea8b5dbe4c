"""The upsampler of transformers takes every product of twos and threes, and no other factor."""

from __future__ import annotations

import pytest
import torch

from sr_model.encoders.transformer import upsampler


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 6, 8])
def test_features_are_upsampled_by_products_of_twos_and_threes(factor: int) -> None:
    upsampled = upsampler(4, factor)(torch.rand(1, 4, 2, 3))
    assert upsampled.shape == (1, 4, 2 * factor, 3 * factor)


def test_another_factor_is_refused() -> None:
    with pytest.raises(ValueError, match="products of 2 and 3"):
        upsampler(4, 10)
