"""Reducing block by block is what `degradation.resize` does to whole images."""

import math

import pytest
import torch

from sr_model.degradation.resize import resize
from sr_model.upscaling.reduction import reduction_blocks

KERNELS = ("bicubic", "bilinear", "area", "lanczos")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(12, 10), (7, 19), (36, 30), (5, 30)])
@pytest.mark.parametrize("step", [2, 64])
def test_blocks_reduce_as_whole_images_are_reduced(kernel, size, step):
    image = torch.rand(3, 36, 30, generator=torch.Generator().manual_seed(0))
    reduced = torch.empty(3, *size)
    for rows in reduction_blocks(36, size[0], kernel, step):
        fewer = rows.along(-2, image[:, rows.of])
        for columns in reduction_blocks(30, size[1], kernel, step):
            reduced[:, rows.into, columns.into] = columns.along(-1, fewer[..., columns.of])
    torch.testing.assert_close(reduced, resize(image, size, kernel), atol=2e-6, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("ratio", "first"), [(1.5, 7), (1.4, 3), (2.5, 5)])
def test_a_part_of_an_axis_is_reduced_as_the_whole_is(kernel, ratio, first):
    image = torch.rand(round(40 * ratio), generator=torch.Generator().manual_seed(0))
    start = math.ceil(first * ratio)
    phase = start / ratio - first
    part = image[start : start + math.floor((25 - phase) * ratio)]
    (whole,) = reduction_blocks(len(image), 40, kernel, 64)
    (block,) = reduction_blocks(len(part), 25, kernel, 64, ratio, phase)
    assert phase > 0
    found, right = block.weights @ part[block.of], (whole.weights @ image[whole.of])[first : first + 25]
    torch.testing.assert_close(found[4:-4], right[4:-4], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_block_needs_only_the_pixels_near_it(kernel):
    blocks = reduction_blocks(3000, 1000, kernel, 64)
    assert max(block.of.stop - block.of.start for block in blocks) < 64 * 3 + 20
    assert [block.into.start for block in blocks] == list(range(0, 1000, 64))
