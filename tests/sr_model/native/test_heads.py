"""All heads at once in C++ are torch's layers one by one, to float rounding, and have one set of bits."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sr_model.native import library
from sr_model.native.heads import BLENDINGS, Additions, Gaussians, Layers, Limits, applies, gaussians
from sr_model.networks.continuoussr.blending import SMALLEST_DIAGONAL, from_blending
from tests.sr_model.native_library import needs_library

pytestmark = needs_library


class Shape(NamedTuple):
    batch: int = 1
    height: int = 7
    width: int = 9
    inputs: int = 20
    features: int = 6
    cells: int = 2
    kernels: int = 11
    latent: int = 5


SHAPES = {
    "parts of blocks": Shape(),
    "a batch of whole blocks": Shape(
        batch=2, height=6, width=8, inputs=32, features=16, kernels=64, latent=8
    ),
    "sixteen cells": Shape(cells=4, features=16, latent=8),
    "one of everything": Shape(1, 1, 1, 1, 1, 1, 1, 1),
    "three rows of several blocks": Shape(height=3, width=101, cells=3, features=13, latent=21),
}


def layers_of(shape: Shape) -> Layers:
    generator = torch.Generator().manual_seed(sum(shape))

    def layer(outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
        weights = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
        return weights, torch.randn(outputs, generator=generator)

    entries = torch.rand(shape.kernels, 3, generator=generator) * 0.3 + torch.tensor([0.5, -0.15, 0.5])
    return Layers(
        layer(shape.features * shape.cells**2, shape.inputs),
        *(layer(outputs, shape.features) for outputs in (3, 2, shape.latent)),
        entries=entries,
        keys=torch.randn(shape.kernels, shape.latent, generator=generator),
    )


def arguments(shape: Shape) -> tuple[Tensor, Layers, tuple[Tensor, Tensor], Limits]:
    """Features, layers, places and limits."""
    generator = torch.Generator().manual_seed(sum(shape))
    pixels = torch.randn(shape.batch, shape.inputs, shape.height, shape.width, generator=generator)
    places = torch.arange(shape.width * shape.cells) / 3, torch.arange(shape.height * shape.cells) / 5
    factors = torch.rand(2, shape.batch, 1, shape.height, shape.width, generator=generator)
    return pixels, layers_of(shape), places, Limits(*factors)


OPTIONS = {"blending": "sqrt", "smallest": SMALLEST_DIAGONAL, "drift": 0.75, "activated_offsets": False}


def made(pixels, layers, places, limits, **changes) -> Gaussians:
    return gaussians(pixels, layers, places, limits=limits, **{**OPTIONS, **changes})


def in_double(pixels, layers, places, limits, **changes) -> tuple[Tensor, ...]:
    """What the layers say by torch's functions in float64."""
    options = {**OPTIONS, "additions": None, **changes}

    def of_cells(layer, values):
        return F.conv2d(values, layer[0].double()[..., None, None], layer[1].double())

    k = len(places[0]) // pixels.shape[-1]
    features = F.pixel_shuffle(of_cells(layers.projection, pixels.double()), k)
    active = F.leaky_relu(features)
    offsets = torch.tanh(of_cells(layers.offset, active if options["activated_offsets"] else features))
    x, y = (place.double() for place in places)
    start = torch.stack(torch.meshgrid(x, y, indexing="xy"))
    queries = of_cells(layers.query, active).permute(0, 2, 3, 1).flatten(1, 2)
    weights = torch.softmax(queries @ layers.keys.double().T, -1)
    cholesky = from_blending(weights @ layers.entries.double(), options["blending"]) / k
    colours = of_cells(layers.colour, features)
    if options["additions"] is not None:
        added, taken, share = (part.double() for part in astuple(options["additions"]))
        colours = colours + F.pixel_shuffle(added, k) - share * taken
    if limits is not None:
        varied, colourful = (F.interpolate(f.double(), scale_factor=k) for f in astuple(limits))
        grey = colours.mean(1, keepdim=True)
        colours = (grey + (colours - grey) * colourful) * varied
    largest = F.max_pool2d(colours.abs().amax(1, keepdim=True), k)
    means = start + options["drift"] * offsets
    return (*(part.permute(0, 2, 3, 1).flatten(1, 2) for part in (means,)), cholesky,
            colours.permute(0, 2, 3, 1).flatten(1, 2), largest)  # fmt: skip


def additions_of(shape: Shape) -> Additions:
    generator = torch.Generator().manual_seed(3)
    added = torch.randn(shape.batch, 3 * shape.cells**2, shape.height, shape.width, generator=generator)
    cells = shape.cells * shape.height, shape.cells * shape.width
    return Additions(added, torch.rand(shape.batch, 3, *cells, generator=generator), torch.tensor(0.75))


