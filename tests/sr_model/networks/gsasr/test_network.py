"""GSASR promises a field for every scale, from a start as good as bicubic, to every tool there is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import refused, run
from PIL import Image
from safetensors.torch import load_file

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from splat2d import GaussianField
from splat2d.resample import imresize
from sr_model import (
    GSASR,
    PRESETS,
    PROTOCOLS,
    Budget,
    Checkpoint,
    GSASRSettings,
    Preset,
    load,
    train,
    upscale,
)
from sr_model.cli.evaluate import main as sr_eval
from sr_model.cli.train import main as sr_train
from sr_model.cli.upscale import main as sr_upscale
from sr_model.evaluation.cost import average_seconds
from sr_model.evaluation.metrics import psnr
from sr_model.evaluation.protocol import mean_score, score
from sr_model.networks.gsasr.initial_kernel import start_at_mean_kernel
from sr_model.networks.gsasr.settings import WIDEST
from sr_model.scaling import scale_between
from sr_model.training.loss import batch_loss, reconstruction_loss, render_ragged
from sr_model.training.samples import ImageSet
from sr_model.upscaling.tiling import OVERLAP, encode, spans, to_lr

SET5 = Path(__file__).parents[5] / "shared" / "images" / "set5" / "HR"
PARTS = ("means", "cholesky", "colors")


@pytest.fixture
def tiny(tiny: Preset) -> Preset:
    """The demo preset with the smallest network and crops."""
    demo = PRESETS["gsasr-demo"]
    small = replace(demo.network, width=8, depth=1, channels=8, heads=2, window=4, head_hidden=(8,))
    return Preset(small, replace(tiny.train, scales=(1.0, 4.0), scale_of="sample", batch=4))


def random_network(settings: GSASRSettings, noise: float = 0.1, **changes) -> GSASR:
    """One in which every pixel matters: random weights in place of the start's zeros."""
    torch.manual_seed(0)
    network = GSASR(replace(settings, **{"near": False, **changes})).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return network.requires_grad_(False)


