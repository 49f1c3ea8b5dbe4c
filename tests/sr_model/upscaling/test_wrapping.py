"""The result of an image that repeats is one tile of the result of its repetition."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from random_weights import FLAT, random_continuoussr, random_gsasr

from dgp_mining.images.reader import ImageError
from sr_model import upscale
from sr_model.image_io.reader import read_source_image
from sr_model.upscaling.files import UpscaleRequest, upscale_file

SIDES = (20, 30)


def texture(height: int = SIDES[0], width: int = SIDES[1], channels: int = 3) -> np.ndarray:
    """Periodic noise without its finest waves, [H, W, C] uint8."""
    noise = np.fft.rfft2(np.random.default_rng(0).normal(size=(height, width, channels)), axes=(0, 1))
    y, x = np.fft.fftfreq(height)[:, None, None], np.fft.rfftfreq(width)[None, :, None]
    smooth = np.fft.irfft2(noise * np.exp(-12 * (x * x + y * y)), (height, width), axes=(0, 1))
    return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def repeated(image: np.ndarray, wrap: str) -> np.ndarray:
    """The image amid its repetitions along the axes of `wrap`."""
    return np.tile(image, (3 if "y" in wrap else 1, 3 if "x" in wrap else 1, 1))


def middle(image: np.ndarray, wrap: str, size: tuple[int, int]) -> np.ndarray:
    """The tile of size (height, width) in the middle of a result of `repeated`."""
    top, left = (extent * (axis in wrap) for axis, extent in zip("yx", size, strict=True))
    return image[top : top + size[0], left : left + size[1]]


def apart(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("settings", [{}, FLAT, {"cells": 3, "margin": 2, "depth": 2}])
@pytest.mark.parametrize("wrap", ["x", "y", "xy"])
@pytest.mark.parametrize("scale", [2.0, (2.5, 3.7), 0.5])
def test_a_tile_is_that_of_the_repetition(dictionary, settings, wrap, scale):
    network, image = random_continuoussr(dictionary, **settings), texture()
    found = upscale(image, scale, model=network, wrap=wrap)
    whole = upscale(repeated(image, wrap), scale, model=network)
    assert apart(found, middle(whole, wrap, found.shape[:2])) <= 1
    assert apart(upscale(image, scale, model=network), found) > 1  # whose borders are replicated


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_and_alpha_repeat_too(dictionary, channels):
    network, image = random_continuoussr(dictionary, **FLAT), texture(channels=channels)
    image[..., -1] = np.where(image[..., -1] < 110, 0, 255) if channels % 2 == 0 else image[..., -1]
    found = upscale(image, 3, model=network, wrap="xy", tile=16)
    whole = upscale(repeated(image, "xy"), 3, model=network)
    assert apart(found, middle(whole, "xy", (60, 90))) <= 1


def test_an_image_smaller_than_what_the_network_sees_repeats_more_than_once(dictionary):
    network, image = random_continuoussr(dictionary, **FLAT), texture(3, 4)
    found = upscale(image, 4, model=network, wrap="xy")
    whole = upscale(np.tile(image, (31, 31, 1)), 4, model=network)
    assert apart(found, whole[15 * 12 : 16 * 12, 15 * 16 : 16 * 16]) <= 1


def test_an_ensemble_repeats_too(dictionary):
    network, image = random_continuoussr(dictionary, **FLAT), texture()
    found = upscale(image, 2, model=network, wrap="x", ensemble=True)
    whole = upscale(repeated(image, "x"), 2, model=network, ensemble=True)
    assert apart(found, middle(whole, "x", (40, 60))) <= 1


def steps(image: np.ndarray) -> tuple[float, float]:
    """Mean step from the last column to the first, and between columns."""
    values = image.astype(float)
    return np.abs(values[:, 0] - values[:, -1]).mean(), np.abs(np.diff(values, axis=1)).mean()


@pytest.mark.parametrize("architecture", ["span", "swinir", "gsasr"])
def test_the_step_across_the_edge_is_like_those_inside(dictionary, tiny_gsasr, architecture):
    if architecture == "gsasr":
        network = random_gsasr(tiny_gsasr.network, 0.03)
    else:
        changes = {"encoder": architecture, "width": 12, "upsampler": architecture == "span"}
        network = random_continuoussr(dictionary, 0.03, **{**FLAT, **changes})
    image = texture(21, 29)
    edge, inside = steps(upscale(image, 4, model=network, wrap="xy"))
    assert edge < 1.35 * inside
    edge, inside = steps(upscale(image, 4, model=network))
    assert edge > 2 * inside


@pytest.mark.parametrize("window", [(-6, 2.5, 12, 10), (25, 15, 10, 15), (-30, -20, 90, 60), (5, 5, 8, 8)])
def test_a_window_may_lie_over_the_edge(dictionary, tmp_path, window):
    network = random_continuoussr(dictionary, **FLAT)
    Image.fromarray(texture()).save(tmp_path / "a.png")
    request = UpscaleRequest(2.0, window=window, wrap="xy", tile=16)
    upscale_file(tmp_path / "a.png", tmp_path / "b.png", request, network)
    whole = upscale(np.tile(texture(), (5, 5, 1)), 2, model=network)
    x, y, width, height = (int(2 * value) for value in window)
    expected = whole[80 + y : 80 + y + height, 120 + x : 120 + x + width]
    assert apart(read_source_image(tmp_path / "b.png").pixels, expected) <= 1


@pytest.mark.parametrize(
    ("window", "wrap"),
    [((-1, 0, 5, 5), ""), ((-1, 0, 5, 5), "y"), ((-31, 0, 5, 5), "x"), ((9, 9, 60, 5), "x")],
)
def test_a_window_beyond_what_repeats_is_refused(network, tmp_path, window, wrap):
    Image.fromarray(texture()).save(tmp_path / "a.png")
    request = UpscaleRequest(2.0, window=window, wrap=wrap)
    with pytest.raises(ImageError, match="is not within its 30x20 pixels"):
        upscale_file(tmp_path / "a.png", tmp_path / "b.png", request, network)


@pytest.mark.parametrize("settings", [{}, FLAT])
@pytest.mark.parametrize("also", [{}, {"scale": 2.0, "window": (-3, 1, 9, 9)}])
def test_a_saved_field_repeats(dictionary, tmp_path, settings, also):
    network, image = random_continuoussr(dictionary, **settings), texture()
    Image.fromarray(image).save(tmp_path / "a.png")
    field = tmp_path / "a.safetensors"
    request = UpscaleRequest(**also, save_field=field, wrap="xy", reduction="none")
    upscale_file(tmp_path / "a.png", tmp_path / "b.png", request, network)
    upscale_file(field, tmp_path / "c.png", UpscaleRequest(3.0), None)
    whole = upscale(repeated(image, "xy"), 3, model=network, reduction="none")
    assert apart(read_source_image(tmp_path / "c.png").pixels, middle(whole, "xy", (60, 90))) <= 1
    if also:
        whole = upscale(repeated(image, "xy"), 2, model=network, reduction="none")
        expected = whole[40 + 2 : 40 + 20, 60 - 6 : 60 + 12]
        assert apart(read_source_image(tmp_path / "b.png").pixels, expected) <= 1


def test_networks_and_axes_that_cannot_repeat_are_refused(dictionary):
    free = random_continuoussr(dictionary, positions="offsets", interpolate=False)
    with pytest.raises(ValueError, match="may lie anywhere, so it cannot take wrap="):
        upscale(texture(), 2, model=free, wrap="x")
    with pytest.raises(ValueError, match="wrap must be 'x', 'y', 'xy' or '', got 'both'"):
        upscale(texture(), 2, model=free, wrap="both")
