"""Resizing is that of the program it is named after."""

import numpy as np
import pytest
import torch
from PIL import Image

from splat2d.matlab_imresize import imresize
from sr_model.degradation import Resize, bicubic
from sr_model.degradation.resize import resize

CUBIC = [0.00457, 0.107969, 0.324531, 0.694336]
LINEAR = [0.0075, 0.1075, 0.3325, 0.6825]
AREA = [0.012, 0.108, 0.342, 0.678]


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, 24, 35, generator=torch.Generator().manual_seed(0))


def test_the_area_kernel_takes_means_over_areas(image):
    """Exactly: of the image with every pixel repeated, so that areas are whole pixels."""
    for height, width in ((10, 7), (24, 14), (1, 1), (36, 49)):
        repeated = image.double().repeat_interleave(height, 1).repeat_interleave(width, 2)
        means = repeated.reshape(3, height, 24, width, 35).mean((2, 4)).float()
        torch.testing.assert_close(resize(image, (height, width), "area"), means, atol=1e-6, rtol=0)


def test_opencvs_kernels_without_antialiasing():
    """Constants are what OpenCV 5.0.0 resizes the same squares to."""
    squares = (torch.arange(10.0) ** 2 / 100).expand(3, 10, 10).contiguous()
    for kernel, expected in (("bicubic", CUBIC), ("bilinear", LINEAR), ("area", AREA)):
        ours = resize(squares, (10, 4), kernel, antialias=False)[0, 0]
        torch.testing.assert_close(ours, torch.tensor(expected), atol=1e-5, rtol=0)


def test_antialiased_kernels_are_pillows(image):
    for kernel, resample in (("bilinear", Image.Resampling.BILINEAR), ("lanczos", Image.Resampling.LANCZOS)):
        for height, width in ((10, 7), (24, 14), (36, 49)):
            channels = (Image.fromarray(channel.numpy()) for channel in image)
            expected = np.stack(
                [np.asarray(channel.resize((width, height), resample)) for channel in channels]
            )
            ours = resize(image, (height, width), kernel)
            np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_bicubic_is_that_of_the_setting(image):
    assert torch.equal(resize(image, (10, 7), "bicubic"), imresize(image, (10, 7)))
    levels = (image * 255).round().byte()
    ours = resize(levels.float() / 255, (10, 7), "bicubic", implementation="pil")
    assert torch.equal((ours * 255).round().byte(), bicubic(levels, (10, 7), "pil"))


def test_the_nearest_kernel_takes_the_pixel_at_the_centre(image):
    ours = resize(image, (8, 7), "nearest")
    assert torch.equal(ours, image[:, 1::3, 2::5])


def test_kernels_are_drawn_from_the_list(image):
    drawn = Resize(kernels=("nearest", "area", "bilinear"), antialias=0.5)
    candidates = {
        (kernel, antialias): resize(image, (9, 9), kernel, antialias)
        for kernel, antialias in (("nearest", True), ("area", True), ("bilinear", True), ("bilinear", False))
    }
    seen = set()
    for seed in range(60):
        ours = drawn(image, (9, 9), np.random.default_rng(seed), "matlab")
        seen |= {name for name, other in candidates.items() if torch.equal(ours, other)}
    assert seen == set(candidates)


def test_sizes_are_drawn_from_the_range_of_factors():
    sizes = {Resize(factor=(0.5, 2)).size((20, 30), np.random.default_rng(seed)) for seed in range(200)}
    assert min(height for height, _ in sizes) == 10
    assert max(height for height, _ in sizes) in (39, 40)
    assert all(abs(width - 1.5 * height) <= 1 for height, width in sizes)
    assert Resize().size((20, 30), np.random.default_rng(0)) == (20, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernels", ()),
        ("kernels", ("cubic",)),
        ("factor", (2, 1)),
        ("factor", (0, 1)),
        ("factor", (1, 500)),
        ("antialias", 2),
    ],
)
def test_wrong_settings_are_named(name, value):
    with pytest.raises(ValueError, match=rf"{name} of resize"):
        Resize(**{name: value})