def photograph(height: int, width: int) -> np.ndarray:
    """Smooth shapes and noise, [H, W, 3] uint8."""
    random = np.random.default_rng(0)
    smooth = imresize(torch.from_numpy(random.random((3, height // 5, width // 5))), (height, width))
    noisy = smooth.permute(1, 2, 0).numpy() + 0.05 * random.normal(size=(height, width, 3))
    return (noisy.clip(0, 1) * 255).astype(np.uint8)


@pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")
@pytest.mark.parametrize("scale", [2, 4])
def test_step_zero_is_within_fifteen_hundredths_of_a_decibel_of_bicubic_on_set5(scale):
    network = GSASR(PRESETS["gsasr-demo"].network).eval()
    smallest = sorted(SET5.glob("*.png"), key=lambda path: path.stat().st_size)[:3]
    images = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in smallest]
    scores = mean_score(score(network, image, scale, PROTOCOLS["benchmark"]) for image in images)
    assert scores.psnr > scores.bicubic_psnr - 0.15


@pytest.mark.parametrize("cells", [1, 2, 3, 4])
def test_a_constant_image_starts_as_that_constant_up_to_its_borders_at_every_number_of_gaussians(tiny, cells):
    network = GSASR(replace(tiny.network, cells=cells, margin=3))
    image = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 6, 5)
    field = network(image, 3.3)
    assert field.means.shape[1] == cells**2 * 12 * 12  # a margin of three pixels, then whole windows of four
    rendered = field.render((20, 17))
    torch.testing.assert_close(rendered, image[..., :1, :1].expand_as(rendered), atol=0.01, rtol=0)


def test_gaussians_stand_at_the_centres_of_their_cells(tiny):
    network = GSASR(tiny.network)
    before, after = network.margins(5)
    assert (before, after) == (1, 2)
    means = network(torch.rand(1, 3, 5, 7), 2).means[0]
    torch.testing.assert_close(means[:2], torch.tensor([[-0.75, -0.75], [-0.25, -0.75]]))
    torch.testing.assert_close(means[-1], torch.tensor([10.75, 6.75]))


def test_kernels_stay_within_the_published_range(tiny):
    network = random_network(tiny.network, noise=2.0)
    l11, l21, l22 = network(torch.rand(1, 3, 8, 8), 2).cholesky.unbind(-1)
    for sigma in (l11, torch.hypot(l21, l22)):
        assert sigma.min() > 0
        assert sigma.max() <= WIDEST


def test_colours_are_those_published_unless_they_add_to_bicubics(tiny):
    network = random_network(tiny.network, noise=2.0, interpolate=False, margin=0)
    colours = network(torch.rand(1, 3, 8, 8), 2).colors
    assert 0 <= colours.min() < colours.max() <= 1


def test_without_reference_positions_gaussians_may_be_anywhere_on_the_canvas(tiny):
    free = random_network(tiny.network, noise=1.0, positions="free", interpolate=False, start=None)
    means = free(torch.rand(1, 3, 8, 12), 2).means[0]
    assert (means >= 0).all()
    assert (means <= torch.tensor([12, 8])).all()
    cells = torch.arange(len(means))
    assert torch.corrcoef(torch.stack([means[:, 1], cells.float()]))[0, 1].abs() < 0.5


def test_every_parameter_is_learnt(tiny):
    network = random_network(tiny.network).requires_grad_(True)
    network(torch.rand(2, 3, 6, 6), torch.tensor([1.5, 3.0])).render((12, 12)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_the_scale_matters_and_each_image_of_a_batch_has_its_own(tiny):
    network = random_network(tiny.network)
    images = torch.rand(3, 3, 6, 6)
    scales = torch.tensor([1.0, 2.5, 12.0])
    together = network(images, scales)
    for index in range(3):
        alone = network(images[index : index + 1], float(scales[index]))
        for part in PARTS:
            torch.testing.assert_close(getattr(together, part)[index], getattr(alone, part)[0])
    assert (network(images, 1).colors - network(images, 2).colors).abs().max() > 1e-3
    assert torch.equal(network(images, 0.3).colors, network(images, 1).colors)
    with pytest.raises(ValueError, match="for a scale"):
        network(images)


@pytest.mark.parametrize("part", ["injection", "interaction"])
def test_no_window_looks_across_to_the_opposite_border_unless_as_released(tiny, part):
    blocks = {"injection": (1, 2), "interaction": (1, 1), "depth": 1}
    if part == "interaction":
        blocks = {"injection": (1, 1), "interaction": (1, 2), "depth": 1}

    def moved(compat: bool) -> torch.Tensor:  # by row of cells, of a change in the first row of pixels
        plain = {"interpolate": False, "start": None, "margin": 0, "compat": compat}
        network = random_network(tiny.network, **blocks, **plain)
        image = torch.rand(1, 3, 32, 8)
        changed = image.clone()
        changed[:, :, 0] = 1 - changed[:, :, 0]
        difference = (network(image, 2).colors - network(changed, 2).colors)[0].abs().amax(1)
        return difference.view(64, -1).amax(1)

    assert moved(compat=False)[-8:].max() == 0
    assert moved(compat=True)[-8:].max() > 1e-6


def test_sizes_of_a_batch_are_rendered_in_one_call_as_each_would_be_alone():
    generator = torch.Generator().manual_seed(0)
    field = GaussianField(
        8 * torch.rand(3, 40, 2, generator=generator),
        torch.tensor([0.6, 0.2, 0.5]).expand(3, 40, 3),
        torch.rand(3, 40, 3, generator=generator),
        size=(8, 8),
    )
    sizes = [(8, 8), (29, 17), (12, 40)]
    together = render_ragged(field, sizes)
    assert together.shape == (3, 3, 29, 40)
    for index, (height, width) in enumerate(sizes):
        assert torch.equal(together[index, :, :height, :width], field.row(index).render((height, width))[0])


def test_the_loss_of_a_mixed_batch_is_the_mean_of_its_samples(tiny, photographs):
    images = ImageSet(list_images(photographs), smallest=8, cache=photographs.parent / "cache")
    batch = images.batch(tiny.train, seed=0, step=0)
    assert len({hr.shape[-1] for hr in batch.hr}) > 1
    network = random_network(tiny.network)
    losses, start = [], 0
    for hr in batch.hr:
        for sample in hr:
            field = network(batch.lr[start : start + 1], sample.shape[-1] / batch.lr.shape[-1])
            rendered = field.render(tuple(sample.shape[1:]))
            losses.append(reconstruction_loss(rendered, sample[None], tiny.train))
            start += 1
    together = batch_loss(network(batch.lr, batch.scales()), batch, tiny.train)
    torch.testing.assert_close(together, torch.stack(losses).mean())


@pytest.mark.parametrize("scale", [(2.0, 2.0), (3.7, 3.7), (2.0, 4.5), (1.0, 1.0), (48.0, 48.0), (0.5, 0.5)])
def test_images_are_enlarged_by_whole_broken_and_unequal_scales(tiny, scale):
    image = photograph(10, 15)
    enlarged = upscale(image, scale, model=GSASR(tiny.network).eval())
    assert enlarged.shape == (round(10 * scale[0]), round(15 * scale[1]), 3)
    assert abs(enlarged.mean() / image.mean() - 1) < 0.05


def test_unequal_scales_are_told_as_the_one_that_makes_as_many_pixels():
    assert scale_between((10, 20), (20, 40)) == 2
    assert scale_between((10, 20), (20, 160)) == 4
    assert scale_between((10, 20), (30, 120)) == pytest.approx(18**0.5)


@pytest.mark.parametrize("encoder", ["edsr", "swinir"])
def test_tiles_leave_no_step_and_cost_no_tenth_of_a_decibel(tiny, encoder):
    network = random_network(tiny.network, 0.03, encoder=encoder, width=12, interaction=(2, 2))
    height, width, tile = 40, 120, 40
    image, size = photograph(height, width), (80, 240)
    whole, tiled = (encode(network, image, scale=2, tile=t).render(size)[0] for t in (1000, tile))
    hr = imresize(torch.from_numpy(image).permute(2, 0, 1) / 255, size)
    assert psnr(whole, hr) > 10  # in the range where a tenth of a decibel means something
    assert abs(psnr(tiled, hr) - psnr(whole, hr)) < 0.1
    assert psnr(tiled, whole) > psnr(whole, hr)
    borders = [2 * span.owned[0] for span in spans(width, tile, OVERLAP, network.window)][1:]
    steps = (tiled - whole).diff(dim=2).abs().mean((0, 1))  # that tiles add, by column
    usual = whole.diff(dim=2).abs().mean((0, 1))  # that the image has
    assert len(borders) == 2
    for border in borders:
        assert steps[border - 1] < 0.02 * usual.median()


@pytest.mark.parametrize("margin", [0, 1])
def test_one_tile_is_the_network_itself(tiny, margin):
    network = random_network(tiny.network, margin=margin)
    image = photograph(13, 18)
    whole, one = network(to_lr(image, torch.device("cpu")), 3), encode(network, image, scale=3)
    for part in PARTS:
        torch.testing.assert_close(getattr(one, part), getattr(whole, part))


def test_gaussians_may_start_as_the_mean_kernel_of_a_prior(tiny, dictionary: Dictionary):
    xx, xy, yy = dictionary.covariance.mean(0)
    settings = replace(tiny.network, interpolate=False)
    field = GSASR(start_at_mean_kernel(settings, dictionary))(torch.rand(1, 3, 4, 4), 2)
    l11, l21, l22 = (field.cholesky[0, 0] * settings.cells).tolist()  # in grid spacings
    assert (l11**2, l11 * l21, l21**2 + l22**2) == pytest.approx((xx, xy, yy), rel=1e-4)
    # Where it is to start as bicubic interpolation, as a round kernel of the same area.
    start = start_at_mean_kernel(tiny.network, dictionary).start
    assert start[0] == start[2] == pytest.approx((xx * yy - xy**2) ** 0.25)
    assert start[1] == 0


@pytest.mark.parametrize(
    ("changes", "mention"),
    [
        ({"encoder": "hat"}, "encoder"),
        ({"cells": 5}, "cells"),
        ({"window": 7}, "window"),
        ({"heads": 5}, "channels"),
        ({"injection": (0, 1)}, "injection"),
        ({"start": None}, "start"),
        ({"start": (0.6, 0.1, 0.6)}, "round"),
        ({"start": (1.7, 0.0, 1.7)}, "start"),
        ({"positions": "free"}, "positions"),
        ({"margin": -1}, "margin"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(tiny, changes, mention):
    with pytest.raises(ValueError, match=mention):
        replace(tiny.network, **changes)


def test_training_lowers_the_loss_without_a_prior_and_resumes_to_the_bit(tiny, photographs, tmp_path):
    images = list_images(photographs)
    arguments = {"images": images, "preset": tiny, "validation": images, "cache": tmp_path / "cache"}
    start = train(None, out=tmp_path / "start", budget=Budget(steps=1), **arguments)
    whole = train(None, out=tmp_path / "whole", budget=Budget(steps=60), **arguments)
    before, after = (Checkpoint.load(path).notes["validation"]["psnr"] for path in (start, whole))
    assert after > before + 0.1
    train(None, out=tmp_path / "parts", budget=Budget(steps=60), stop=StopAfter(30), **arguments)
    train(None, out=tmp_path / "parts", resume=True, **arguments)
    whole, parts = (load_file(tmp_path / run / "last.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


class StopAfter:
    """Asks to stop once a number of steps has begun."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture
def trained(tiny, photographs, tmp_path, monkeypatch) -> Path:
    """The checkpoint that sr-train makes of the smallest network."""
    monkeypatch.setitem(PRESETS, "gsasr-demo", tiny)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    made = run(sr_train, "--arch", "gsasr", "--images", photographs, "--steps", 2)
    assert made.exit_code == 0, made.output
    return Path("runs/gsasr-demo/best.safetensors")


def test_the_tools_take_its_checkpoint_without_being_told(trained: Path, photographs: Path):
    assert isinstance(load(trained), GSASR)
    picture = next(photographs.iterdir())
    assert (
        run(sr_upscale, picture, "--out", "large.png", "--model", trained, "--scale", "3.3x2").exit_code == 0
    )
    assert Image.open("large.png").size == (158, 80)
    scored = run(sr_eval, "--model", trained, "--images", photographs, "--scales", "2", "--json", "--cost")
    assert scored.exit_code == 0, scored.output
    figures = json.loads(scored.stdout)
    assert abs(figures["mean"]["x2"]["psnr"] - figures["mean"]["x2"]["bicubic_psnr"]) < 1.5
    tiles = run(sr_upscale, picture, "--out", "tiles.png", "--model", trained, "--scale", 2, "--tile", 16)
    assert tiles.exit_code == 0, tiles.output


def test_a_field_of_its_is_kept_for_the_scale_it_is_made_for(trained: Path, photographs: Path):
    picture = next(photographs.iterdir())
    refused(run(sr_upscale, picture, "--model", trained, "--save-field", "f.safetensors"), 1, "--scale")
    kept = ("--save-field", "f.safetensors", "--scale", 4)
    assert run(sr_upscale, picture, "--out", "a.png", "--model", trained, *kept).exit_code == 0
    assert run(sr_upscale, "f.safetensors", "--out", "b.png", "--scale", 4).exit_code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_a_prior_is_where_it_starts_and_need_not_be_given(trained: Path, dictionary, photographs: Path):
    assert Checkpoint.load(trained).dictionary is None
    Dictionary(dictionary.cholesky, {"images": str(photographs)}).save("dict.npz")
    made = run(sr_train, "--arch", "gsasr", "--prior", "dict.npz", "--steps", 1, "--out", "primed")
    assert made.exit_code == 0, made.output
    settings = Checkpoint.load("primed/best.safetensors").network
    assert settings == start_at_mean_kernel(PRESETS["gsasr-demo"].network, dictionary)


def test_options_of_the_other_architecture_are_refused(trained: Path, photographs: Path):
    refused(run(sr_train, "--arch", "gsasr", "--preset", "demo", "--images", photographs), 2, "continuoussr")
    refused(
        run(sr_train, "--arch", "gsasr", "--images", photographs, "--covariance", "fixed"), 2, "--covariance"
    )
    refused(run(sr_train, "--arch", "gsasr"), 2, "--images")


def test_its_average_time_counts_encoding_at_every_scale(tiny):
    network = GSASR(tiny.network).eval()
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    average_seconds(network, sizes=((4, 4),), scales=(2, 3, 4))
    assert len(calls) == 1 + 3 * 3


def test_a_dry_run_says_what_the_training_takes(trained: Path, photographs: Path):
    rehearsed = run(sr_train, "--arch", "gsasr", "--images", photographs, "--out", "dry", "--dry-run")
    assert rehearsed.exit_code == 0, rehearsed.output
    parameters = sum(p.numel() for p in load(trained).parameters())
    assert f"network: {parameters:,} parameters" in rehearsed.output


def test_an_architecture_of_another_version_is_named(trained: Path):
    checkpoint = Checkpoint.load(trained)
    replace(checkpoint, notes={"architecture": "newer"}).save(Path("newer.safetensors"))
    refused(run(sr_upscale, "a.png", "--model", "newer.safetensors", "--scale", 2), 1, "newer.safetensors")


def test_a_training_of_the_other_architecture_is_not_resumed(trained: Path, dictionary, photographs: Path):
    Dictionary(dictionary.cholesky).save("dict.npz")
    other = ("--prior", "dict.npz", "--preset", "demo", "--out", "runs/gsasr-demo", "--resume")
    small = ("--set", "training.batch=2", "--set", "training.crop=8")
    refused(run(sr_train, *other, *small, "--images", photographs), 1, "other settings", "network")


def test_bfloat16_changes_the_field_by_no_more_than_its_rounding(tiny):
    network = random_network(tiny.network)
    image = torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(image, 2)
    exact = network(image, 2)
    for part in PARTS:
        assert getattr(rounded, part).dtype == torch.float32
        torch.testing.assert_close(getattr(rounded, part), getattr(exact, part), atol=0.05, rtol=0.05)
