"""The loss is the one of the papers."""

import math
from dataclasses import replace

import torch

from sr_model import Preset
from sr_model.training.loss import reconstruction_loss


def test_the_frequency_loss_is_that_of_the_fourier_coefficients(tiny: Preset):
    hr = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    rendered = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in (6, 5))
    angle = (
        -2
        * math.pi
        * (
            torch.einsum("u,y->uy", rows, rows)[:, None, :, None] / 6
            + torch.einsum("v,x->vx", columns[:3], columns)[None, :, None] / 5
        )
    )  # [6, 3, 6, 5]: half of the columns, the others being conjugates
    difference = rendered - hr
    spectrum = [torch.einsum("bcyx,uvyx->bcuv", difference, wave(angle)) for wave in (torch.cos, torch.sin)]
    expected = difference.abs().mean() + 0.3 * torch.stack(spectrum).abs().mean()
    weighted = replace(tiny.train, frequency_loss=0.3)
    torch.testing.assert_close(reconstruction_loss(rendered, hr, weighted), expected)
    torch.testing.assert_close(reconstruction_loss(rendered, hr, tiny.train), difference.abs().mean())


def test_the_l2_loss_is_the_mean_squared_difference(tiny: Preset):
    hr, rendered = torch.rand(2, 3, 6, 5), torch.rand(2, 3, 6, 5)
    squared = replace(tiny.train, loss="l2")
    expected = torch.nn.functional.mse_loss(rendered, hr)
    torch.testing.assert_close(reconstruction_loss(rendered, hr, squared), expected)
