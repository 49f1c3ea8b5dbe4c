"""Evaluation protocols: how LR images are made, and on which channel, border and rounding PSNR is measured.

A PSNR means little without its protocol: these choices move it by more than most papers gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from splat2d import GaussianField
from splat2d.matlab_imresize import Border

from ..degradation import Bicubic, bicubic
from ..networks.base import Network
from ..scaling import scale_between, scaled_extent
from ..upscaling.consistency import Reduction, check_reduction, made_consistent
from ..upscaling.ensemble import TURNS, turned_fields
from ..upscaling.rendering import mean_of
from ..upscaling.tiling import is_grey, to_lr
from .metrics import luma, psnr, ssim


@dataclass(frozen=True)
class Protocol:
    """The choices that determine a PSNR and an SSIM.

    >>> PROTOCOLS["benchmark"].channel, PROTOCOLS["div2k"].shave(4)
    ('y', 10)
    """

    name: str
    """Its name in PROTOCOLS."""
    channel: Literal["y", "rgb"]
    """Whether metrics are computed on luma or on all three channels."""
    shave: Callable[[float], float]
    """From the scale to the pixels that are left out at each border; rounded up."""
    eight_bit: bool
    """Whether results are rounded to 8 bits before they are measured; they are always clamped to [0, 1]."""
    lr: Bicubic
    """The bicubic interpolation that makes the LR image and the baseline from it, both in 8 bits."""
    ensemble: bool = False
    """Whether the network's result is the mean over eight flips and turns of the LR image."""
    reduction: Reduction | None = None
    """The kernel for which the network's result is made consistent with the LR image, as of
    `sr_model.upscale`; None for the network's default."""


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("benchmark", "y", lambda scale: scale, True, "matlab"),
        Protocol("continuoussr", "y", lambda scale: scale, False, "pil"),
        Protocol("div2k", "rgb", lambda scale: scale + 6, False, "matlab"),
        Protocol("gsasr", "y", lambda scale: min(scale, 8), True, "matlab"),
    )
}


def named_protocol(protocol: Protocol | str) -> Protocol:
    """The protocol itself, or the one of that name. Raises ValueError for an unknown name."""
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"There is no protocol {protocol!r}: name one of {', '.join(PROTOCOLS)} with protocol=."
        )
    return PROTOCOLS[protocol]


def with_border(protocol: Protocol | str, border: Border) -> Protocol:
    """The protocol with LR images by MATLAB's bicubic and this border.

    "replicate" makes the LR images as MATLAB's older releases did, which made the x8 images of Set5 that
    circulate; those at x2, x3 and x4 are mirrored. Raises ValueError for an unknown protocol or border, and
    for a protocol with LR images by Pillow.

    >>> with_border("benchmark", "replicate").name
    'benchmark, replicated border'
    """
    chosen = named_protocol(protocol)
    if border not in get_args(Border):
        raise ValueError(f"border= must be one of {', '.join(get_args(Border))}, got {border!r}.")
    if chosen.lr == "pil":
        raise ValueError(
            f"The protocol {chosen.name} makes LR images by Pillow: border= is of MATLAB's bicubic."
        )
    if border == "mirror":
        return replace(chosen, lr="matlab")
    return replace(chosen, name=f"{chosen.name}, replicated border", lr="matlab-replicate")


def with_ensemble(protocol: Protocol | str) -> Protocol:
    """The protocol, of the network's self-ensemble (EDSR, section 3.3), which papers mark by a plus.

    Raises ValueError for an unknown protocol.

    >>> with_ensemble("benchmark").name
    'benchmark, self-ensemble'
    """
    chosen = named_protocol(protocol)
    return replace(chosen, name=f"{chosen.name}, self-ensemble", ensemble=True)


def with_reduction(protocol: Protocol | str, reduction: Reduction | None) -> Protocol:
    """The protocol with results that are made consistent with LR images by another kernel, or by none.

    Raises ValueError for an unknown protocol or reduction.

    >>> with_reduction("benchmark", "none").name
    'benchmark, reduction none'
    """
    chosen = named_protocol(protocol)
    check_reduction(reduction)
    name = chosen.name if reduction is None else f"{chosen.name}, reduction {reduction}"
    return replace(chosen, name=name, reduction=reduction)


@dataclass(frozen=True)
class Score:
    """PSNR and SSIM of one image at one scale, or the means over several images."""

    psnr: float
    """PSNR of the network, dB."""
    ssim: float
    """SSIM of the network."""
    bicubic_psnr: float
    """PSNR of bicubic interpolation, dB."""
    bicubic_ssim: float
    """SSIM of bicubic interpolation."""


def low_resolution(hr: Tensor, scale: float, lr: Bicubic) -> tuple[Tensor, Tensor]:
    """Make the LR image of an HR image [3, H, W] uint8; returns (LR [3, h, w], HR [3, H', W']), both uint8.

    h = floor(H / scale), and HR is cropped at its bottom to H' = h * scale, rounded; likewise w and W'. At
    whole scales that is the usual crop to a multiple of the scale. Raises ValueError if h or w is 0.
    """
    sizes = [math.floor(extent / scale) for extent in hr.shape[1:]]
    if min(sizes) < 1:
        raise ValueError(f"an image of {hr.shape[2]}x{hr.shape[1]} pixels has no LR image at scale {scale:g}")
    height, width = (scaled_extent(extent, scale) for extent in sizes)
    hr = hr[:, :height, :width]
    return bicubic(hr, (sizes[0], sizes[1]), lr), hr


