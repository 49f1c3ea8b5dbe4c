"""Fits reach their PSNR on the fitted and on held-out pixels, and are bit-identical when repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgp_mining.fitting.fit import fit_image, held_out_psnr
from dgp_mining.fitting.recipes import RECIPES, FastRecipe
from dgp_mining.fitting.target import psnr
from splat2d.matlab_imresize import imresize

KODAK = Path(__file__).parents[4] / "shared" / "images" / "kodak"
needs_kodak = pytest.mark.skipif(not KODAK.exists(), reason="needs shared/images/kodak")


def kodak_crop(number: int, row: int | None = None, column: int | None = None, size: int = 256) -> np.ndarray:
    """A crop of a Kodak photograph, its centre by default: [size, size, 3] float32."""
    pixels = np.asarray(Image.open(KODAK / f"kodim{number:02d}.png").convert("RGB"), dtype=np.float32) / 255
    row = (pixels.shape[0] - size) // 2 if row is None else row
    column = (pixels.shape[1] - size) // 2 if column is None else column
    return pixels[row : row + size, column : column + size]


def smooth_picture(height: int = 48, width: int = 64, channels: int = 3) -> np.ndarray:
    """Waves and an edge; [height, width, channels] float32."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [0.5 + 0.3 * np.sin(x / (4 + c)) * np.cos(y / 5) + 0.15 * (x + c > y) for c in range(channels)]
    return np.stack(waves, -1).astype(np.float32)


def test_the_same_arguments_give_the_same_bits():
    for recipe in RECIPES:
        one, two = (fit_image(smooth_picture(), recipe=recipe, iterations=12, seed=3) for _ in range(2))
        assert torch.equal(one.field.means, two.field.means)
        assert torch.equal(one.field.cholesky, two.field.cholesky)
        assert torch.equal(one.field.colors, two.field.colors)


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_any_number_of_channels_is_fitted(channels):
    fit = fit_image(smooth_picture(channels=channels), iterations=100)
    assert fit.field.colors.shape[2] == channels
    assert fit.psnr > 35


def test_psnr_is_that_of_the_field():
    picture = smooth_picture()
    fit = fit_image(picture, iterations=30)
    target = torch.from_numpy(picture).permute(2, 0, 1)
    assert fit.psnr == psnr(fit.field.render()[0], target)


@pytest.mark.parametrize("recipe", ["fast", "gaussianimage"])
def test_snapshots_are_intermediate_fields_and_change_nothing(recipe):
    looks = (0, 7, 10, 20)
    watched = fit_image(smooth_picture(), recipe=recipe, iterations=20, snapshots=looks)
    plain = fit_image(smooth_picture(), recipe=recipe, iterations=20)
    assert tuple(look.iterations for look in watched.snapshots) == looks
    start, *_, end = watched.snapshots
    for name in ("means", "cholesky", "colors"):
        assert torch.equal(getattr(watched.field, name), getattr(plain.field, name))
        assert torch.equal(getattr(end.field, name), getattr(plain.field, name))
    assert torch.equal(start.field.means[0], plain.start)
    assert end.psnr == plain.psnr
    assert len({look.psnr for look in watched.snapshots}) == len(looks)
    if recipe == "fast":
        halfway = fit_image(smooth_picture(), recipe=recipe, iterations=20, target_psnr=-1e9, snapshots=(7,))
        assert torch.equal(halfway.field.means, watched.snapshots[1].field.means)


def test_fitting_stops_at_the_target_psnr():
    fit = fit_image(smooth_picture(), target_psnr=30)
    assert 30 <= fit.psnr < 40
    assert fit.iterations < FastRecipe().iterations


def test_there_are_at_most_as_many_gaussians_as_the_density_allows():
    for density in (0.05, 0.18, 0.25, 1.0):
        fit = fit_image(smooth_picture(), density=density, iterations=1)
        n = fit.field.means.shape[1]
        assert 0.8 * density * 48 * 64 <= n <= density * 48 * 64
        assert fit.start.shape == (n, 2)


def test_no_gaussian_gets_narrower_than_the_smallest_width():
    noise = np.random.default_rng(0).random((40, 40, 3), dtype=np.float32)
    field = fit_image(noise, iterations=100).field
    l11, l21, l22 = field.cholesky[0].double().unbind(-1)
    factor = torch.stack([torch.stack([l11, 0 * l11], -1), torch.stack([l21, l22], -1)], -2)
    narrowest = torch.linalg.svdvals(factor)[:, -1].min()
    floor = FastRecipe().min_sigma * 2  # pixels, at two pixels to a grid spacing
    assert narrowest >= floor * (1 - 1e-4)
    assert narrowest < 1.25 * floor, "noise drives some to the floor, or this shows nothing"


