"""SPAN: few plain convolutions, and attention without parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..initialisation import Conv2d
from ..native import convolve
from .encoder import Encoder


class SPAN(Encoder):
    """SPAN without its upsampler (Wan et al. 2024, section 3): [B, 3, h, w] -> [B, width, h, w].

    `depth` blocks of three 3x3 convolutions. The features join those of the first convolution, of the first
    and the last block, and from within the last block. The published networks are 48 or 52 wide and 6 deep.
    In training these have several parallel layers for each convolution (`Conv3XC`), whose sum is one 3x3
    convolution: that is what this encoder has, for training too.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, mean=0.5)
        self.first = Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(AttentionBlock(width) for _ in range(depth))
        self.tail = Conv2d(width, width, 3, padding=1)
        self.fuse = Conv2d(4 * width, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        shallow = features = self.first(image - self.mean)
        first = None
        for block in self.blocks:
            features, inner = block(features)
            first = features if first is None else first
        assert first is not None  # as `depth` is positive
        return self.fused(shallow, features, first, inner)

    def fused(self, shallow: Tensor, last: Tensor, first: Tensor, inner: Tensor) -> Tensor:
        """Return fuse(shallow, tail(last), first, inner), in fewer operations and less memory.

        Two convolutions without an activation between them, `tail` and `fuse`, are one.
        """
        of_shallow, of_tail, of_first, of_inner = torch.split(self.fuse.weight.flatten(1), self.channels, 1)
        assert self.fuse.bias is not None  # so that its type is known
        assert self.tail.bias is not None
        kernel = torch.einsum("om,mixy->oixy", of_tail, self.tail.weight)
        fused = convolve(last, kernel, self.fuse.bias + of_tail @ self.tail.bias)
        for part, weight in ((shallow, of_shallow), (first, of_first), (inner, of_inner)):
            fused = _plus_product(fused, part, weight)
        return fused


class AttentionBlock(nn.Module):
    """Three convolutions, the last of which decides how much of the features and of its own result stays."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second, self.third = (Conv2d(width, width, 3, padding=1) for _ in range(3))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's features and those after its first convolution, both as wide as `features`."""
        inner = _silu(self.first(features))
        made = self.third(_silu(self.second(inner)))
        if made.requires_grad:
            return (made + features) * (torch.sigmoid(made) - 0.5), inner
        attention = torch.sigmoid(made).sub_(0.5)
        return made.add_(features).mul_(attention), inner


def _silu(made: Tensor) -> Tensor:
    return F.silu(made, inplace=not made.requires_grad)


def _plus_product(features: Tensor, part: Tensor, weight: Tensor) -> Tensor:
    """Add the 1x1 convolution of a `part` with `weight` [outputs, inputs] to features [B, outputs, h, w]."""
    if features.requires_grad:
        return features + F.conv2d(part, weight[..., None, None])
    pixels, inputs = (tensor.permute(0, 2, 3, 1).flatten(0, 2) for tensor in (features, part))
    kernel = weight.T.to(inputs.dtype)  # which autocast would do, but not for a result in place
    summed = torch.addmm(pixels, inputs, kernel, out=pixels)  # in place if memory is channels-last
    return summed.view(features.shape[0], *features.shape[2:], -1).permute(0, 3, 1, 2)
