"""Fields of the scene, and fields whose pixels are weighted means, render, crop and save as such."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from fields import near_cutoff, random_inputs
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from splat2d import DEFAULT_CUTOFF, GaussianField
from splat2d.backends import dense
from splat2d.field import PIXEL_VARIANCE
from splat2d.field_file import FORMAT, NEWER_FORMAT

KINDS = [(True, False), (False, False), (True, True), (False, True)]
"""(averaged, normalised)."""
SIZES = [(40, 56), (40, 57), (90, 131), (12, 56), (11, 17)]
"""From x3.3 to x0.3 of (40, 56), unequal ones too."""


def make_field(batch=1, n=300, channels=3, size=(40, 56), seed=0, counts=None, kind=(False, True)):
    averaged, normalised = kind
    inputs = random_inputs(batch, n, channels, size, seed)
    return GaussianField(*inputs, size, counts=counts, averaged=averaged, normalised=normalised)


def expected(field: GaussianField, size: tuple[int, int]) -> torch.Tensor:
    """The definition: in float64, each Gaussian widened by its pixel's box, colours over weights."""
    y, x = (now / own for now, own in zip(size, field.size, strict=True))
    l11, l21, l22 = field.cholesky.double().unbind(-1)
    covariance = torch.stack([l11 * l11, l11 * l21, l11 * l21, l21**2 + l22**2], -1).unflatten(-1, (2, 2))
    boxes = torch.tensor([1 / x**2, 1 / y**2], dtype=torch.float64) * PIXEL_VARIANCE
    if field.averaged:
        boxes = (boxes - PIXEL_VARIANCE).clamp(min=0)
    wide = covariance + torch.diag(boxes)
    amplitude = (torch.linalg.det(covariance) / torch.linalg.det(wide)).sqrt()[..., None]
    stretch = torch.tensor([x, y], dtype=torch.float64)
    factor = torch.linalg.cholesky(wide)
    cholesky = torch.stack([factor[..., 0, 0] * x, factor[..., 1, 0] * y, factor[..., 1, 1] * y], -1)
    colors = torch.cat([field.colors.double(), torch.ones_like(field.colors[..., :1]).double()], -1)
    sums = dense.render(
        field.means.double() * stretch, cholesky, colors * amplitude, size, field.counts, DEFAULT_CUTOFF
    )
    return sums[:, :-1] / sums[:, -1:] if field.normalised else sums[:, :-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_each_kind_is_its_definition_at_every_scale(implementation, kind, size):
    field = make_field(batch=2, counts=torch.tensor([300, 220]), kind=kind)
    field = replace(field, cholesky=1.8 * field.cholesky)
    found, right = field.render(size), expected(field, size)
    assert right.isfinite().all()  # no pixel is out of reach
    _, placed = field._placed(size, True)
    decided = ~near_cutoff(placed.means, placed.cholesky, size, DEFAULT_CUTOFF)
    assert decided.float().mean() > 0.9
    apart = (found - right).abs().amax(1)[decided]
    assert apart.max() < 1e-4 * right.abs().max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_bands_are_the_whole_rendering_to_the_bit(implementation, kind, size):
    field = make_field(batch=2, n=90, counts=torch.tensor([90, 31]), kind=kind)
    whole = field.render(size)
    bands = list(field.render_bands(size, budget=50_000))
    assert torch.equal(torch.cat([band for _, band in bands], 2), whole)
    assert all(band.shape[1] == 3 for _, band in bands)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", [0.0, 1 / 255, 0.3, 1.0])
def test_gaussians_of_one_colour_render_as_that_colour(implementation, size, value):
    field = make_field()
    flat = replace(field, colors=torch.full_like(field.colors, value))
    assert (flat.render(size) - value).abs().max() <= 1e-6 * value


def test_a_gap_takes_the_colours_around_it_and_what_is_far_from_all_is_zero(implementation):
    means = torch.tensor([[[4.0, 4.0], [8.0, 4.0]]])
    shapes = torch.tensor([0.1, 0.0, 0.1]).expand(1, 2, 3)
    colors = torch.tensor([[[0.25], [0.75]]])
    field = GaussianField(means, shapes, colors, (8, 40), averaged=False, normalised=True)
    for size in ((8, 40), (32, 160), (32, 80)):
        image = field.render(size)[0, 0, size[0] // 2]
        x = (torch.arange(size[1]) + 0.5) * 40 / size[1]
        near = (x > 2) & (x < 10)
        assert ((image[near] >= 0.2499) & (image[near] <= 0.7501)).all()
        assert (image[(x > 5.4) & (x < 6.6)] - 0.5).abs().max() < 0.25
        assert (image[x > 15] == 0).all()
        bands = torch.cat([band for _, band in field.render_bands(size, budget=1)], 2)
        assert torch.equal(bands, field.render(size))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1, 2.5])
