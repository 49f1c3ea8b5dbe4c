"""Rendering a batch of which every image has a size of its own, in one call."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from splat2d import GaussianField, render

from ..config.training_settings import TrainSettings
from .samples import Batch


def render_ragged(field: GaussianField, sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Row b of `field` rendered at `sizes[b]` = (height, width), in the top left corner of its image.

    The images are as large as the largest size; what lies beyond a row's own means nothing. That takes
    memory, but little time: where few Gaussians are, little is rendered. For sizes no smaller than the canvas
    (`GaussianField.render` also averages over larger pixels).

    Returns [B, C, H, W] float32.
    """
    height, width = field.size
    factors = field.means.new_tensor([[w / width, h / height] for h, w in sizes])[:, None]  # [B, 1, 2], x y
    largest = (max(h for h, _ in sizes), max(w for _, w in sizes))
    means, cholesky = field.means * factors, field.cholesky * factors[..., [0, 1, 1]]
    return render(means, cholesky, field.colors, largest, counts=field.counts)


def batch_loss(field: GaussianField, batch: Batch, settings: TrainSettings) -> Tensor:
    """The mean of the samples' losses; not a number where the field has something in it that is none."""
    sizes = [(hr.shape[2], hr.shape[3]) for hr in batch.hr for _ in hr]
    try:
        rendered = render_ragged(field, sizes)
    except ValueError:
        # Processes that train together must all come to the end of a step, so it goes on with a NaN.
        return math.nan * (field.means.sum() + field.cholesky.sum() + field.colors.sum())
    loss, start = batch.lr.new_zeros(()), 0
    for hr in batch.hr:
        some = rendered[start : start + len(hr), :, : hr.shape[2], : hr.shape[3]]
        loss = loss + reconstruction_loss(some, hr, settings) * (len(hr) / len(batch.lr))
        start += len(hr)
    return loss


def reconstruction_loss(rendered: Tensor, hr: Tensor, settings: TrainSettings) -> Tensor:
    """L1 over pixels and, weighted, over the coefficients of their unnormalised 2D Fourier transforms.

    The second is the loss of SAFMN's released code (Sun et al. 2023), from which presets have its weight.
    """
    loss = (rendered - hr).abs().mean()
    if settings.frequency_loss:
        spectrum = torch.fft.rfft2(rendered - hr)
        loss = loss + settings.frequency_loss * torch.view_as_real(spectrum).abs().mean()
    return loss
