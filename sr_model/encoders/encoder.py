"""The class that every encoder extends, and padding to its windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Map images [B, 3, h, w] in [0, 1] to features [B, channels, upsampling * h, upsampling * w]."""

    channels: int
    """Channels of the features."""
    upsampling: int
    """Resolution of the features relative to the image's."""
    window: int
    """The encoder takes images whose height and width are multiples of it (`fill_windows`)."""
    mean: Tensor
    """[3, 1, 1], subtracted from the image; saved with the weights, because pretrained weights have their
    own."""

    def __init__(self, channels: int, *, upsampling: int = 1, window: int = 1, mean: float) -> None:
        super().__init__()
        self.channels, self.upsampling, self.window = channels, upsampling, window
        self.register_buffer("mean", torch.full((3, 1, 1), mean))
        self.register_load_state_dict_pre_hook(_supply_mean)  # type: ignore[no-untyped-call]  # torch's

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Return the features of an image whose sides are multiples of `window`."""

    @property
    def radius(self) -> int | None:
        """The distance in pixels beyond which the image changes no feature, or more; None without a bound.

        Here: the halves of all kernels, as if every convolution followed the last; no bound for windows.
        """
        return None if self.window > 1 else sum_of_halves(self)


def sum_of_halves(module: nn.Module) -> int:
    """Return the sum of half the kernel sizes of all convolutions in a module."""
    return sum(layer.kernel_size[0] // 2 for layer in module.modules() if isinstance(layer, nn.Conv2d))


def _supply_mean(encoder: Encoder, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    state.setdefault(f"{prefix}mean", encoder.mean)  # older checkpoints lack it


def fill_windows(image: Tensor, window: int) -> Tensor:
    """Extend images [..., h, w] at the bottom and right, by reflection, to multiples of `window`.

    Unlike F.pad's, the reflection may repeat, so that images smaller than the extension are allowed.
    """
    rows, columns = (_reflected(extent, window, image.device) for extent in image.shape[-2:])
    if len(rows) == image.shape[-2] and len(columns) == image.shape[-1]:
        return image
    return image[..., rows, :][..., columns]


def _reflected(extent: int, window: int, device: torch.device) -> Tensor:
    period = max(1, 2 * (extent - 1))
    indices = torch.arange(-(-extent // window) * window, device=device) % period
    return torch.minimum(indices, period - indices) if extent > 1 else indices
