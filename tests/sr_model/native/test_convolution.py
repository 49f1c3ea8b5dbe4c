"""Winograd's convolution is torch's, to float rounding, and has one set of bits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sr_model.initialisation import Conv2d
from sr_model.native import convolve, library
from tests.sr_model.native_library import needs_library

SHAPES = {
    "whole tiles": (2, 16, 16, 8, 12),
    "parts of tiles": (1, 48, 48, 13, 10),
    "channels between vectors": (2, 17, 52, 6, 7),
    "several widths of products": (1, 20, 112, 5, 9),
    "a pixel": (1, 16, 32, 1, 1),
    "a row": (3, 33, 16, 1, 30),
    "more tiles than a block": (1, 16, 16, 25, 30),
}


def arguments(batch: int, inputs: int, outputs: int, height: int, width: int) -> tuple[Tensor, ...]:
    """Image, kernel, bias and the gradient of the result."""
    torch.manual_seed(batch + inputs + outputs + height)
    kernel = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5
    return (
        torch.randn(batch, inputs, height, width),
        kernel,
        torch.randn(outputs),
        torch.randn(batch, outputs, height, width),
    )


def with_gradients(convolution, image, kernel, bias, grad) -> tuple[Tensor, ...]:
    """The result, and the gradients of image, kernel and bias."""
    leaves = [t.detach().clone().requires_grad_() for t in (image, kernel, bias)]
    made = convolution(*leaves)
    return (made.detach(), *torch.autograd.grad(made, leaves, grad))


def of_torch(image: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(image, kernel, bias, padding=1)


@needs_library
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_result_and_gradients_are_those_of_torch(shape):
    given = arguments(*shape)
    exact = with_gradients(of_torch, *(t.double() for t in given))
    for made, expected in zip(with_gradients(convolve, *given), exact, strict=True):
        assert made.dtype == torch.float32
        assert made.shape == expected.shape
        assert (made - expected).norm() < 3e-6 * expected.norm()


@needs_library
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_bits_depend_neither_on_the_instruction_set_nor_on_threads(shape, every_way):
    given = arguments(*shape)
    first, *others = every_way(lambda: with_gradients(convolve, *given))
    for other in others:
        for a, b in zip(first, other, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


@needs_library
def test_the_bits_of_an_image_do_not_depend_on_its_batch():
    image, kernel, bias, _ = arguments(5, 16, 20, 22, 26)
    together = convolve(image, kernel, bias)
    assert all(torch.equal(together[b : b + 1], convolve(image[b : b + 1], kernel, bias)) for b in range(5))


@needs_library
def test_any_layout_in_memory_gives_the_same_bits():
    image, kernel, bias, _ = arguments(2, 16, 20, 9, 11)
    expected = convolve(image, kernel, bias)
    assert expected.is_contiguous(memory_format=torch.channels_last)
    laid_out = (
        image.contiguous(memory_format=torch.channels_last),
        kernel.to(memory_format=torch.channels_last),
    )
    assert torch.equal(convolve(*laid_out, bias), expected)
    wider = torch.zeros(2, 16, 9, 22)
    wider[..., ::2] = image
    assert torch.equal(convolve(wider[..., ::2], kernel, bias), expected)


@needs_library
def test_the_default_type_and_device_of_torch_do_not_matter(with_other_defaults):
    given = arguments(1, 16, 20, 5, 6)
    expected = with_gradients(convolve, *given)
    made = with_other_defaults(lambda: with_gradients(convolve, *given))
    assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))


@needs_library
def test_empty_images_stay_empty():
    _, kernel, bias, _ = arguments(1, 16, 20, 3, 3)
    assert convolve(torch.empty(0, 16, 4, 4), kernel, bias).shape == (0, 20, 4, 4)
    assert convolve(torch.empty(1, 16, 0, 4), kernel, bias).shape == (1, 20, 0, 4)


@needs_library
def test_frozen_parts_have_no_gradients():
    image, kernel, bias, grad = arguments(1, 16, 16, 6, 6)
    expected = with_gradients(of_torch, image, kernel, bias, grad)[1:]
    for index, leaf in enumerate((image, kernel, bias)):
        leaf.requires_grad_()
        (made,) = torch.autograd.grad(convolve(image, kernel, bias), leaf, grad)
        torch.testing.assert_close(made, expected[index], rtol=1e-4, atol=1e-4)
        leaf.requires_grad_(False)


@needs_library
def test_an_infinite_pixel_stays_visible():
    """A network that diverges must show it: no tile may hide what torch would not."""
    image, kernel, bias, _ = arguments(1, 16, 16, 8, 8)
    image[0, 0, 3, 3] = torch.inf
    assert not convolve(image, kernel, bias)[0, :, 2:5, 2:5].isfinite().any()


class Counted:
    """Counts the calls of the library's entry points."""

    def __init__(self, monkeypatch) -> None:
        self.calls = 0
        original = library.call

        def counting(name, arguments):
            self.calls += 1
            original(name, arguments)

        monkeypatch.setattr(library, "call", counting)


@needs_library
@pytest.mark.parametrize(
    ("layer", "applies"),
    [
        (Conv2d(16, 16, 3, padding=1), True),
        (Conv2d(16, 32, 3, padding=1, bias=False), True),
        (Conv2d(15, 16, 3, padding=1), False),
        (Conv2d(16, 3, 3, padding=1), False),
        (Conv2d(16, 16, 3), False),
        (Conv2d(16, 16, 1), False),
        (Conv2d(16, 16, 5, padding=1), False),
        (Conv2d(16, 16, 3, padding=1, stride=2), False),
        (Conv2d(32, 32, 3, padding=1, groups=2), False),
        (Conv2d(16, 16, 3, padding=1, dilation=2), False),
        (Conv2d(16, 16, 3, padding=1, padding_mode="reflect"), False),
        (Conv2d(16, 16, 3, padding=1).double(), False),
    ],
    ids=lambda value: str(value) if isinstance(value, torch.nn.Module) else None,
)
def test_a_layer_convolves_by_winograds_algorithm_where_it_applies(layer, applies, monkeypatch):
    counted = Counted(monkeypatch)
    image = torch.randn(1, layer.in_channels, 7, 9, dtype=layer.weight.dtype)
    made = layer(image)
    assert counted.calls == applies
    torch.testing.assert_close(made, torch.nn.Conv2d.forward(layer, image), rtol=1e-4, atol=1e-5)


@needs_library
def test_autocast_tracing_and_torch_alone_see_the_convolution_of_torch(monkeypatch):
    counted = Counted(monkeypatch)
    layer, image = Conv2d(16, 16, 3, padding=1), torch.randn(1, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(image).dtype == torch.bfloat16
    traced = torch.jit.trace(layer, image, check_trace=False)
    assert "convolution" in str(traced.graph)
    with library.torch_alone():
        layer(image)
    exported = torch.export.export(layer, (image,))
    assert "conv2d" in str(exported.graph)
    assert counted.calls == 0


def test_an_image_of_other_channels_is_refused_as_by_torch():
    with pytest.raises(RuntimeError, match="channels"):
        convolve(torch.zeros(1, 17, 5, 5), torch.zeros(16, 16, 3, 3))


def test_without_the_library_torch_convolves(monkeypatch):
    image, kernel, bias, _ = arguments(1, 16, 16, 5, 6)
    monkeypatch.setattr(library, "LIBRARY", None)
    assert torch.equal(convolve(image, kernel, bias), of_torch(image, kernel, bias))
