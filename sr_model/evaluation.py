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
from torch import Tensor

from dgp_mining.images import ImageError, image_size, read_rgb

from .data import enlarged
from .degradation import Bicubic, bicubic
from .memory import free_memory, ran_out
from .metrics import luma, psnr, ssim
from .network import Network, scale_between
from .perceptual import Perceptual
from .pictures import pictures_in
from .tiling import bytes_per_pixel

METRIC_BYTES = 400
"""Memory per HR pixel: three images as floats and doubles, and the local means of SSIM in three channels."""


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
    height, width = (enlarged(extent, scale) for extent in sizes)
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


@dataclass(frozen=True)
class Result:
    """One image at one scale."""

    path: Path
    """The HR image."""
    scale: float
    """How much smaller its LR image was."""
    score: Score
    """PSNR and SSIM."""
    perceptual: dict[str, tuple[float, float]]
    """Further metrics by name: (of the network, of bicubic interpolation)."""


def evaluate(
    model: Network,
    folder: Path,
    scales: Sequence[float],
    protocol: Protocol,
    perceptual: Perceptual | None = None,
) -> Iterator[Result]:
    """Score every image of `folder` at every scale, one at a time. Raises ImageError, naming the file."""
    for path in pictures_in(folder, "--data"):
        check_memory(path, model, min(scales))
        pixels = torch.from_numpy((read_rgb(path) * 255 + 0.5).astype(np.uint8)).permute(2, 0, 1)
        for scale in scales:
            try:
                images = compare(model, pixels, scale, protocol)
                scored = score_of(images, scale, protocol)
            except ValueError as error:
                raise ImageError(f"{path} cannot be evaluated at scale {scale:g}: {error}.") from error
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error):
                    raise
                raise ImageError(f"{path} does not fit into memory at scale {scale:g}: cut it.") from error
            further = perceptual.measure(images, scale) if perceptual else {}
            yield Result(path, scale, scored, further)


def check_memory(path: Path, model: Network, scale: float) -> None:
    """Raise ImageError where evaluating an image at `scale` takes more memory than is free."""
    height, width = image_size(path)
    needed = height * width * (METRIC_BYTES + bytes_per_pixel(model) / max(scale, 1) ** 2)
    if needed > (free := free_memory()):
        raise ImageError(
            f"{path} has {width}x{height} pixels, which take about {needed / 1e9:,.1f} GB to evaluate, "
            f"and {free / 1e9:,.1f} GB are free: cut it into smaller images."
        )


def mean(scores: Iterable[Score]) -> Score:
    """The mean of each of the four figures."""
    return Score(*np.mean([list(asdict(one).values()) for one in scores], axis=0).tolist())
