"""Flat is flat and grey is grey, to the last level, for networks of any weights whose settings promise it.

And what is promised for every network: grey pictures stored as RGB stay grey, and alpha of one value stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_weights import FLAT, random_continuoussr, random_gsasr

from splat2d import GaussianField
from splat2d.backends import cpu
from sr_model import upscale
from sr_model.networks.base import Network
from sr_model.upscaling import upscale as upscaling
from sr_model.upscaling.tiling import encode, to_lr

SCALES = [1.0, 1.3, 2.0, 3.0, 3.7, 4.0, 8.0, 0.5, 0.3, (2.0, 3.0), (0.5, 2.5)]
DEEP = [0, 1, 257, 12_345, 32_768, 54_321, 65_534, 65_535]
REACH = 7
"""LR pixels from an edge from which on an image is flat again: the interpolating filter's six, and one."""


@pytest.fixture(params=["weak", "strong", "deep"])
def flat_network(request, dictionary) -> Network:
    noise = {"weak": 0.05, "strong": 0.15, "deep": 0.1}[request.param]
    more = {"encoder": "edsr", "depth": 3, "query_size": 3} if request.param == "deep" else {}
    return random_continuoussr(dictionary, noise, **{**FLAT, **more})


@pytest.fixture(params=["sums", "conversion-like", "gsasr"])
def other_network(request, dictionary, tiny_gsasr) -> Network:
    if request.param == "gsasr":
        return random_gsasr(tiny_gsasr.network, 0.05)
    more = {"interpolate": False, "margin": 0} if request.param == "conversion-like" else {}
    return random_continuoussr(dictionary, 0.05, **more)


def without_the_native_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "LIBRARY", None)
    monkeypatch.setattr(cpu, "warn_missing", lambda: None)


@pytest.mark.parametrize("scale", SCALES)
def test_a_flat_image_stays_as_it_is(flat_network, scale):
    for level in (*range(0, 256, 15), 1, 127, 128, 254):
        image = np.full((7, 9, 3), level, np.uint8)
        assert (upscale(image, scale, model=flat_network) == level).all(), level
    for level in DEEP:
        for shape in ((7, 9), (5, 1, 3), (1, 6)):
            image = np.full(shape, level, np.uint16)
            assert (upscale(image, scale, model=flat_network) == level).all(), (level, shape)


@pytest.mark.parametrize("scale", [2.0, 3.7, 0.5])
def test_a_flat_colour_stays_as_it_is_in_tiles_windows_and_ensembles(flat_network, scale):
    image = np.empty((40, 37, 4), np.uint16)
    image[:] = (65_535, 54_321, 3, 40_000)
    for how in ({"tile": 16}, {"ensemble": True}, {"wrap": "xy"}):
        upscaled = upscale(image, scale, model=flat_network, **how)
        assert (upscaled == image[0, 0]).all()
    for band in upscaling.draw(image, (11.3, 9.7, 10, 12), (31, 23), image.dtype, flat_network):
        assert (band == image[0, 0]).all()


@pytest.mark.parametrize("scale", [1.3, 4.0, 0.5])
def test_a_flat_image_is_flat_without_the_native_library(flat_network, scale, monkeypatch):
    without_the_native_library(monkeypatch)
    for level in DEEP:
        assert (upscale(np.full((4, 5, 3), level, np.uint16), scale, model=flat_network) == level).all()


def test_floats_stay_within_rounding_in_single_and_double_precision(flat_network):
    for value in (0.0, 1e-4, 0.3, 1.0):
        image = np.full((5, 6, 3), value, np.float32)
        assert np.abs(upscale(image, 3.7, model=flat_network) - image[0, 0]).max() <= 2e-6 * value
        field = encode(flat_network, image)
        double = replace(
            field, means=field.means.double(), cholesky=field.cholesky.double(), colors=field.colors.double()
        )
        assert (double.render((19, 22)) - value).abs().max() <= 2e-6 * value


def test_a_saved_field_of_a_flat_image_is_flat_in_every_part(flat_network, tmp_path):
    field = encode(flat_network, np.full((20, 24, 3), 54_321, np.uint16))
    field.save(tmp_path / "a.safetensors")
    loaded = GaussianField.load(tmp_path / "a.safetensors")
    for part in (loaded, loaded.crop(3.3, 2.1, 8, 9), loaded.crop(0, 0, 5, 5), loaded.row(0)):
        for size in ((9, 8), (31, 44)):
            assert (part.render(size) - 54_321 / 65_535).abs().max() < 2e-6


