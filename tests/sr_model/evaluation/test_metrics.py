"""PSNR and SSIM agree with the literature's implementations."""

import math

import numpy as np
import pytest
import torch

from sr_model.evaluation.metrics import luma, psnr, ssim


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


def basicsr_y(image: np.ndarray) -> np.ndarray:
    """Luma of 8-bit RGB as BasicSR has it: floats from 16 to 235."""
    return (image.astype(np.float64) @ [65.481, 128.553, 24.966]) / 255 + 16


def basicsr_psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255.0**2 / np.mean((a - b) ** 2))


def basicsr_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of one channel, 0 to 255: the window is applied in the frequency domain, valid positions only."""
    axis = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2

    def blurred(image: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft2(image) * np.fft.rfft2(window, image.shape)
        return np.fft.irfft2(spectrum, image.shape)[10:, 10:]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = blurred(a), blurred(b)
    va, vb, cov = blurred(a * a) - ma**2, blurred(b * b) - mb**2, blurred(a * b) - ma * mb
    return float((((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())


@pytest.mark.parametrize("noise", [2, 10, 40])
@pytest.mark.parametrize("shave", [0, 4])
def test_figures_of_eight_bit_images_are_basicsrs(noise, shave):
    random = np.random.default_rng(noise)
    ramp = np.add.outer(np.arange(40.0), 2 * np.arange(50.0))[..., None] + [10, 40, 70]
    a = ramp.clip(0, 255).astype(np.uint8)
    b = (ramp + random.normal(0, noise, ramp.shape)).clip(0, 255).round().astype(np.uint8)
    ours = [torch.from_numpy(image).permute(2, 0, 1).double() / 255 for image in (a, b)]
    inside = slice(shave, -shave or None)
    ya, yb = (basicsr_y(image[inside, inside]) for image in (a, b))
    la, lb = (luma(image)[:, inside, inside] for image in ours)
    assert psnr(la, lb) == pytest.approx(basicsr_psnr(ya, yb), abs=1e-4)
    assert ssim(la, lb) == pytest.approx(basicsr_ssim(ya, yb), abs=1e-4)
    ca, cb = (image[inside, inside].astype(float) for image in (a, b))
    ra, rb = (image[:, inside, inside] for image in ours)
    assert psnr(ra, rb) == pytest.approx(basicsr_psnr(ca, cb), abs=1e-4)
    by_channel = [basicsr_ssim(ca[..., c], cb[..., c]) for c in range(3)]
    assert ssim(ra, rb) == pytest.approx(np.mean(by_channel), abs=1e-4)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_what_would_give_a_wrong_number_is_refused(metric):
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    for wrong, said in (
        ((image * 255).byte(), "must be floats in .* got torch.uint8: divide"),
        (image * 255, r"must be in \[0, 1\], got .*: divide"),
        (image[:1], "must have one shape"),  # torch would repeat it
    ):
        for pair in ((wrong, image), (image, wrong)):
            with pytest.raises(ValueError, match=said):
                metric(*pair)


def test_luma_is_of_rgb_only():
    for image in (torch.ones(1, 4, 4), torch.ones(4, 4, 3), torch.ones(3, 4, 4, dtype=torch.uint8)):
        with pytest.raises(ValueError, match=r"luma is that of RGB|must be floats"):
            luma(image)
