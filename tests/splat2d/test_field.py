"""A field can be scaled, cropped, merged, saved and loaded, and still renders the same image."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from fields import random_inputs

import splat2d.field_file as field_file
from splat2d import GaussianField, render


def make_field(batch=1, n=120, size=(40, 56), seed=0, counts=None):
    return GaussianField(*random_inputs(batch, n, 3, size, seed), size=size, counts=counts)


def test_rendering_at_its_own_size_is_render():
    field = make_field()
    assert torch.equal(field.render(), render(field.means, field.cholesky, field.colors, (40, 56)))


def test_scaling_multiplies_positions_by_s_and_covariances_by_s_squared():
    field = make_field()
    scaled = field.scale(2.5, 0.5)
    assert scaled.size == (20.0, 140.0)
    covariance = factor(field) @ factor(field).mT
    stretch = torch.diag(torch.tensor([2.5, 0.5]))
    assert torch.allclose(factor(scaled) @ factor(scaled).mT, stretch @ covariance @ stretch, rtol=1e-5)
    assert torch.allclose(scaled.means, field.means * torch.tensor([2.5, 0.5]))


def factor(field):
    l11, l21, l22 = field.cholesky.unbind(-1)
    return torch.stack([l11, torch.zeros_like(l11), l21, l22], -1).unflatten(-1, (2, 2))


def test_a_scaled_field_samples_the_same_continuous_image():
    """Pixel centres of every third pixel at x3 are pixel centres at x1."""
    field = make_field()
    assert torch.allclose(field.render((120, 168))[:, :, 1::3, 1::3], field.render(), atol=2e-3)


def test_unequal_and_non_integer_scales_render_at_the_size_asked_for():
    assert make_field().render((51, 90)).shape == (1, 3, 51, 90)


def test_a_crop_renders_what_the_whole_field_renders_there():
    field = make_field(batch=2, counts=torch.tensor([120, 70]))
    crop = field.crop(9, 5, 20, 16)
    assert crop.counts.tolist() != [120, 70]
    assert torch.allclose(crop.render(), field.render()[:, :, 5:21, 9:29], atol=2e-3)
    assert crop.size == (16, 20)


def test_merged_fields_render_their_sum():
    one, two = make_field(batch=2, n=30, counts=torch.tensor([30, 4])), make_field(batch=2, n=50, seed=1)
    merged = GaussianField.merge([one, two])
    assert merged.counts.tolist() == [80, 54]
    assert torch.allclose(merged.render(), one.render() + two.render(), atol=1e-5)


def test_fields_cropped_into_tiles_and_merged_lose_nothing():
    """Each Gaussian belongs to the tile that owns its mean: the way big images are put together."""
    field = make_field(n=200)
    left = field.means[0, :, 0] < 28
    tiles = [
        GaussianField(field.means[:, keep], field.cholesky[:, keep], field.colors[:, keep], field.size)
        for keep in (left, ~left)
    ]
    assert torch.allclose(GaussianField.merge(tiles).render(), field.render(), atol=1e-5)


def test_a_row_is_the_field_alone():
    field = make_field(batch=2, counts=torch.tensor([120, 70]))
    row = field.row(1)
    assert row.means.shape == (1, 70, 2)
    assert torch.equal(row.render(), field.render()[1:])


def test_shifting_moves_the_image():
    field = make_field()
    assert torch.allclose(field.shift(3, 2).render()[:, :, 2:, 3:], field.render()[:, :, :-2, :-3], atol=2e-3)


@pytest.mark.parametrize("counts", [None, torch.tensor([120, 7])])
def test_a_saved_field_loads_unchanged(tmp_path, counts):
    field = make_field(batch=2, counts=counts)
    field.save(tmp_path / "field.safetensors", note="a test")
    loaded = GaussianField.load(tmp_path / "field.safetensors")
    assert loaded.size == field.size
    assert torch.equal(loaded.means, field.means)
    assert torch.equal(loaded.render(), field.render())


def test_a_saved_field_is_readable_to_whom_the_umask_lets_read(tmp_path):
    before = os.umask(0o022)
    try:
        make_field().save(tmp_path / "field.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "field.safetensors").stat().st_mode) == 0o644


def test_a_field_that_cannot_be_saved_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "field.safetensors"
    make_field(seed=1).save(path)
    former = path.read_bytes()

    def fail_half_way(tensors, partial, metadata):
        Path(partial).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(field_file, "save_file", fail_half_way)
    with pytest.raises(OSError, match="No space left"):
        make_field(seed=2).save(path)
    assert path.read_bytes() == former
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_a_field_is_named(tmp_path):
    path = tmp_path / "not.safetensors"
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"not\.safetensors is not a Gaussian field"):
        GaussianField.load(path)


def test_wrong_shapes_are_refused():
    means, cholesky, colors = random_inputs(1, 4, 3, (5, 5))
    with pytest.raises(ValueError, match="cholesky"):
        GaussianField(means, cholesky[:, :3], colors, (5, 5))
    with pytest.raises(ValueError, match="size"):
        GaussianField(means, cholesky, colors, (0, 5))
