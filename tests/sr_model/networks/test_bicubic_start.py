"""The colours of the bicubic start render as the bicubic image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from splat2d import GaussianField
from splat2d.matlab_imresize import imresize
from sr_model.networks.bicubic_start import REACH, BicubicStart


@pytest.mark.parametrize("sigma", [0.6, 0.65, 0.7])
@pytest.mark.parametrize("cells", [1, 2, 3])
def test_interpolated_colours_render_as_the_bicubic_image_at_cell_centres(cells, sigma):
    image = torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    colours = BicubicStart(cells, sigma)(image)
    rows, columns = colours.shape[-2:]
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    means = torch.stack([x, y], -1).view(1, -1, 2)
    round_kernels = torch.tensor([sigma, 0, sigma]).expand(1, rows * columns, 3)
    field = GaussianField(means, round_kernels, colours.flatten(2).mT, size=(rows, columns))
    inner = (..., slice(3 * cells, -3 * cells), slice(3 * cells, -3 * cells))
    expected = imresize(image, (rows, columns))
    torch.testing.assert_close(field.render()[inner], expected[inner], atol=0.02, rtol=0)


def test_filtering_by_rows_and_columns_is_the_two_dimensional_filter():
    start, image = BicubicStart(2, 0.65), torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    taps = start.filter[:, 0]
    filter_2d = torch.einsum("py,qx->pqyx", taps, taps).flatten(0, 1)[:, None]
    planes = F.pad(image.flatten(0, 1)[:, None], [REACH] * 4, mode="replicate")
    expected = F.pixel_shuffle(F.conv2d(planes, filter_2d), 2).view(2, 3, 18, 14)
    torch.testing.assert_close(start(image), expected)