def test_a_crop_renders_what_the_whole_field_renders_there(kind, scale):
    field = make_field(batch=2, n=60, counts=torch.tensor([60, 40]), kind=kind)
    field = replace(field, cholesky=0.3 * field.cholesky)
    crop = field.crop(8, 4, 20, 16)
    assert (crop.averaged, crop.normalised) == kind
    assert (crop.counts < torch.tensor([60, 40])).all()
    left, top, width, height = (int(scale * value) for value in (8, 4, 20, 16))
    whole = field.render((int(40 * scale), int(56 * scale)))
    part = whole[:, :, top : top + height, left : left + width]
    assert (crop.render((height, width)) - part).abs().max() < 2e-3


def test_every_view_of_a_field_keeps_its_kind():
    field = make_field(batch=2, counts=torch.tensor([300, 7]))
    for view in (
        field.row(1),
        field.scale(2),
        field.shift(1, 1),
        field.widen(1, 1),
        GaussianField.merge([field, field]),
    ):
        assert (view.averaged, view.normalised) == (False, True)
    assert torch.equal(field.row(1).render(), field.render()[1:])


@pytest.mark.parametrize("other", [kind for kind in KINDS if kind != (False, True)])
def test_fields_that_render_differently_do_not_merge(other):
    with pytest.raises(ValueError, match="averaged and normalised must be equal"):
        GaussianField.merge([make_field(), make_field(kind=other)])


def test_a_normalised_field_has_room_for_its_weights():
    assert make_field(channels=7).render().shape == (1, 7, 40, 56)
    with pytest.raises(ValueError, match=r"a normalised field has at most 7 channels.*got 8"):
        make_field(channels=8)
    assert make_field(channels=8, kind=(False, False)).render().shape == (1, 8, 40, 56)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_definition(implementation, kind):
    field = make_field(n=40, size=(10, 12), kind=kind)
    target = torch.rand(1, 3, 25, 30, generator=torch.Generator().manual_seed(1))
    found, right = [], []
    for dtype, kept in ((torch.float32, found), (torch.float64, right)):
        leaves = [
            t.to(dtype, copy=True).requires_grad_() for t in (field.means, field.cholesky, field.colors)
        ]
        one = replace(field, means=leaves[0], cholesky=leaves[1], colors=leaves[2])
        (one.render((25, 30)) - target).square().mean().backward()
        kept += [leaf.grad for leaf in leaves]
    for one, other in zip(found, right, strict=True):
        assert other.abs().max() > 0
        assert (one - other).abs().max() < 2e-3 * other.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_differences(kind):
    field = make_field(n=6, channels=2, size=(5, 6), kind=kind)
    inputs = [t.double().requires_grad_() for t in (field.means, field.cholesky, field.colors)]

    def drawn(means, cholesky, colors):
        return replace(field, means=means, cholesky=cholesky, colors=colors).render((7, 6), cutoff=12.0)

    assert torch.autograd.gradcheck(drawn, inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("counts", [None, torch.tensor([300, 7])])
def test_a_saved_field_is_of_its_kind_and_older_readers_refuse_what_they_would_draw_wrongly(
    tmp_path, kind, counts
):
    field = make_field(batch=2, counts=counts, kind=kind)
    path = tmp_path / "field.safetensors"
    field.save(path, note="a test")
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    assert header["format"] == (FORMAT if kind == (True, False) else NEWER_FORMAT)
    assert header["note"] == "a test"
    loaded = GaussianField.load(path)
    assert (loaded.averaged, loaded.normalised) == kind
    assert torch.equal(loaded.render((50, 60)), field.render((50, 60)))


@pytest.mark.parametrize(
    ("rendering", "size"),
    [
        ({"averaged": False, "opacity": True}, "[40, 56]"),
        ({"averaged": 0.5}, "[40, 56]"),
        (["averaged"], "[40, 56]"),
        (None, "[40, 56]"),
        ({"averaged": False}, "null"),
        ({"averaged": False}, None),
        ({"averaged": False}, "[0, 56]"),
    ],
)
def test_a_header_that_cannot_be_followed_is_one_sentence(tmp_path, rendering, size):
    path = tmp_path / "field.safetensors"
    make_field().save(path)
    header = {"format": NEWER_FORMAT, "size": size, "rendering": rendering and json.dumps(rendering)}
    save_file(load_file(path), path, metadata={key: text for key, text in header.items() if text})
    with pytest.raises(ValueError, match=r"field\.safetensors is not a Gaussian field"):
        GaussianField.load(path)


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_tensors_that_are_not_those_of_a_field_are_one_sentence(tmp_path, change):
    path = tmp_path / "field.safetensors"
    make_field().save(path)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    if change == "missing":
        del tensors["cholesky"]
    else:
        tensors |= {"opacity": torch.ones(3)} if change == "more" else {"means": torch.ones(1, 299, 2)}
    save_file(tensors, path, metadata=header)
    with pytest.raises(ValueError, match=r"field\.safetensors is not a Gaussian field \("):
        GaussianField.load(path)


def test_a_note_called_rendering_is_only_a_note(tmp_path):
    make_field(kind=(True, False)).save(tmp_path / "field.safetensors", rendering="by a friend")
    assert not GaussianField.load(tmp_path / "field.safetensors").normalised