def assert_close(found: Gaussians, exact: tuple[Tensor, ...]) -> None:
    for part, expected in zip(astuple(found), exact, strict=True):
        assert part.dtype == torch.float32
        assert part.shape == expected.shape
        assert (part - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_gaussians_are_those_of_torch(shape):
    given = arguments(shape)
    assert_close(made(*given), in_double(*given))


@pytest.mark.parametrize("blending", BLENDINGS)
@pytest.mark.parametrize("activated_offsets", [False, True])
def test_every_way_of_blending_and_of_moving_is_that_of_torch(blending, activated_offsets):
    options = {"blending": blending, "activated_offsets": activated_offsets}
    given = arguments(SHAPES["sixteen cells"])
    assert_close(made(*given, **options), in_double(*given, **options))


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_what_is_added_to_colours_is_limited_with_them(shape, limited):
    *given, limits = arguments(shape)
    given = [*given, limits if limited else None]
    additions = additions_of(shape)
    assert_close(made(*given, additions=additions), in_double(*given, additions=additions))


def test_without_limits_nothing_is_limited():
    pixels, layers, places, _ = arguments(Shape())
    assert_close(made(pixels, layers, places, None), in_double(pixels, layers, places, None))


@pytest.mark.parametrize("blending", BLENDINGS)
def test_kernels_too_narrow_or_with_negative_diagonals_can_be_rendered_as_by_torch(blending):
    pixels, layers, places, limits = arguments(Shape(kernels=1))
    for entries in ([-0.5, 0.2, -1e-5], [1e-5, 0.0, 0.3], [-1e-9, 0.4, 0.6], [0.0, 0.0, 0.0]):
        given = pixels, replace(layers, entries=torch.tensor([entries])), places, limits
        found, exact = made(*given, blending=blending).cholesky, in_double(*given, blending=blending)[1]
        torch.testing.assert_close(found, exact.float(), rtol=2e-6, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_bits_depend_neither_on_the_instruction_set_nor_on_threads(shape, every_way):
    given = arguments(shape)
    for blending in BLENDINGS:
        options = {"blending": blending, "activated_offsets": True, "additions": additions_of(shape)}
        first, *others = every_way(lambda options=options: astuple(made(*given, **options)))
        assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_the_bits_of_a_pixel_do_not_depend_on_where_it_is_in_a_batch():
    shape = Shape(batch=3, height=5, width=11)
    pixels, layers, (x, y), limits = arguments(shape)
    whole = made(pixels, layers, (x, y), limits)
    rows = slice(1, 4)
    part = made(
        pixels[1:2, :, rows, 3:],
        layers,
        (x[6:], y[2:8]),
        Limits(*(factor[1:2, :, rows, 3:] for factor in astuple(limits))),
    )
    for one, all_of_them in zip(astuple(part)[:3], astuple(whole)[:3], strict=True):
        grid = all_of_them.view(3, 10, 22, -1)[1:2, 2:8, 6:]
        assert torch.equal(one, grid.flatten(1, 2))
    assert torch.equal(part.largest, whole.largest[1:2, :, rows, 3:])


def test_any_layout_in_memory_gives_the_same_bits():
    pixels, layers, places, limits = arguments(Shape())
    expected = astuple(made(pixels, layers, places, limits))
    wider = torch.zeros(*pixels.shape[:-1], 2 * pixels.shape[-1])
    wider[..., ::2] = pixels
    for laid_out in (pixels.contiguous(memory_format=torch.channels_last), wider[..., ::2]):
        found = astuple(made(laid_out, layers, places, limits))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_layers_without_biases_have_biases_of_zero():
    pixels, layers, places, limits = arguments(Shape())
    names = ("projection", "colour", "offset", "query")
    weights = {name: getattr(layers, name)[0] for name in names}
    found, expected = (
        made(pixels, replace(layers, **{n: (w, bias(w)) for n, w in weights.items()}), places, limits)
        for bias in (lambda w: None, lambda w: torch.zeros(len(w)))
    )
    assert all(torch.equal(a, b) for a, b in zip(astuple(found), astuple(expected), strict=True))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_visible(value):
    pixels, layers, places, limits = arguments(Shape())
    pixels[0, 3, 2, 4] = value
    found = made(pixels, layers, places, limits)
    for part in (found.means, found.cholesky, found.colours):
        finite = part.isfinite().all(-1).view(14, 18)
        assert not finite[4:6, 8:10].any()
        assert finite.sum() == finite.numel() - 4


def test_the_default_type_and_device_of_torch_do_not_matter(with_other_defaults):
    given = arguments(Shape())
    expected = astuple(made(*given))
    found = with_other_defaults(lambda: astuple(made(*given)))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_no_images_have_no_gaussians():
    pixels, layers, places, limits = arguments(Shape())
    none = Limits(*(factor[:0] for factor in astuple(limits)))
    assert made(pixels[:0], layers, places, none).colours.shape == (0, 252, 3)


def test_it_does_not_apply_where_torch_must_compute(monkeypatch):
    pixels, layers, _, _ = arguments(Shape())
    assert applies(pixels, layers)
    assert not applies(pixels.double(), layers)
    assert not applies(pixels.clone().requires_grad_(), layers)
    assert not applies(pixels, replace(layers, keys=layers.keys.clone().requires_grad_()))
    with torch.no_grad():
        assert applies(pixels.clone().requires_grad_(), layers)
    with torch.autocast("cpu", torch.bfloat16):
        assert not applies(pixels, layers)
    with library.torch_alone():
        assert not applies(pixels, layers)
    monkeypatch.setattr(library, "LIBRARY", None)
    assert not applies(pixels, layers)
