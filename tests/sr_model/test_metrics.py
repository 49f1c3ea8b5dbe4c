"""PSNR and SSIM promise the literature's figures."""

import math

import numpy as np
import pytest
import torch

from sr_model.metrics import luma, psnr, ssim


def test_psnr_of_a_known_error():
    image = torch.full((3, 20, 20), 0.5)
    assert psnr(image + 0.1, image) == pytest.approx(20)
    assert psnr(image, image) == math.inf


def test_luma_is_matlabs_rgb2ycbcr():
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0]]).T[:, None]
    expected = torch.tensor([16.0, 235.0, 81.481, 144.553])
    torch.testing.assert_close(luma(colours)[0, 0] * 255, expected)


def test_ssim_is_the_formula_window_by_window():
    random = np.random.default_rng(0)
    x = random.random((14, 15))
    y = 0.7 * x + 0.3 * random.random((14, 15))
    axis = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    window = np.outer(axis, axis) / axis.sum() ** 2
    values = []
    for row in range(4):
        for column in range(5):
            a, b = (image[row : row + 11, column : column + 11] for image in (x, y))
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            values.append(
                (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
            )
    ours = ssim(torch.from_numpy(x)[None], torch.from_numpy(y)[None])
    assert ours == pytest.approx(np.mean(values), abs=1e-9)


def test_ssim_of_an_image_with_itself_is_one():
    image = torch.rand(3, 16, 16)
    assert ssim(image, image) == pytest.approx(1)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ValueError, match="11"):
        ssim(torch.rand(1, 10, 20), torch.rand(1, 10, 20))
