"""Noise has the strength, the distribution and the colour that are set."""

import numpy as np
import pytest
import torch

from sr_model.degradation import Noise


def test_noise_has_the_deviation_asked_for():
    grey = torch.full((3, 64, 64), 0.5)
    noisy = Noise(sigma=(20, 20))(grey, np.random.default_rng(0))
    assert (noisy - grey).std().item() * 255 == pytest.approx(20, rel=0.02)
    assert abs((noisy - grey).mean().item()) < 0.002
    assert torch.equal(Noise(sigma=(0, 0))(grey, np.random.default_rng(0)), grey)


@pytest.mark.parametrize("sigma", [2.0, 20.0])
def test_shot_noise_has_a_variance_proportional_to_brightness(sigma):
    for level in (0.1, 0.4, 0.9):
        image = torch.full((3, 64, 64), level)
        noise = Noise(sigma=(sigma, sigma), shot=1)(image, np.random.default_rng(0)) - image
        assert noise.std().item() * 255 == pytest.approx(sigma * level**0.5, rel=0.03)
        assert noise.mean().item() * 255 == pytest.approx(0, abs=sigma / 25)
    black = torch.zeros(3, 8, 8)
    assert torch.equal(Noise(sigma=(9, 9), shot=1)(black, np.random.default_rng(0)), black)


def test_shot_noise_counts_photons():
    """White is 1 / sigma^2 photons, so every value is a whole number of them."""
    image = torch.rand(3, 16, 16)
    noisy = Noise(sigma=(51, 51), shot=1)(image, np.random.default_rng(0))  # sigma 0.2: 25 photons
    torch.testing.assert_close(noisy * 25, (noisy * 25).round(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shot", [0, 1])
def test_grey_noise_is_the_same_in_all_channels(shot):
    image = torch.rand(3, 16, 16)
    for grey in (0, 1):
        noise = Noise(sigma=(9, 9), shot=shot, grey=grey)(image, np.random.default_rng(0)) - image
        spread = (noise - noise.mean(0)).abs().max().item()
        assert (spread < 1e-6) == bool(grey)


def test_noise_is_as_frequent_as_asked_for():
    image = torch.full((3, 4, 4), 0.5)
    often = Noise(sigma=(9, 9), probability=0.3)
    noisy = sum(not torch.equal(often(image, np.random.default_rng(seed)), image) for seed in range(400))
    assert 90 < noisy < 150


@pytest.mark.parametrize("name", ["probability", "shot", "grey"])
def test_wrong_settings_are_named(name):
    with pytest.raises(ValueError, match=rf"{name} of noise"):
        Noise(**{name: 1.5})
    with pytest.raises(ValueError, match=r"sigma of noise"):
        Noise(sigma=(3, 2))