@pytest.mark.parametrize("scale", [1.3, 2.0, 3.7, 8.0, 0.5, (2.0, 3.0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_on_both_sides_of_an_edge_an_image_is_flat_again(flat_network, scale, dtype):
    top = np.iinfo(dtype).max
    low, high = top // 5, top - top // 5  # so that clamping hides nothing
    image = np.full((12, 44, 3), low, dtype)
    image[:, 22:] = high
    upscaled = upscale(image, scale, model=flat_network)
    x = (np.arange(upscaled.shape[1]) + 0.5) * 44 / upscaled.shape[1]
    assert (upscaled[:, x < 22 - REACH] == low).all()
    assert (upscaled[:, x > 22 + REACH] == high).all()
    assert (upscaled[:, np.abs(x - 22) <= 1] != low).any()


@pytest.mark.parametrize("scale", [1.3, 2.0, 3.7, 0.5])
def test_grey_stays_grey_also_in_a_part_of_a_coloured_image(flat_network, scale):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (18, 60, 1), np.uint8).repeat(3, 2)
    image[:, 45:] = random.integers(0, 256, (18, 15, 3))
    upscaled = upscale(image, scale, model=flat_network).astype(int)
    grey = upscaled[:, : int(scale * (45 - REACH - 5))]
    assert (grey == grey[..., :1]).all()
    assert np.ptp(upscaled[:, int(scale * 48) :], axis=2).max() > 20


def test_grey_is_grey_in_the_network_itself(flat_network):
    image = np.random.default_rng(0).random((9, 11, 1), np.float32)
    colours = flat_network(to_lr(image, torch.device("cpu"))).colors
    assert (colours == colours[..., :1]).all()


def test_a_checkerboard_of_pixels_stays_grey(flat_network):
    image = (np.indices((14, 15)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    for scale in (2.0, 2.5, 4.0):
        upscaled = upscale(image, scale, model=flat_network)
        assert (upscaled == upscaled[..., :1]).all()


@pytest.mark.parametrize("scale", [2.0, 3.7, 0.5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_binary_alpha_is_opaque_and_transparent_away_from_its_edges(flat_network, scale, dtype):
    top = np.iinfo(dtype).max
    image = np.full((12, 44, 4), top // 3, dtype)
    image[:, :22, :3], image[:, :22, 3], image[:, 22:, 3] = 0, 0, top  # black hides below
    upscaled = upscale(image, scale, model=flat_network)
    x = (np.arange(upscaled.shape[1]) + 0.5) * 44 / upscaled.shape[1]
    assert (upscaled[:, x < 22 - REACH, 3] == 0).all()
    assert (upscaled[:, x > 22 + REACH, 3] == top).all()
    assert (upscaled[..., :3] == top // 3).all()


@pytest.mark.parametrize("scale", [2.0, 3.7, 0.5])
def test_grey_pictures_stored_as_rgb_stay_grey_with_every_network(other_network, scale):
    random = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16, np.float32):
        noise = random.random((20, 17, 1))
        grey = (noise * (1 if dtype == np.float32 else np.iinfo(dtype).max)).astype(dtype)
        for how in ({}, {"tile": 16}, {"ensemble": True}):
            upscaled = upscale(grey.repeat(3, 2), scale, model=other_network, **how)
            assert (upscaled == upscaled[..., :1]).all()
            assert np.array_equal(upscaled[..., 0], upscale(grey[..., 0], scale, model=other_network, **how))
    coloured = grey.repeat(3, 2)
    coloured[3, 4, 1] = 1 - coloured[3, 4, 1]
    assert np.ptp(upscale(coloured, scale, model=other_network), axis=2).max() > 0


@pytest.mark.parametrize("value", [0, 7, 40_000, 65_535])
def test_alpha_of_one_value_stays_with_every_network(other_network, value):
    image = np.random.default_rng(0).integers(0, 65_536, (20, 17, 4), np.uint16)
    image[..., 3] = value
    for how in ({}, {"tile": 16}, {"ensemble": True}, {"wrap": "xy"}):
        for scale in (1.3, 2.0, (3.0, 8.5), 0.5):
            assert (upscale(image, scale, model=other_network, **how)[..., 3] == value).all()


def test_bands_of_colours_and_alpha_are_of_the_same_rows(flat_network, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (18, 9, 4), np.uint8)
    whole = upscale(image, 7.3, model=flat_network)
    monkeypatch.setattr("sr_model.upscaling.rendering.BAND_BYTES", 10_000)
    assert np.array_equal(upscale(image, 7.3, model=flat_network), whole)
    image[..., 3] = 255
    assert (upscale(image, 7.3, model=flat_network, ensemble=True)[..., 3] == 255).all()
