"""Training promises to resume exactly, to overwrite nothing, and to leave checkpoints that suffice."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import public_layouts as public
import pytest
import torch
from safetensors.torch import load_file

from dgp_mining.dictionary import Dictionary
from dgp_mining.images import list_images
from sr_model import Budget, Checkpoint, Preset, TrainingError, load, train
from sr_model.encoders import EDSR
from sr_model.pretrained import load_encoder_weights
from sr_model.schedule import learning_rate
from sr_model.state import reconstruction_loss


class StopAfter:
    """Asks to stop once a number of steps has begun."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


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
        {"dictionary": Dictionary(dictionary.cholesky * 1.01)},
        {"images": images[1:]},
    ):
        arguments = {"dictionary": dictionary, "images": images, "preset": tiny, **changed}
        with pytest.raises(TrainingError, match="other settings"):
            train(**arguments, out=tmp_path, resume=True)
    with pytest.raises(TrainingError, match="--resume"):
        train(dictionary, images, tiny, tmp_path / "nothing", resume=True)


def test_a_loss_that_is_not_a_number_stops_and_spares_the_checkpoint(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    hot = replace(tiny, train=replace(tiny.train, learning_rate=1e30, warmup=0, validate_every=1))
    with pytest.raises(TrainingError, match=r"not a number\) at step"):
        train(dictionary, images, hot, tmp_path)
    assert all(torch.isfinite(t).all() for t in load_file(tmp_path / "last.safetensors").values())


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
    monkeypatch.setattr("sr_model.training.time", clock)
    images = list_images(photographs)

    def steps(budget: Budget | None, **arguments) -> int:
        train(dictionary, images, tiny, tmp_path, budget=budget, **arguments)
        return Checkpoint.load(tmp_path / "last.safetensors").notes["step"]

    first = steps(Budget(minutes=2))
    assert 0 < first < 24
    assert steps(None, resume=True) == first  # its two minutes are spent
    assert first < steps(Budget(minutes=4), resume=True) < 48


@pytest.mark.parametrize("schedule", ["cosine", "halving"])
def test_the_learning_rate_warms_up_and_falls(tiny: Preset, schedule):
    settings = replace(tiny.train, schedule=schedule, warmup=10, learning_rate=1.0)
    rates = [learning_rate(settings, step, step / 1000) for step in range(1000)]
    assert rates[0] < rates[5] < rates[10]
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] <= 0.5**9 + 1e-12


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