@pytest.mark.parametrize("axis", ["horizontal", "vertical", "transposed"])
def test_a_mirrored_crop_gives_the_mirrored_statistics(axis):
    """Symmetric starts, roots and rates: any asymmetry of a prior comes from its photographs.

    After some dozens of iterations roundings have grown: cautious steps depend on signs.
    """
    picture = smooth_picture(48, 48)
    other = {"horizontal": picture[:, ::-1], "vertical": picture[::-1], "transposed": picture.swapaxes(0, 1)}[
        axis
    ]
    sums = []
    for pixels in (picture, other):
        l11, l21, l22 = fit_image(pixels.copy(), iterations=30).field.cholesky[0].double().unbind(-1)
        sums.append(torch.stack([l11**2, l11 * l21, l21**2 + l22**2]).mean(1))
    sign = torch.tensor([1, 1 if axis == "transposed" else -1, 1])
    expected = sums[0][[2, 1, 0]] if axis == "transposed" else sums[0] * sign
    assert torch.allclose(sums[1], expected, rtol=1e-3, atol=1e-3)


def test_held_out_psnr_is_measured_on_pixels_the_fit_never_saw():
    picture = smooth_picture(64, 64)
    small = imresize(torch.from_numpy(picture).permute(2, 0, 1), size=(32, 32))
    field = fit_image(small.permute(1, 2, 0), iterations=50).field
    expected = psnr(field.render((64, 64))[0], torch.from_numpy(picture).permute(2, 0, 1))
    assert held_out_psnr(picture, iterations=50) == pytest.approx(expected, abs=1e-9)
    odd = np.concatenate([picture, np.ones((1, 64, 3), np.float32)])
    assert held_out_psnr(odd, iterations=50) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"density": 0}, "density must be"),
        ({"density": 9}, "density must be"),
        ({"iterations": 0}, "iterations must be"),
        ({"recipe": "slow"}, "unknown recipe 'slow': choose one of fast, lattice, gaussianimage"),
        ({"pixels": np.zeros((8, 8), np.float32)}, "pixels must be"),
        ({"pixels": np.zeros((8, 8, 9), np.float32)}, "1 to 8 channels"),
        ({"pixels": np.zeros((1, 8, 3), np.float32)}, "at least 2 by 2"),
        ({"pixels": np.full((8, 8, 3), np.nan, np.float32)}, "finite"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(arguments, sentence):
    pixels = arguments.pop("pixels", smooth_picture())
    with pytest.raises(ValueError, match=sentence):
        fit_image(pixels, **arguments)


@needs_kodak
@pytest.mark.parametrize(
    ("iterations", "expected"), [(1000, 31.0), pytest.param(5000, 37.5, marks=pytest.mark.slow)]
)
def test_gaussianimage_follows_its_published_curve(iterations, expected):
    """dB that an independent implementation reached on this crop at 0.18 Gaussians per pixel."""
    crop = kodak_crop(13, 120, 200)
    fit = fit_image(crop, density=0.18, recipe="gaussianimage", iterations=iterations)
    assert fit.psnr == pytest.approx(expected, abs=0.5)


@pytest.mark.slow
@needs_kodak
def test_the_fast_recipe_reaches_its_psnr_and_held_out_psnr():
    """24 Kodak centre crops, defaults: PSNR 46 dB, held-out-pixel PSNR at most 0.5 dB below bicubic's."""
    on, off, bicubic = [], [], []
    for number in range(1, 25):
        crop = kodak_crop(number)
        on.append(fit_image(crop).psnr)
        off.append(held_out_psnr(crop))
        target = torch.from_numpy(crop).permute(2, 0, 1)
        small = imresize(target, size=(128, 128))
        bicubic.append(psnr(imresize(small, size=(256, 256)), target))
    print(f"on {np.mean(on):.2f} dB, off {np.mean(off):.2f} dB, bicubic {np.mean(bicubic):.2f} dB")
    assert np.mean(on) >= 46
    assert np.mean(off) >= np.mean(bicubic) - 0.5


def test_iterations_also_replace_those_of_a_recipe_object():
    pixels = np.full((16, 16, 3), 0.5, np.float32)
    assert fit_image(pixels, recipe=FastRecipe(iterations=7)).iterations == 7
    assert fit_image(pixels, recipe=FastRecipe(iterations=7), iterations=3).iterations == 3


@pytest.mark.parametrize("pixels", [np.full((16, 16, 3), 128, np.uint8), np.full((16, 16, 3), 128.0)])
def test_pixels_of_0_to_255_are_refused(pixels: np.ndarray):
    with pytest.raises(ValueError, match=r"in \[0, 1\].*divide 8-bit values by 255"):
        fit_image(pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.bool_, np.complex64, object])
def test_pixels_that_are_no_floats_are_refused_whatever_their_values(dtype: type) -> None:
    pixels = (np.random.default_rng(0).random((16, 16, 3)) > 0.5).astype(dtype)
    for fit in (fit_image, held_out_psnr):
        with pytest.raises(ValueError, match="must be floats in"):
            fit(pixels, iterations=2)


def test_pixels_are_the_same_in_any_order_of_rows_and_bytes() -> None:
    pixels = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    expected = fit_image(pixels, iterations=4).field.colors
    for same in (pixels[::-1].copy()[::-1], pixels.astype(">f4"), np.asfortranarray(pixels)):
        assert torch.equal(fit_image(same, iterations=4).field.colors, expected)


def test_psnr_of_what_is_no_image_in_0_to_1_is_refused() -> None:
    image = torch.rand(3, 8, 8)
    for wrong in ((image * 255).byte(), image[:1]):
        with pytest.raises(ValueError, match="images must"):
            psnr(wrong, image)
