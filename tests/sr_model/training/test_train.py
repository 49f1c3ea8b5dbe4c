"""Training promises to resume exactly, to overwrite nothing, and to leave checkpoints that suffice."""

import itertools
import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import public_layouts as public
import pytest
import torch
from PIL import Image
from runs import StopAfter, difference
from safetensors import safe_open
from safetensors.torch import load_file

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Checkpoint, Preset, TrainingError, load, train
from sr_model.checkpoints.pretrained import load_encoder_weights
from sr_model.degradation import Degradation, Noise, Rain
from sr_model.encoders import EDSR
from sr_model.networks.base import Network
from sr_model.training.distributed import DistributedContext
from sr_model.training.image_cache import default_folder
from sr_model.training.loss import reconstruction_loss
from sr_model.training.samples import ImageSet
from sr_model.training.schedule import learning_rate
from sr_model.training.state import TrainingState
from sr_model.training.train import Report, in_words
from sr_model.training.validation import Validation


def test_a_resumed_run_ends_with_the_bits_of_an_undisturbed_one(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    arguments = {"validation": images[:1], "seed": 3}
    train(dictionary, images[1:], tiny, tmp_path / "whole", **arguments)
    train(dictionary, images[1:], tiny, tmp_path / "parts", stop=StopAfter(2), **arguments)
    train(dictionary, images[1:], tiny, tmp_path / "parts", stop=StopAfter(2), resume=True, **arguments)
    train(dictionary, images[1:], tiny, tmp_path / "parts", resume=True, **arguments)
    for name in ("state.safetensors", "last.safetensors", "best.safetensors"):
        whole, parts = (load_file(tmp_path / run / name) for run in ("whole", "parts"))
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[key], parts[key]) for key in whole), name


def test_training_lowers_the_loss(photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path):
    images = list_images(photographs)
    still = replace(tiny, train=replace(tiny.train, learning_rate=1e-30))
    start = train(dictionary, images, still, tmp_path / "start", validation=images, budget=Budget(steps=1))
    longer = train(dictionary, images, tiny, tmp_path / "run", validation=images, budget=Budget(steps=60))
    before, after = (Checkpoint.load(path).notes["validation"]["psnr"] for path in (start, longer))
    assert after > before + 0.3


def test_a_checkpoint_alone_suffices(photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path):
    path = train(dictionary, list_images(photographs), tiny, tmp_path / "run", budget=Budget(steps=1))
    moved = path.rename(tmp_path / "elsewhere.safetensors")
    notes = Checkpoint.load(moved).notes
    assert notes["step"] == 1
    assert notes["dictionary"] == dictionary.metadata
    assert load(moved)(torch.rand(1, 3, 4, 4)).size == (4, 4)


def test_an_existing_run_is_not_overwritten(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    path = train(dictionary, list_images(photographs), tiny, tmp_path, budget=Budget(steps=1))
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="--resume"):
        train(dictionary, list_images(photographs), tiny, tmp_path)
    assert path.read_bytes() == before


