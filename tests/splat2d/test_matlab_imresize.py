"""`imresize` gives MATLAB's own pixels, at any ratio, for any batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from splat2d.matlab_imresize import imresize, output_size

SET5 = Path(__file__).parents[3] / "shared" / "images" / "set5"


def read(path: Path) -> torch.Tensor:  # [3, H, W] uint8
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)


@pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")
@pytest.mark.parametrize(
    ("factor", "border", "other"),
    [
        (2, "mirror", "replicate"),
        (3, "mirror", "replicate"),
        (4, "mirror", "replicate"),
        (8, "replicate", "mirror"),
    ],
)
def test_uint8_equals_matlabs_set5_to_the_bit(factor, border, other):
    """Those at x8 were made by an older release, and equal it alone."""
    for path in sorted((SET5 / "HR").glob("*.png")):
        image = read(path)
        height, width = (extent // factor * factor for extent in image.shape[-2:])
        image = image[:, :height, :width]
        expected = read(SET5 / f"X{factor}" / f"{path.stem}x{factor}.png")
        assert torch.equal(imresize(image, scale=1 / factor, border=border), expected), path.name
        assert not torch.equal(imresize(image, scale=1 / factor, border=other), expected), path.name


def test_borders_differ_only_near_the_borders():
    image = torch.rand(3, 40, 40)
    mirrored, replicated = (imresize(image, scale=0.25, border=border) for border in ("mirror", "replicate"))
    assert torch.equal(mirrored[:, 2:-2, 2:-2], replicated[:, 2:-2, 2:-2])
    assert not torch.equal(mirrored, replicated)
    flat = imresize(torch.full((3, 9, 9), 0.5, dtype=torch.float64), scale=1.7, border="replicate")
    torch.testing.assert_close(flat, torch.full_like(flat, 0.5))


def test_replicated_pixels_are_the_outermost():
    """An image that is widened by its outermost pixels, beyond the kernel's reach, gives the same."""
    image = torch.rand(1, 16, 24, dtype=torch.float64)
    wide = torch.nn.functional.pad(image[None], (32, 32, 32, 32), mode="replicate")[0]
    expected = imresize(wide, scale=0.25)[:, 8:-8, 8:-8]
    torch.testing.assert_close(imresize(image, scale=0.25, border="replicate"), expected)


def test_an_unknown_border_is_refused():
    with pytest.raises(ValueError, match="border="):
        imresize(torch.rand(3, 8, 8), scale=0.5, border="wrap")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.integers(1, 60))
def test_a_constant_image_stays_constant_at_any_ratio(height, width, out_height, out_width):
    image = torch.full((2, 3, height, width), 0.3, dtype=torch.float64)
    resized = imresize(image, (out_height, out_width))
    assert resized.shape == (2, 3, out_height, out_width)
    torch.testing.assert_close(resized, torch.full_like(resized, 0.3))


def test_a_ramp_is_sampled_at_half_pixel_centres():
    ramp = (torch.arange(40, dtype=torch.float64) + 0.5).expand(5, 40)
    for width in (16, 23, 100):
        resized = imresize(ramp, (5, width))[0]
        centres = (torch.arange(width, dtype=torch.float64) + 0.5) * 40 / width
        inner = (centres > 8) & (centres < 32)  # away from the mirrored borders a ramp stays a ramp
        # Keys' kernel reproduces a ramp exactly; stretched for antialiasing its samples do so nearly.
        torch.testing.assert_close(resized[inner], centres[inner], atol=0.05, rtol=0)


def test_rows_and_columns_are_treated_alike():
    image = torch.rand(3, 17, 31, dtype=torch.float64)
    torch.testing.assert_close(imresize(image, (7, 50)), imresize(image.mT, (50, 7)).mT, atol=1e-12, rtol=0)


def test_without_antialias_each_pixel_comes_from_four():
    impulses = torch.eye(64)  # column j of the result: what weight output j gives each input
    sharp = imresize(impulses, (64, 16), antialias=False)
    smooth = imresize(impulses, (64, 16))
    assert ((sharp != 0).sum(0) <= 4).all()
    assert ((smooth != 0).sum(0)[2:-2] == 16).all()


def test_sizes_are_matlabs_ceil_without_floating_point_noise():
    assert output_size(85, 1 / 3) == 29
    assert output_size(100, 1.1) == 110
    assert imresize(torch.rand(3, 10, 11), scale=3.7).shape == (3, 37, 41)
    assert imresize(torch.rand(3, 10, 11), scale=(0.5, 2)).shape == (3, 5, 22)


@pytest.mark.parametrize(
    "arguments", [{}, {"size": (4, 4), "scale": 2.0}, {"scale": 0.0}, {"scale": -1.0}, {"size": (0, 4)}]
)
def test_a_size_that_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError):
        imresize(torch.rand(3, 8, 8), **arguments)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.uint16, torch.bool])
def test_integers_other_than_uint8_are_refused_since_they_would_be_clamped_to_255(dtype):
    with pytest.raises(ValueError, match="floats and uint8, got torch"):
        imresize(torch.zeros(3, 8, 8).to(dtype), scale=2)