@dataclass(frozen=True)
class Comparison:
    """An HR image and its two reconstructions, [3, H, W] float in [0, 1], as the protocol measures them."""

    hr: Tensor
    """The HR image."""
    network: Tensor
    """Its LR image, upscaled by the network."""
    bicubic: Tensor
    """Its LR image, upscaled by bicubic interpolation."""


@torch.inference_mode()
def compare(
    model: Network,
    hr: Tensor,
    scale: float,
    protocol: Protocol,
    degrade: Callable[[Tensor], Tensor] | None = None,
) -> Comparison:
    """Downscale an HR image [3, H, W] uint8 and upscale it again. Raises ValueError if it is too small.

    `degrade` degrades the LR image further, from [3, h, w] float in [0, 1] to the same.
    """
    lr, hr = low_resolution(hr, scale, protocol.lr)
    if degrade:
        lr = (degrade(lr / 255) * 255).round().byte()
    size = (hr.shape[1], hr.shape[2])
    upscaled = _upscaled(model, lr, (lr.shape[1], lr.shape[2]), size, protocol)
    return Comparison(hr / 255, upscaled, bicubic(lr, size, protocol.lr) / 255)


@torch.inference_mode()
def compare_pair(model: Network, lr: Tensor, hr: Tensor, scale: Fraction, protocol: Protocol) -> Comparison:
    """Upscale an LR image that came with its HR image, [3, h, w] and [3, H, W] uint8, at their exact scale.

    Both start at the same top left corner. The HR image is cropped to what the LR image shows, at most
    h * scale rows and w * scale columns; an LR image whose size was rounded up shows more than the HR image,
    and that part is not measured. `scale` is that of `sr_model.image_io.pairs.Pair`.
    """
    lr_size = (lr.shape[1], lr.shape[2])
    height, width = (
        min(extent, math.floor(scale * small)) for extent, small in zip(hr.shape[1:], lr_size, strict=True)
    )
    canvas = (float(height / scale), float(width / scale))  # the part of the LR image that is rendered
    upscaled = _upscaled(model, lr, canvas, (height, width), protocol)
    # The enlarged size is whole for multiples of the denominator: pad by what lies beyond the border.
    padding = [(0, 0), *((0, -small % scale.denominator) for small in lr_size)]
    border: Literal["edge", "symmetric"] = "edge" if protocol.lr == "matlab-replicate" else "symmetric"
    padded = torch.from_numpy(np.pad(lr.numpy(), padding, mode=border))
    whole = (int(padded.shape[1] * scale), int(padded.shape[2] * scale))
    enlarged = bicubic(padded, whole, protocol.lr)[:, :height, :width]
    return Comparison(hr[:, :height, :width] / 255, upscaled, enlarged / 255)


def _upscaled(
    model: Network, lr: Tensor, canvas: tuple[float, float], size: tuple[int, int], protocol: Protocol
) -> Tensor:
    """The part `canvas` (height, width) of an LR image from its top left, upscaled to `size`, [3, H, W]."""
    image, device = lr.permute(1, 2, 0).cpu().numpy(), next(model.parameters()).device
    grey, scales = is_grey(image), (size[0] / canvas[0], size[1] / canvas[1])

    def encoded(index: int, turned: np.ndarray) -> GaussianField:
        small = to_lr(turned, device)
        field = model(small, scale_between(canvas, size))
        if not isinstance(field, GaussianField):  # of a peer in a benchmark
            return field
        if grey:  # as `encode` does
            field = replace(field, colors=field.colors.mean(2, keepdim=True).expand_as(field.colors))
        at = scales[::-1] if TURNS[index].transposed else scales
        corner = TURNS[index].of_place((0.0, 0.0), (lr.shape[1], lr.shape[2]))
        return made_consistent(model, field, small, at, protocol.reduction, origin=corner)

    fields = list(turned_fields(encoded, image)) if protocol.ensemble else [encoded(0, image)]
    if canvas != (lr.shape[1], lr.shape[2]):
        fields = [replace(field, size=canvas) for field in fields]
    upscaled = mean_of([field.render(size) for field in fields])[0].cpu().clamp(0, 1)
    return (upscaled * 255).round() / 255 if protocol.eight_bit else upscaled


def score(
    model: Network,
    hr: Tensor,
    scale: float,
    protocol: Protocol,
    degrade: Callable[[Tensor], Tensor] | None = None,
) -> Score:
    """Score a network on one HR image [3, H, W] uint8, by `compare`. Raises ValueError if it is too small."""
    return score_comparison(compare(model, hr, scale, protocol, degrade), scale, protocol)


def score_comparison(images: Comparison, scale: float, protocol: Protocol) -> Score:
    """PSNR and SSIM of a comparison. Raises ValueError if the shaved border leaves too few pixels."""
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


def mean_score(scores: Iterable[Score]) -> Score:
    """The mean of each of the four figures.

    >>> mean_score([Score(30.0, 0.9, 28.0, 0.8), Score(32.0, 0.9, 30.0, 0.8)]).psnr
    31.0
    """
    return Score(*np.mean([list(asdict(one).values()) for one in scores], axis=0).tolist())