def test_a_run_is_resumed_with_its_own_settings_only(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    train(dictionary, images, tiny, tmp_path, budget=Budget(steps=1))
    for changed in (
        {"seed": 1},
        {"preset": replace(tiny, train=replace(tiny.train, batch=3))},
        {"preset": replace(tiny, network=replace(tiny.network, width=16))},
        {"dictionary": Dictionary(dictionary.cholesky * 1.01)},
        {"images": images[1:]},
    ):
        arguments = {"dictionary": dictionary, "images": images, "preset": tiny, **changed}
        name = {"preset": r"(training\.batch|network\.width)"}.get(*changed, *changed)
        with pytest.raises(TrainingError, match=rf"other settings \({name}\)"):
            train(**arguments, out=tmp_path, resume=True)
    assert "batch = 2\n" in (tmp_path / "settings.toml").read_text()
    with pytest.raises(TrainingError, match="--resume"):
        train(dictionary, images, tiny, tmp_path / "nothing", resume=True)


def test_a_loss_that_is_not_a_number_stops_spares_the_checkpoint_and_shows_the_batch(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    hot = replace(tiny, train=replace(tiny.train, learning_rate=1e30, warmup=0, validate_every=1))
    with pytest.raises(TrainingError, match=r"not a number\) at step \d.*diverged\.safetensors") as error:
        train(dictionary, images, hot, tmp_path)
    assert all(torch.isfinite(t).all() for t in load_file(tmp_path / "last.safetensors").values())
    with safe_open(str(tmp_path / "diverged.safetensors"), framework="pt") as file:
        step = json.loads(file.metadata()["header"])["step"]
        lr, hr = file.get_tensor("lr"), file.get_tensor("hr.0")
    assert f"at step {step}:" in str(error.value)
    batch = ImageSet(images, smallest=24, cache=default_folder()).batch(hot.train, 0, step)
    assert torch.equal(lr, batch.lr)
    assert torch.equal(hr, batch.hr[0])
    assert Image.open(tmp_path / "diverged.png").size == (2 * (hr.shape[-1] + 4), 2 * hr.shape[-1] + 8)


def test_a_dictionary_that_cannot_start_the_network_is_one_sentence(
    photographs: Path, tiny: Preset, tmp_path: Path
):
    wide = Dictionary([[3.0, 0.0, 3.0], [4.0, 0.1, 3.0]])
    with pytest.raises(TrainingError, match="start kernel lies outside"):
        train(wide, list_images(photographs), tiny, tmp_path)


def test_minutes_bound_a_training_and_count_over_all_sessions(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, monkeypatch
):
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 5.0).__next__)  # every look at it is 5 s later
    monkeypatch.setattr("sr_model.training.train.time", clock)
    images = list_images(photographs)

    def steps(budget: Budget | None, **arguments) -> int:
        train(dictionary, images, tiny, tmp_path, budget=budget, **arguments)
        return Checkpoint.load(tmp_path / "last.safetensors").notes["step"]

    first = steps(Budget(minutes=2))
    assert 0 < first < 24
    assert steps(None, resume=True) == first  # its two minutes are spent
    assert first < steps(Budget(minutes=4), resume=True) < 48


