"""The pipeline gives MATLAB's and Pillow's pixels, and its effects in the order that is set."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from splat2d.matlab_imresize import imresize
from sr_model.degradation import Blur, Degradation, EffectError, Jpeg, Noise, Rain, Resize, Stage

SET5 = Path(__file__).parents[4] / "shared" / "images" / "set5"


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


def test_reduction_may_be_that_of_old_matlab(hr):
    old = Degradation(bicubic="matlab-replicate", eight_bit=True)(hr, (10, 10), randoms(0, 1))
    assert torch.equal((old * 255).byte(), imresize(hr, (10, 10), border="replicate"))
    floats = Degradation(bicubic="matlab-replicate", resize=Resize(kernels=("bicubic",)))
    expected = imresize(hr.float() / 255, (10, 10), border="replicate").clamp(0, 1)
    torch.testing.assert_close(floats(hr, (10, 10), randoms(0, 1)), expected)


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


def test_an_effect_that_fails_or_returns_no_image_is_named(hr, tmp_path, monkeypatch):
    (tmp_path / "wrong_effects.py").write_text(
        "def fails(image, random):\n    return image.nothing\n\n"
        "def crops(image, random):\n    return image[:, 1:]\n\n"
        "def nothing(image, random):\n    pass\n\n"
        "def divides(image, random):\n    return image / 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name, said in (
        ("fails", "AttributeError"),
        ("crops", r"\[3, 10, 10\], got \[3, 9, 10\]"),
        ("nothing", "got NoneType"),
        ("divides", "not finite"),
    ):
        with pytest.raises(EffectError, match=rf"the effect wrong_effects:{name} .*{said}"):
            Degradation(custom=f"wrong_effects:{name}")(hr, (10, 10), randoms(0, 1))


def test_wrong_settings_are_named():
    for make in (lambda: Degradation(bicubic="nearest"), lambda: Degradation(custom="no_colon")):
        with pytest.raises(ValueError, match=r"bicubic|custom"):
            make()
    with pytest.raises(ValueError, match=r"order must be one of fixed, random"):
        Degradation(order="shuffled")


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        (Degradation(noise=Noise(sigma=(5, 20)), eight_bit=True), "5abc93cd8ea50325"),
        (Degradation(rain=Rain(), noise=Noise(), eight_bit=True, bicubic="pil"), "db16266b250ee197"),
    ],
)
def test_rain_and_noise_are_those_of_the_first_release(hr, settings, digest):
    """Digests of 8-bit levels, computed with the code before there were blur, JPEG and other kernels."""
    lr = settings(hr, (10, 10), randoms(0, 1))
    assert hashlib.sha256((lr * 255).round().byte().numpy().tobytes()).hexdigest()[:16] == digest


FULL = Degradation(
    blur=Blur(sigma=(0.3, 0.9)),
    resize=Resize(kernels=("area", "nearest", "lanczos"), factor=(0.5, 3)),
    rain=Rain(),
    noise=Noise(shot=0.5, grey=0.5),
    jpeg=Jpeg(),
    second=Stage(
        blur=Blur(), resize=Resize(factor=(0.5, 1.5)), noise=Noise(), jpeg=Jpeg(subsampling=("4:4:4",))
    ),
)


@pytest.mark.parametrize("order", ["fixed", "random"])
@pytest.mark.parametrize("second", [True, False])
def test_the_whole_pipeline_depends_on_an_images_own_generator(hr, order, second):
    full = replace(FULL, order=order, second=FULL.second if second else None)
    both, alone = full(hr, (10, 7), randoms(0, 1)), full(hr[1:], (10, 7), randoms(1))
    assert both.shape == (2, 3, 10, 7)
    assert torch.equal(both[1], alone[0])
    assert not torch.equal(both, full(hr, (10, 7), randoms(2, 3)))
    assert 0 <= both.min() < both.max() <= 1
    rounded = replace(full, eight_bit=True)(hr, (10, 7), randoms(0, 1))
    assert torch.equal(rounded, (both * 255).round() / 255)


def test_the_result_does_not_depend_on_the_number_of_threads(hr):
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(FULL(hr, (10, 10), randoms(4, 5)))
    torch.set_num_threads(1)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_what_never_happens_leaves_the_bicubic_reduction(hr):
    never = Degradation(
        blur=Blur(probability=0),
        resize=Resize(kernels=("bicubic",)),
        noise=Noise(probability=0),
        jpeg=Jpeg(probability=0),
        second=Stage(blur=Blur(sigma=(0, 0)), noise=Noise(sigma=(0, 0))),
    )
    assert never.affects
    assert not never.reduces_first
    for order in ("fixed", "random"):
        torch.testing.assert_close(
            replace(never, order=order)(hr, (10, 10), randoms(0, 1)),
            Degradation()(hr, (10, 10), randoms(0, 1)),
        )


def traced(monkeypatch, degradation: Degradation, hr: torch.Tensor, seeds: range) -> set[tuple[str, ...]]:
    """The orders in which effects saw an image, each with the height of that image."""
    steps: list[str] = []
    for kind in (Blur, Noise, Jpeg, Resize):

        def called(self, image, *rest, original=kind.__call__):
            steps.append(f"{type(self).__name__.lower()}@{image.shape[1]}")
            return original(self, image, *rest)

        monkeypatch.setattr(kind, "__call__", called)
    orders = set()
    for seed in seeds:
        steps.clear()
        degradation(hr[:1], (6, 6), randoms(seed))
        orders.add(tuple(steps))
    return orders


def test_blur_sees_the_hr_image_and_jpeg_comes_last_in_fixed_order(hr, monkeypatch):
    one = Degradation(blur=Blur(), resize=Resize(factor=(2, 2)), noise=Noise(), jpeg=Jpeg())
    assert traced(monkeypatch, one, hr, range(3)) == {
        ("blur@24", "resize@24", "noise@12", "resize@12", "jpeg@6")
    }
    two = replace(one, second=Stage(blur=Blur(), noise=Noise(), jpeg=Jpeg()))
    assert traced(monkeypatch, two, hr, range(3)) == {
        ("blur@24", "resize@24", "noise@12", "jpeg@12", "blur@12", "noise@12", "resize@12", "jpeg@6")
    }


def test_random_order_shuffles_the_steps_and_ends_with_jpeg(hr, monkeypatch):
    shuffled = Degradation(blur=Blur(), noise=Noise(), jpeg=Jpeg(), order="random")
    orders = traced(monkeypatch, shuffled, hr, range(200))
    assert len(orders) == 24
    for order in orders:
        assert order[-1] == "jpeg@6"
        assert sorted(step.split("@")[0] for step in order[:-1]) == ["blur", "jpeg", "noise", "resize"]
        reduced = [step.split("@")[0] for step in order].index("resize")
        assert all(step.endswith("@24") == (index <= reduced) for index, step in enumerate(order))


def test_blur_has_its_strength_in_lr_pixels_wherever_it_acts():
    """A blurred step edge has the same width in the LR image whatever the scale."""
    widths = []
    for scale in (4, 8):
        edge = torch.zeros(1, 3, 32 * scale, 32 * scale, dtype=torch.uint8)
        edge[..., 16 * scale :] = 255
        blurred = Degradation(blur=Blur(sigma=(2, 2), isotropic=1), resize=Resize(kernels=("area",)))
        slope = blurred(edge, (32, 32), randoms(0))[0, 0, 16].diff().numpy()
        place = np.arange(31)
        middle = (slope * place).sum() / slope.sum()
        widths.append(math.sqrt((slope * (place - middle) ** 2).sum() / slope.sum()))
    # the variances of a pixel's area and of the difference of two pixels' means add to that of the blur
    assert widths == pytest.approx([math.sqrt(4 + 1 / 6)] * 2, rel=0.02)
