"""Measuring a network by a named protocol, always beside bicubic interpolation.

A PSNR means little without its protocol: channel, border, rounding and the making of the LR images move it by
more than most papers gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dgp_mining.images import ImageError, list_images, read_rgb
from splat2d.resample import imresize

from .continuoussr import ContinuousSR
from .data import enlarged
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
    lr: Literal["matlab", "pil"]
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


def low_resolution(hr: Tensor, scale: float, lr: Literal["matlab", "pil"]) -> tuple[Tensor, Tensor]:
    """(LR [3, h, w], HR [3, H', W']), both uint8, of an HR image [3, H, W] uint8.

    h = floor(H / scale), and HR is cropped at its bottom and right to H' = h * scale rounded, likewise w; at
    whole scales that is the usual crop to a multiple of the scale.
    """
    sizes = [math.floor(extent / scale) for extent in hr.shape[1:]]
    if min(sizes) < 1:
        raise ValueError(f"an image of {hr.shape[2]}x{hr.shape[1]} pixels has no LR image at scale {scale:g}")
    height, width = (enlarged(extent, scale) for extent in sizes)
    hr = hr[:, :height, :width]
    return bicubic(hr, (sizes[0], sizes[1]), lr), hr


def bicubic(image: Tensor, size: tuple[int, int], by: Literal["matlab", "pil"]) -> Tensor:
    """Bicubic resizing of [3, H, W] uint8 to [3, h, w] uint8, MATLAB's or Pillow's."""
    if by == "matlab":
        return imresize(image, size)
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return torch.from_numpy(np.array(picture.resize(size[::-1], Image.Resampling.BICUBIC))).permute(2, 0, 1)


@torch.no_grad()
def score(model: ContinuousSR, hr: Tensor, scale: float, protocol: Protocol) -> Score:
    """Score the network on one HR image [3, H, W] uint8. Raises ValueError where the image is too small."""
    lr, hr = low_resolution(hr, scale, protocol.lr)
    size = (hr.shape[1], hr.shape[2])
    device = next(model.parameters()).device
    upscaled = model(lr.to(device)[None] / 255).render(size)[0].cpu()
    ours = _measure(upscaled, hr / 255, scale, protocol)
    theirs = _measure(bicubic(lr, size, protocol.lr) / 255, hr / 255, scale, protocol)
    return Score(*ours, *theirs)


def _measure(image: Tensor, hr: Tensor, scale: float, protocol: Protocol) -> tuple[float, float]:
    image = image.clamp(0, 1)
    if protocol.eight_bit:
        image = (image * 255).round() / 255
    image, hr = image.double(), hr.double()
    if protocol.channel == "y":
        image, hr = luma(image), luma(hr)
    shave = math.ceil(protocol.shave(scale))
    inside = (..., slice(shave, hr.shape[1] - shave), slice(shave, hr.shape[2] - shave))
    return psnr(image[inside], hr[inside]), ssim(image[inside], hr[inside])


def evaluate(
    model: ContinuousSR, folder: Path, scales: Sequence[float], protocol: Protocol
) -> Iterator[tuple[Path, float, Score]]:
    """Score every image of `folder` at every scale, one at a time. Raises ImageError, naming the file."""
    for path in list_images(folder):
        pixels = torch.from_numpy((read_rgb(path) * 255 + 0.5).astype(np.uint8)).permute(2, 0, 1)
        for scale in scales:
            try:
                yield path, scale, score(model, pixels, scale, protocol)
            except ValueError as error:
                raise ImageError(f"{path} cannot be evaluated at scale {scale:g}: {error}.") from error


def mean(scores: Iterable[Score]) -> Score:
    """The mean of each of the four figures."""
    return Score(*np.mean([list(asdict(one).values()) for one in scores], axis=0).tolist())