def test_a_resumed_run_may_be_computed_otherwise(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    train(dictionary, images, tiny, tmp_path, budget=Budget(steps=1))
    for changed in ({"accumulate": 2}, {"precision": "bfloat16"}):
        otherwise = replace(tiny, train=replace(tiny.train, **changed))
        train(dictionary, images, otherwise, tmp_path, resume=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"scale_of": "sample"},
        {"degradation": Degradation(rain=Rain(), noise=Noise(), eight_bit=True)},
        {"accumulate": 2, "precision": "bfloat16", "betas": (0.8, 0.9)},
        {"schedule": "halving", "milestones": (0.3, 0.6), "frequency_loss": 0.1},
    ],
)
def test_exact_resumption_holds_for_every_setting(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, changed
):
    images = list_images(photographs)
    preset = replace(tiny, train=replace(tiny.train, **changed))
    train(dictionary, images, preset, tmp_path / "whole")
    train(dictionary, images, preset, tmp_path / "parts", stop=StopAfter(2))
    train(dictionary, images, preset, tmp_path / "parts", resume=True)
    whole, parts = (load_file(tmp_path / run / "state.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_an_interruption_chooses_no_best_that_an_undisturbed_run_would_not(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    """With this rate the first steps are the best, and an undisturbed run does not look at them."""
    images = list_images(photographs)
    hasty = replace(tiny, train=replace(tiny.train, learning_rate=0.3, warmup=0, ema=0.0))
    arguments = {"validation": images, "budget": Budget(steps=6)}
    train(dictionary, images, hasty, tmp_path / "whole", **arguments)
    train(dictionary, images, hasty, tmp_path / "parts", stop=StopAfter(1), **arguments)
    train(dictionary, images, hasty, tmp_path / "parts", resume=True, **arguments)
    whole, parts = (Checkpoint.load(tmp_path / run / "best.safetensors").notes for run in ("whole", "parts"))
    assert whole["step"] == parts["step"] in (3, 6)


@pytest.mark.parametrize("scale_of", ["batch", "sample"])
def test_a_batch_in_parts_gives_the_steps_of_the_whole(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, scale_of
):
    images = list_images(photographs)
    for accumulate in (1, 2, 4):
        parts = {"batch": 4, "accumulate": accumulate, "scale_of": scale_of}
        preset = replace(tiny, train=replace(tiny.train, **parts, clip=1e-3, precision="float32"))
        train(dictionary, images, preset, tmp_path / str(accumulate), budget=Budget(steps=3))
    for parts in ("2", "4"):
        assert difference(tmp_path / "1", tmp_path / parts) < 1e-4


def test_gradients_are_clipped_to_the_norm_asked_for(photographs: Path, dictionary: Dictionary, tiny: Preset):
    settings = replace(tiny.train, clip=1e-4)
    state = TrainingState.new(tiny.network, dictionary, settings, 0, DistributedContext(torch.device("cpu")))
    images = ImageSet(list_images(photographs), smallest=24, cache=default_folder())
    state.train_step([images.batch(settings, 0, 0)], 0.0, settings)
    norm = torch.stack([p.grad.norm() for p in state.model.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-4, rel=1e-2)


def test_the_average_forgets_at_the_decay_asked_for(photographs: Path, dictionary: Dictionary, tiny: Preset):
    settings = replace(tiny.train, ema=0.15, warmup=0)
    state = TrainingState.new(tiny.network, dictionary, settings, 0, DistributedContext(torch.device("cpu")))
    images = ImageSet(list_images(photographs), smallest=24, cache=default_folder())
    before = [p.clone() for p in state.average.parameters()]
    state.train_step([images.batch(settings, 0, 0)], 1e-2, settings)
    for old, average, new in zip(before, state.average.parameters(), state.model.parameters(), strict=True):
        torch.testing.assert_close(average, 0.15 * old + 0.85 * new)


def test_validation_images_suffer_what_the_training_images_do(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    bicubic = []
    for degradation in (Degradation(), Degradation(noise=Noise(sigma=(50, 50)))):
        preset = replace(tiny, train=replace(tiny.train, degradation=degradation))
        out = tmp_path / str(len(bicubic))
        path = train(dictionary, images, preset, out, validation=images, budget=Budget(steps=1))
        bicubic.append(Checkpoint.load(path).notes["validation"]["bicubic_psnr"])
    assert bicubic[1] < bicubic[0] - 3


def test_an_observer_is_told_of_every_step_and_validation(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    told = []
    images = list_images(photographs)
    train(
        dictionary, images, tiny, tmp_path, validation=images,
        observe=lambda step, figures: told.append((step, set(figures))),
    )  # fmt: skip
    assert [step for step, names in told if "loss" in names] == [1, 2, 3, 4, 5, 6]
    assert [step for step, names in told if "validation/psnr" in names] == [3, 6]


@pytest.mark.slow
def test_a_compiled_network_takes_the_same_steps(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    for compiled in (False, True):
        preset = replace(tiny, train=replace(tiny.train, compile=compiled, precision="float32"))
        train(dictionary, images, preset, tmp_path / str(compiled), budget=Budget(steps=3))
    assert difference(tmp_path / "False", tmp_path / "True") < 1e-4


@pytest.mark.parametrize("schedule", ["cosine", "halving"])
def test_the_learning_rate_warms_up_and_falls(tiny: Preset, schedule):
    settings = replace(tiny.train, schedule=schedule, warmup=10, learning_rate=1.0)
    rates = [learning_rate(settings, step, step / 1000) for step in range(1000)]
    assert rates[0] < rates[5] < rates[10]
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] <= 0.5**9 + 1e-12


def test_the_rate_is_halved_at_every_milestone(tiny: Preset):
    """GSASR's: at 250, 400, 450 and 475 of 500 thousand steps."""
    settings = replace(
        tiny.train, schedule="halving", warmup=0, learning_rate=1.0, milestones=(0.5, 0.8, 0.9, 0.95)
    )
    rates = [
        learning_rate(settings, step, step / 500) for step in (0, 249, 250, 399, 400, 449, 450, 475, 499)
    ]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.0625, 0.0625]


def test_a_budget_is_steps_or_minutes():
    for wrong in ({}, {"steps": 1, "minutes": 1.0}, {"steps": 0}, {"minutes": -1.0}, {"minutes": math.nan}):
        with pytest.raises(ValueError):
            Budget(**wrong)


def test_the_frequency_loss_is_that_of_the_fourier_coefficients(tiny: Preset):
    hr = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    rendered = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in (6, 5))
    angle = (
        -2
        * math.pi
        * (
            torch.einsum("u,y->uy", rows, rows)[:, None, :, None] / 6
            + torch.einsum("v,x->vx", columns[:3], columns)[None, :, None] / 5
        )
    )  # [6, 3, 6, 5]: half of the columns, the others being conjugates
    difference = rendered - hr
    spectrum = [torch.einsum("bcyx,uvyx->bcuv", difference, wave(angle)) for wave in (torch.cos, torch.sin)]
    expected = difference.abs().mean() + 0.3 * torch.stack(spectrum).abs().mean()
    weighted = replace(tiny.train, frequency_loss=0.3)
    torch.testing.assert_close(reconstruction_loss(rendered, hr, weighted), expected)
    torch.testing.assert_close(reconstruction_loss(rendered, hr, tiny.train), difference.abs().mean())


