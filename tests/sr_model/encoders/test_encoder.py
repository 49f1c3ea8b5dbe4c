"""Images are extended to whole windows."""

from __future__ import annotations

import pytest
import torch

from sr_model.encoders import fill_windows


@pytest.mark.parametrize("window", [1, 8, 16])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (8, 16), (17, 31)])
def test_images_are_filled_up_to_windows_by_reflection(window, size):
    image = torch.arange(size[0] * size[1], dtype=torch.float32).view(1, 1, *size)
    filled = fill_windows(image, window)
    assert all(
        extent % window == 0 and extent - before < window
        for extent, before in zip(filled.shape[2:], size, strict=True)
    )
    assert torch.equal(filled[..., : size[0], : size[1]], image)
    rows, columns = filled.shape[2] - size[0], filled.shape[3] - size[1]
    if rows < size[0] and columns < size[1]:
        assert torch.equal(filled, torch.nn.functional.pad(image, (0, columns, 0, rows), mode="reflect"))
    assert filled.min() == image.min()
    assert filled.max() == image.max()
