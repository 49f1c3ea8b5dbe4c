"""Evaluation protocols: what is compared with what, on which channel, with which border and rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..degradation import Bicubic, bicubic
from ..networks.base import Network
from ..scaling import scale_between, scaled_extent
from .metrics import luma, psnr, ssim


@dataclass(frozen=True)
class Protocol:
    """What fixes a figure."""

    name: str
    """As given to `sr-eval --protocol`."""
    channel: Literal["y", "rgb"]
    """Measured on luma or on all three channels."""
    shave: Callable[[float], float]
    """Pixels left out at each border, by scale; rounded up."""
    eight_bit: bool
    """Results are rounded to 8 bits before measuring; clamped to [0, 1] in any case."""
    lr: Bicubic
    """Whose bicubic makes the LR image, and upscales it for comparison; both work on 8 bits."""


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("benchmark", "y", lambda scale: scale, True, "matlab"),
        Protocol("continuoussr", "y", lambda scale: scale, False, "pil"),
        Protocol("div2k", "rgb", lambda scale: scale + 6, False, "matlab"),
        Protocol("gsasr", "y", lambda scale: min(scale, 8), True, "matlab"),
    )
}


@dataclass(frozen=True)
class Score:
    """One image at one scale, or a mean of several."""

    psnr: float
    """Of the network, dB."""
    ssim: float
    """Of the network."""
    bicubic_psnr: float
    """Of bicubic interpolation, dB."""
    bicubic_ssim: float
    """Of bicubic interpolation."""


def low_resolution(hr: Tensor, scale: float, lr: Bicubic) -> tuple[Tensor, Tensor]:
    """(LR [3, h, w], HR [3, H', W']), both uint8, of an HR image [3, H, W] uint8.

    h = floor(H / scale), and HR is cropped at its bottom and right to H' = h * scale rounded, likewise w; at
    whole scales that is the usual crop to a multiple of the scale.
    """
    sizes = [math.floor(extent / scale) for extent in hr.shape[1:]]
    if min(sizes) < 1:
        raise ValueError(f"an image of {hr.shape[2]}x{hr.shape[1]} pixels has no LR image at scale {scale:g}")
    height, width = (scaled_extent(extent, scale) for extent in sizes)
    hr = hr[:, :height, :width]
    return bicubic(hr, (sizes[0], sizes[1]), lr), hr


@dataclass(frozen=True)
class Comparison:
    """An HR image and its two reconstructions, [3, H, W] float in [0, 1], as the protocol sees them."""

    hr: Tensor
    """The image itself."""
    network: Tensor
    """From its LR image by the network."""
    bicubic: Tensor
    """From its LR image by bicubic interpolation."""


@torch.inference_mode()
def compare(
    model: Network,
    hr: Tensor,
    scale: float,
    protocol: Protocol,
    affect: Callable[[Tensor], Tensor] | None = None,
) -> Comparison:
    """Reduce an HR image [3, H, W] uint8 and enlarge it again. Raises ValueError where it is too small.

    `affect` degrades the LR image further, [3, h, w] float in [0, 1] to the same.
    """
    lr, hr = low_resolution(hr, scale, protocol.lr)
    if affect:
        lr = (affect(lr / 255) * 255).round().byte()
    size = (hr.shape[1], hr.shape[2])
    device = next(model.parameters()).device
    field = model(lr.to(device)[None] / 255, scale_between(lr.shape[1:], size))
    upscaled = field.render(size)[0].cpu().clamp(0, 1)
    if protocol.eight_bit:
        upscaled = (upscaled * 255).round() / 255
    return Comparison(hr / 255, upscaled, bicubic(lr, size, protocol.lr) / 255)


def score(
    model: Network,
    hr: Tensor,
    scale: float,
    protocol: Protocol,
    affect: Callable[[Tensor], Tensor] | None = None,
) -> Score:
    """Score what `compare` makes of one HR image [3, H, W] uint8. Raises ValueError where it is too small."""
    return score_of(compare(model, hr, scale, protocol, affect), scale, protocol)


def score_of(images: Comparison, scale: float, protocol: Protocol) -> Score:
    """PSNR and SSIM of what `compare` made. Raises ValueError where shaving leaves too little."""
    return Score(
        *_measure(images.network, images.hr, scale, protocol),
        *_measure(images.bicubic, images.hr, scale, protocol),
    )


def _measure(image: Tensor, hr: Tensor, scale: float, protocol: Protocol) -> tuple[float, float]:
    image, hr = image.double(), hr.double()
    if protocol.channel == "y":
        image, hr = luma(image), luma(hr)
    shave = math.ceil(protocol.shave(scale))
    inside = (..., slice(shave, hr.shape[1] - shave), slice(shave, hr.shape[2] - shave))
    return psnr(image[inside], hr[inside]), ssim(image[inside], hr[inside])


def mean(scores: Iterable[Score]) -> Score:
    """The mean of each of the four figures."""
    return Score(*np.mean([list(asdict(one).values()) for one in scores], axis=0).tolist())