def test_the_encoder_starts_from_pretrained_weights(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    torch.save({"params": public.fabricate(public.edsr_basicsr(8, 1, 4))}, tmp_path / "edsr.pth")
    arguments = {"encoder_weights": tmp_path / "edsr.pth", "out": tmp_path / "run"}
    train(dictionary, list_images(photographs), tiny, **arguments, stop=StopAfter(0))
    trained = load(tmp_path / "run" / "last.safetensors", "cpu").encoder
    published = EDSR(8, 1)
    load_encoder_weights(published, tmp_path / "edsr.pth")
    for name, tensor in published.state_dict().items():
        assert torch.equal(trained.state_dict()[name], tensor), name


def test_a_network_trains_on_the_dictionary_of_its_settings(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    corners = replace(tiny, network=replace(tiny.network, dictionary="corners"))
    path = train(dictionary, list_images(photographs), corners, tmp_path / "run", budget=Budget(steps=1))
    assert Checkpoint.load(path).dictionary.shape == (8, 3)
    too_many = replace(tiny, network=replace(tiny.network, dictionary_size=61))
    with pytest.raises(TrainingError, match="dictionary_size is 61"):
        train(dictionary, list_images(photographs), too_many, tmp_path / "more")


def test_reports_say_how_far_a_training_is_and_how_long_it_will_take(monkeypatch, caplog):
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 6.0).__next__)  # every look at it is 6 s later
    monkeypatch.setattr("sr_model.training.train.time", clock)
    report = Report()
    with caplog.at_level(logging.INFO, "sr_model"):
        for step in range(100, 105):
            report.step(step + 1, loss=step / 100, spent=step / 400)
    assert caplog.messages == [
        "step 102 (25 %, about 60 min left): loss 1.0050",  # 12 s for a step's part, and 299 to go
        "step 104 (26 %, about 40 min left): loss 1.0250",  # 24 s for three, and 297
    ]


def test_a_long_validation_says_how_far_it_is(
    photographs: Path, network: Network, cache, monkeypatch, caplog
):
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 6.0).__next__)
    monkeypatch.setattr("sr_model.training.validation.time", clock)
    validation = Validation(list_images(photographs), Degradation(), cache)
    with caplog.at_level(logging.INFO, "sr_model"):
        validation.measure(network)
    said = [message for message in caplog.messages if "validated" in message]
    assert said == ["validated 1 of 4 images", "validated 3 of 4 images"]


def test_times_to_go_are_said_in_words():
    assert [in_words(s) for s in (7, 99, 100, 3000, 20_000, 400_000)] == [
        "7 s", "99 s", "2 min", "50 min", "5.6 h", "4.6 days",
    ]  # fmt: skip
