"""A result, made smaller again by the kernel of its input, gives the input back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_weights import FLAT, random_continuoussr

from dgp_mining.images.reader import ImageError, read_rgb
from splat2d import GaussianField, row_bands
from splat2d.rendering import render_rows
from sr_model import UpscaleRequest, upscale, upscale_file
from sr_model.degradation.resize import resize
from sr_model.evaluation.metrics import psnr
from sr_model.image_io.reader import read_source_image
from sr_model.networks.gsasr.network import GSASR
from sr_model.upscaling import consistency
from sr_model.upscaling.tiling import encode, to_lr

CHELSEA = Path(__file__).parents[3] / "data/samples/heldout/chelsea.png"


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth shapes with some edges, [H, W, 3] uint8."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (height // 4, width // 4, 3), np.uint8))
    picture = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    picture[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 90)
    return picture


def consistency_of(result: np.ndarray, image: np.ndarray, kernel: str = "bicubic") -> float:
    """PSNR of a float result, clamped and reduced, against the image that it was made of, dB."""
    planes = torch.from_numpy(result.astype(np.float32)).permute(2, 0, 1).clamp(0, 1)
    reduced = resize(planes, image.shape[:2], kernel).clamp(0, 1)
    return psnr(reduced.double(), torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1))


@pytest.mark.parametrize("settings", [{}, FLAT])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_scale_1_gives_the_image_back(dictionary, settings, channels, dtype):
    model = random_continuoussr(dictionary, 0.05, **settings)
    image = np.concatenate([photograph(24, 20), photograph(24, 20, seed=1)], 2)[..., :channels]
    image = image.astype(dtype) * (257 if dtype == np.uint16 else 1)
    if channels % 2 == 0:
        image[..., -1] |= 1  # hidden colours are not kept
    apart = upscale(image, 1, model=model).astype(int) - image
    level = 1 if dtype == np.uint8 else 257
    assert abs(apart).max() <= (level // 8 if settings else 2 * level)  # sums of odd kernels converge slowly
    assert abs(upscale(image, 1, model=model, reduction="none").astype(int) - image).max() > 3 * level


@pytest.mark.parametrize("settings", [{}, FLAT])
@pytest.mark.parametrize("scale", [1.5, 2.0, 3.0, 3.7, 4.0, (2.0, 5.0)])
def test_the_result_is_consistent_with_the_image(dictionary, settings, scale):
    image = photograph(40, 36) / np.float64(255)
    model = random_continuoussr(dictionary, 0.05, **settings)
    before, after = (
        consistency_of(upscale(image, scale, model=model, reduction=reduction), image)
        for reduction in ("none", "bicubic")
    )
    assert after > before + 5
    assert after > 40


@pytest.mark.parametrize(("scale", "at_least"), [(1.1, 55), (1.2, 60), (1.5, 64)])
def test_scales_that_are_no_whole_numbers_are_corrected_as_well(scale, at_least):
    """Of an LR image that was reduced by that scale; reduced by 2, it is 69 dB."""
    hr = torch.from_numpy(read_rgb(CHELSEA)[100:196, 150:246]).permute(2, 0, 1)
    planes = resize(hr, (round(96 / scale), round(96 / scale)), "bicubic").clamp(0, 1)
    image = (255 * planes).round().permute(1, 2, 0).double().numpy() / 255
    assert consistency_of(upscale(image, size=(96, 96)), image) > at_least


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear", "area", "lanczos"])
def test_the_kernel_is_the_one_that_is_named(dictionary, kernel):
    image = photograph(40, 36) / np.float64(255)
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    found = {
        named: consistency_of(upscale(image, 3, model=model, reduction=named), image, kernel)
        for named in ("none", "bicubic", "bilinear", "area", "lanczos")
    }
    assert max(found, key=found.get) == kernel
    assert found[kernel] > found["none"] + 5


def test_an_ensemble_is_consistent_too(dictionary):
    image = photograph(24, 28) / np.float64(255)
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    found = [
        consistency_of(upscale(image, (2.0, 3.0), model=model, ensemble=True, reduction=reduction), image)
        for reduction in ("none", "bicubic")
    ]
    assert found[1] > found[0] + 5


@pytest.mark.parametrize("starting", [True, False])
def test_networks_of_the_other_architecture_are_corrected(tiny_gsasr, starting):
    torch.manual_seed(0)
    settings = tiny_gsasr.network if starting else replace(tiny_gsasr.network, interpolate=False, start=None)
    model = GSASR(settings).eval()
    image = photograph(24, 28) / np.float64(255)
    found = {
        reduction: consistency_of(upscale(image, 2.0, model=model, reduction=reduction), image)
        for reduction in ("none", "bicubic", None)
    }
    assert found["bicubic"] > found["none"] + 3
    assert found[None] == found["bicubic" if starting else "none"]


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 3.7])
def test_tiles_are_corrected_as_the_whole_image(dictionary, scale):
    image = photograph(60, 68)
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    whole, tiled = (upscale(image / 255.0, scale, model=model, tile=tile) for tile in (None, 16))
    assert abs(tiled - whole).max() < 1e-3  # a quarter of a level, where a Gaussian is cut off


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 3.7])
def test_a_window_is_corrected_as_the_whole_image(dictionary, tmp_path, scale):
    image = photograph(200, 180)
    Image.fromarray(image).save(tmp_path / "a.png")
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    request = UpscaleRequest(scale, window=(80, 90, 20, 10))
    upscale_file(tmp_path / "a.png", tmp_path / "part.png", request, model)
    whole = upscale(image, scale, model=model).astype(int)
    part = read_source_image(tmp_path / "part.png").pixels
    top, left = round(90 * scale), round(80 * scale)
    assert abs(whole[top : top + part.shape[0], left : left + part.shape[1]] - part).max() <= 1


@pytest.mark.parametrize("scale", [1.35, 2.6])
@pytest.mark.parametrize("ensemble", [False, True])
def test_strips_are_corrected_as_the_whole_image(dictionary, monkeypatch, scale, ensemble):
    image = photograph(180, 20)
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    whole = upscale(image / 255.0, scale, model=model, ensemble=ensemble)
    monkeypatch.setattr("sr_model.upscaling.upscale.strip_rows", lambda *_: 101)
    strips = upscale(image / 255.0, scale, model=model, ensemble=ensemble)
    assert 0 < abs(strips - whole).max() < 1e-3


def test_rows_rendered_one_after_another_change_nothing(dictionary, monkeypatch):
    image = photograph(40, 36)
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    once = upscale(image, 3, model=model)
    monkeypatch.setattr(consistency, "BLOCK_BYTES", 1)
    monkeypatch.setattr(consistency, "STRIP_PIXELS", 300)
    monkeypatch.setattr(consistency, "COLUMNS", 5)
    assert abs(upscale(image, 3, model=model).astype(int) - once).max() <= 1


def test_the_gaussians_that_are_placed_at_once_are_few(dictionary, monkeypatch):
    image = photograph(80, 36)
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    once, placed = upscale(image, 2, model=model), []

    def counted(means, *arguments, **options):
        placed.append(means.shape[1])
        return render_rows(means, *arguments, **options)

    monkeypatch.setattr(row_bands, "RUN", 200)
    monkeypatch.setattr(row_bands, "MOST_AT_ONCE", 5000)
    monkeypatch.setattr(consistency, "render_rows", counted)
    monkeypatch.setattr("splat2d.field.render_rows", counted)
    assert np.array_equal(upscale(image, 2, model=model), once)
    assert 0 < max(placed) <= 5000
    assert sum(placed) > 2 * model.settings.cells**2 * 80 * 36  # all of them, to correct and to render


def test_a_field_keeps_its_colours_when_another_is_made_of_it(dictionary):
    image = photograph(20, 24)
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    field, lr = encode(model, image), to_lr(image, torch.device("cpu"))
    before = field.colors.clone()
    made = consistency.made_consistent(model, field, lr, (2.0, 2.0))
    assert torch.equal(field.colors, before)
    again = consistency.made_consistent(model, field, lr, (2.0, 2.0), in_place=True)
    assert torch.equal(again.colors, made.colors)
    assert again.colors.data_ptr() == field.colors.data_ptr()


def test_the_crops_that_a_gpu_renders_are_the_rows_of_the_cpu(dictionary):
    field = encode(random_continuoussr(dictionary, 0.05, **FLAT), photograph(20, 24)).with_weights().scale(3)
    rows = slice(13, 40)
    part = field.crop(0, rows.start, 72, 27).render((27, 72), footprint=False)
    torch.testing.assert_close(
        part, consistency._rows(field, (60, 72), (rows.start, rows.stop)), atol=1e-5, rtol=0
    )


def test_a_saved_field_renders_as_the_result_did(dictionary, tmp_path):
    Image.fromarray(photograph(24, 20)).save(tmp_path / "a.png")
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    field = tmp_path / "a.safetensors"
    upscale_file(tmp_path / "a.png", tmp_path / "b.png", UpscaleRequest(4, save_field=field), model)
    upscale_file(field, tmp_path / "c.png", UpscaleRequest(4), None)
    pixels = [read_source_image(tmp_path / f"{name}.png").pixels for name in "bc"]
    assert np.array_equal(*pixels)
    alone = tmp_path / "alone.safetensors"
    upscale_file(tmp_path / "a.png", None, UpscaleRequest(save_field=alone), model)
    torch.testing.assert_close(GaussianField.load(alone).colors, GaussianField.load(field).colors)


def test_the_field_below_scale_1_and_without_a_reduction_is_the_networks(dictionary):
    image = photograph(24, 20)
    model = random_continuoussr(dictionary, 0.05)
    field, lr = encode(model, image), to_lr(image, torch.device("cpu"))
    assert consistency.made_consistent(model, field, lr, (0.5, 2.0)) is field
    assert consistency.made_consistent(model, field, lr, (2.0, 2.0), "none") is field
    assert consistency.made_consistent(model, field, lr, (1.0, 2.0)) is not field


def test_flat_stays_flat_and_grey_grey(dictionary):
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    for value in (0, 77, 255):
        assert (upscale(np.full((16, 12, 3), value, np.uint8), 2.5, model=model) == value).all()
    grey = upscale(np.repeat(photograph(24, 20)[..., :1], 3, 2), 2.5, model=model)
    assert (grey == grey[..., :1]).all()


def test_the_mean_is_kept(dictionary):
    model = random_continuoussr(dictionary, 0.05, **FLAT)
    checkerboard = (np.indices((24, 24)).sum(0)[..., None].repeat(3, 2) % 2 * 255).astype(np.uint8)
    for image in (checkerboard, photograph(24, 20)):
        for scale in (2, 3, 4):
            assert abs(upscale(image, scale, model=model).mean() - image.mean()) < 1


@pytest.mark.parametrize("reduction", ["cubic", "nearest", ""])
def test_an_unknown_kernel_is_refused(network, reduction):
    with pytest.raises(ValueError, match="reduction= must be one of bicubic, bilinear, area, lanczos, none"):
        upscale(photograph(24, 20), 2, model=network, reduction=reduction)
    with pytest.raises(ValueError, match="reduction= must be one of"):
        UpscaleRequest(2.0, reduction=reduction)


def test_gaussians_that_lie_anywhere_cannot_be_corrected(dictionary):
    model = random_continuoussr(dictionary, 0.05, positions="offsets", interpolate=False, margin=0)
    upscale(photograph(24, 20), 2, model=model)
    with pytest.raises(ValueError, match="only reduction='none' is possible"):
        upscale(photograph(24, 20), 2, model=model, reduction="bicubic")


def test_a_saved_field_takes_no_reduction(network, tmp_path):
    Image.fromarray(photograph(24, 20)).save(tmp_path / "a.png")
    field = tmp_path / "a.safetensors"
    upscale_file(tmp_path / "a.png", None, UpscaleRequest(save_field=field), network)
    with pytest.raises(ImageError, match="it is a saved field: give reduction="):
        upscale_file(field, tmp_path / "b.png", UpscaleRequest(2, reduction="area"), None)
