"""Separable filters in C++ are torch's convolutions, to float rounding, and have one set of bits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sr_model.native import library
from sr_model.native.interpolation import applies, interpolated
from tests.sr_model.native_library import needs_library

pytestmark = needs_library

SHAPES = {
    "colours": ((2, 3, 9, 21), 3, 13),
    "an image smaller than the filter": ((1, 3, 2, 1), 4, 13),
    "one pixel": ((1, 1, 1, 1), 1, 1),
    "many channels": ((1, 17, 5, 6), 2, 5),
}


def arguments(size: tuple[int, int, int, int], cells: int, taps: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(taps)
    return torch.rand(size), torch.randn(cells, taps)


def of_torch(image: Tensor, taps: Tensor) -> Tensor:
    (batch, channels, height, width), (cells, length) = image.shape, taps.shape
    planes = F.pad(image.flatten(0, 1)[:, None], [length // 2] * 4, mode="replicate")
    kernels = torch.einsum("ai,bj->abij", taps, taps).flatten(0, 1)[:, None]
    return F.pixel_shuffle(F.conv2d(planes, kernels), cells).view(
        batch, channels, cells * height, cells * width
    )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_result_is_that_of_torch(shape):
    image, taps = arguments(*shape)
    found, exact = interpolated(image, taps), of_torch(image.double(), taps.double())
    assert found.dtype == torch.float32
    assert found.shape == exact.shape
    assert (found - exact).norm() <= 1e-6 * exact.norm()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_bits_depend_neither_on_the_instruction_set_nor_on_threads(shape, every_way):
    image, taps = arguments(*shape)
    first, *others = every_way(lambda: interpolated(image, taps))
    assert all(torch.equal(first, other) for other in others)


def test_the_bits_of_an_image_do_not_depend_on_its_batch_nor_on_its_layout():
    image, taps = arguments((3, 3, 6, 7), 2, 13)
    together = interpolated(image, taps)
    laid_out = image.contiguous(memory_format=torch.channels_last)
    assert torch.equal(interpolated(laid_out, taps), together)
    assert all(torch.equal(together[b : b + 1], interpolated(image[b : b + 1], taps)) for b in range(3))


def test_the_default_type_and_device_of_torch_do_not_matter(with_other_defaults):
    given = arguments((1, 3, 6, 7), 2, 13)
    assert torch.equal(with_other_defaults(lambda: interpolated(*given)), interpolated(*given))


def test_it_does_not_apply_where_torch_must_compute(monkeypatch):
    image, taps = arguments((1, 3, 6, 7), 2, 13)
    assert applies(image, taps)
    assert not applies(image.double(), taps)
    assert not applies(image.clone().requires_grad_(), taps)
    assert not applies(image[..., :0], taps)
    with torch.autocast("cpu", torch.bfloat16):
        assert not applies(image, taps)
    with library.torch_alone():
        assert not applies(image, taps)
    monkeypatch.setattr(library, "LIBRARY", None)
    assert not applies(image, taps)
