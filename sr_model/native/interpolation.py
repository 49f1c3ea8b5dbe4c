"""Filters that make several rows and columns of each, in float32 on the CPU, without gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from . import library


def applies(image: Tensor, taps: Tensor) -> bool:
    """Whether `interpolated` may be called with these tensors; what it is for else, torch must compute."""
    return library.applies_without_gradients(image, taps) and min(image.shape[-2:]) > 0


def interpolated(image: Tensor, taps: Tensor) -> Tensor:
    """Filter rows, then columns, of an image [B, C, h, w] to k each by `taps`, [k, odd]: [B, C, k h, k w].

    Beyond the borders the outermost pixels repeat. The result is channels-last. Raises RuntimeError if there
    is no library (`applies`).

    >>> image, taps = torch.tensor([[[[0.0, 4.0]]]]), torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
    >>> if applies(image, taps):
    ...     assert interpolated(image, taps)[0, 0, 1].tolist() == [0.0, 1.0, 3.0, 4.0]
    """
    image = image.permute(0, 2, 3, 1).contiguous()
    taps = taps.contiguous()
    batch, height, width, channels = image.shape
    cells = len(taps)
    out = image.new_empty(batch, cells * height, cells * width, channels)
    arguments = library.InterpolateArguments(
        batch=batch,
        height=height,
        width=width,
        channels=channels,
        cells=cells,
        taps=taps.shape[1],
        threads=torch.get_num_threads(),
        image=image.data_ptr(),
        filter=taps.data_ptr(),
        out=out.data_ptr(),
    )
    library.call("interpolate", arguments)
    return out.permute(0, 3, 1, 2)
