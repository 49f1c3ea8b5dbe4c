"""The training loss: L1 or L2 over pixels, and optionally L1 over Fourier coefficients.

The HR crops of a batch may differ in size; `render_ragged` renders all of them in one call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from splat2d import GaussianField, render
from splat2d.field import PIXEL_VARIANCE
from splat2d.weighted_mean import divided_by_weight

from ..config.training_settings import TrainSettings
from .samples import Batch
from .upload import upload


def batch_loss(field: GaussianField, batch: Batch, settings: TrainSettings) -> Tensor:
    """The mean loss of a batch's samples, a scalar; NaN if the field holds NaN or infinite values."""
    sizes = [(hr.shape[2], hr.shape[3]) for hr in batch.hr for _ in hr]
    try:
        rendered = render_ragged(field, sizes)
    except ValueError:
        # All processes that train together must finish the step, so a broken field gives a NaN, not an error.
        return math.nan * (field.means.sum() + field.cholesky.sum() + field.colors.sum())
    loss, start = batch.lr.new_zeros(()), 0
    for hr in batch.hr:
        some = rendered[start : start + len(hr), :, : hr.shape[2], : hr.shape[3]]
        loss = loss + reconstruction_loss(some, hr, settings) * (len(hr) / len(batch.lr))
        start += len(hr)
    return loss


def reconstruction_loss(rendered: Tensor, hr: Tensor, settings: TrainSettings) -> Tensor:
    """L1 or L2 over pixels plus `frequency_loss` times L1 over the unnormalised 2D Fourier coefficients.

    The second term and its weight in the presets are those of SAFMN's released code (Sun et al. 2023).
    `rendered` and `hr` are [B, 3, H, W] in [0, 1].
    """
    difference = rendered - hr
    loss = difference.abs().mean() if settings.loss == "l1" else difference.square().mean()
    if settings.frequency_loss:
        spectrum = torch.fft.rfft2(difference)
        loss = loss + settings.frequency_loss * torch.view_as_real(spectrum).abs().mean()
    return loss


def render_ragged(field: GaussianField, sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Render row b of `field` at `sizes[b]` = (height, width), into the top left corner of its image.

    Returns [B, C, H, W] float32, as large as the largest size; pixels beyond a row's own size are undefined.
    The padding takes memory but little time: few Gaussians lie there. Sizes must not be smaller than the
    canvas (`GaussianField.render` also averages fields over larger pixels).
    """
    height, width = field.size
    factors = torch.tensor([[w / width, h / height] for h, w in sizes])[:, None]  # [B, 1, 2], x y
    factors = upload(factors, field.means.device)
    largest = (max(h for h, _ in sizes), max(w for _, w in sizes))
    sums = field.with_weights()
    sums = replace(sums, means=field.means * factors, cholesky=field.cholesky * factors[..., [0, 1, 1]])
    if not field.averaged:
        sums = sums.widen(PIXEL_VARIANCE, PIXEL_VARIANCE)
    pixels = render(sums.means, sums.cholesky, sums.colors, largest, counts=field.counts)
    return divided_by_weight(pixels) if field.normalised else pixels
