"""Degradations give MATLAB's and Pillow's pixels, and rain and noise of the strength that is set."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from splat2d.matlab_imresize import imresize
from sr_model.degradation import Degradation, Noise, Rain, streak_of

SET5 = Path(__file__).parents[3] / "shared" / "images" / "set5"


def randoms(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


@pytest.fixture
def hr() -> torch.Tensor:
    """Two smooth pictures."""
    small = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return (imresize(small, (24, 24)).clamp(0, 1) * 255).byte()


def test_reduction_is_matlabs_on_floats_or_on_eight_bits(hr):
    plain = Degradation()(hr, (10, 10), randoms(0, 1))
    torch.testing.assert_close(plain, imresize(hr.float() / 255, (10, 10)).clamp(0, 1))
    rounded = Degradation(eight_bit=True)(hr, (10, 10), randoms(0, 1))
    assert torch.equal((rounded * 255).byte(), imresize(hr, (10, 10)))


def test_reduction_may_be_pillows(hr):
    lr = Degradation(bicubic="pil")(hr, (10, 10), randoms(0, 1))
    for image, small in zip(hr, lr, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((10, 10), Image.Resampling.BICUBIC)
        assert np.array_equal((small * 255).round().byte().permute(1, 2, 0).numpy(), np.array(picture))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reduction_is_the_benchmarks_own_lr_images_to_the_bit(scale):
    lr_folder = SET5 / f"X{scale}"
    if not lr_folder.is_dir():
        pytest.skip("no Set5 next to the repository")
    for path in sorted(lr_folder.glob("*.png")):
        name = path.stem.removesuffix(f"x{scale}")
        lr, hr = (
            np.array(Image.open(p).convert("RGB")) for p in (path, next((SET5 / "HR").glob(f"{name}.png")))
        )
        hr = torch.from_numpy(hr[: lr.shape[0] * scale, : lr.shape[1] * scale]).permute(2, 0, 1)[None]
        made = Degradation(eight_bit=True)(hr, lr.shape[:2], randoms(0))
        assert np.array_equal((made[0] * 255).byte().permute(1, 2, 0).numpy(), lr), path.name


def test_noise_has_the_deviation_asked_for():
    grey = torch.full((3, 64, 64), 0.5)
    noisy = Noise(sigma=(20, 20))(grey, np.random.default_rng(0))
    assert (noisy - grey).std().item() * 255 == pytest.approx(20, rel=0.02)
    assert abs((noisy - grey).mean().item()) < 0.002
    assert torch.equal(Noise(sigma=(0, 0))(grey, np.random.default_rng(0)), grey)


def test_streaks_have_the_length_width_and_direction_asked_for():
    for angle in (0.0, 0.5, -0.9):
        streak = streak_of(12, 0.6, angle)
        reach = streak.shape[0] // 2
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        weights = streak.numpy() / streak.sum().item()
        spread = np.array([[(weights * a * b).sum() for b in (x, y)] for a in (x, y)])
        values, vectors = np.linalg.eigh(spread)
        assert values[0] == pytest.approx(0.6**2, rel=0.1)
        assert values[1] == pytest.approx(12**2 / 12, rel=0.1)
        assert math.atan(-vectors[0, 1] / vectors[1, 1]) == pytest.approx(angle, abs=0.02)
        assert streak[reach, reach] == 1


def test_rain_brightens_as_much_of_an_image_as_asked_for():
    black = torch.zeros(3, 128, 128)
    rain = Rain(amount=(0.001, 0.001), length=(10, 10), width=(0.5, 0.5), brightness=(0.5, 0.5))
    wet = rain(black, np.random.default_rng(0))
    assert torch.equal(wet[0], wet[1])
    assert wet.max().item() == pytest.approx(0.5)
    expected = 0.001 * 0.5 * streak_of(10, 0.5, 0).sum().item()  # overlapping streaks add less than their sum
    assert 0.7 * expected < wet.mean().item() < 1.3 * expected


def test_effects_on_an_image_depend_on_its_own_generator(hr):
    rainy = Degradation(rain=Rain(), noise=Noise(), eight_bit=True)
    both, second = rainy(hr, (10, 10), randoms(0, 1)), rainy(hr[1:], (10, 10), randoms(1))
    assert torch.equal(both[1], second[0])
    assert not torch.equal(both, rainy(hr, (10, 10), randoms(2, 3)))
    assert both.min() >= 0
    assert both.max() <= 1
    assert torch.equal((both * 255).round() / 255, both)


def test_effects_of_ones_own_are_taken_by_name(hr, tmp_path, monkeypatch):
    (tmp_path / "my_effects.py").write_text(
        "def darker(image, random):\n    return image / 2\n\nnumber = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    darker = Degradation(custom="my_effects:darker")(hr, (10, 10), randoms(0, 1))
    torch.testing.assert_close(darker, Degradation()(hr, (10, 10), randoms(0, 1)) / 2)
    for wrong in ("my_effects:lighter", "nowhere_at_all:f", "my_effects:number"):
        with pytest.raises(ValueError, match=rf"the effect {wrong}"):
            Degradation(custom=wrong).check()


def test_wrong_strengths_are_named():
    for make in (
        lambda: Rain(amount=(0.2, 0.1)),
        lambda: Rain(length=(-1, 2)),
        lambda: Rain(width=(0, 1)),
        lambda: Noise(sigma=(3, 2)),
        lambda: Degradation(bicubic="nearest"),
        lambda: Degradation(custom="no_colon"),
    ):
        with pytest.raises(ValueError, match=r"of rain|of noise|bicubic|custom"):
            make()
    assert Rain(angle=(-60, -30))
