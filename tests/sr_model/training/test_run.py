"""A run overwrites nothing, resumes only with its own settings, and starts from the weights it is given."""

from dataclasses import replace
from pathlib import Path

import public_layouts as public
import pytest
import torch
from runs import StopAfter

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Checkpoint, Preset, TrainingError, load, train
from sr_model.checkpoints.pretrained import load_encoder_weights
from sr_model.checkpoints.tensor_file import read_tensors, write_tensors
from sr_model.degradation import Degradation, Noise
from sr_model.encoders import EDSR
from sr_model.training.state import FORMAT, STATE


def test_an_existing_run_is_not_overwritten(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    path = train(dictionary, list_images(photographs), tiny, tmp_path, budget=Budget(steps=1))
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="resume="):
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
        {"prior": Dictionary(dictionary.cholesky * 1.01)},
        {"images": images[1:]},
    ):
        arguments = {"prior": dictionary, "images": images, "preset": tiny, **changed}
        name = {"preset": r"(training\.batch|network\.width)", "prior": "dictionary"}.get(*changed, *changed)
        with pytest.raises(TrainingError, match=rf"other settings \({name}\)"):
            train(**arguments, out=tmp_path, resume=True)
    assert "batch = 2\n" in (tmp_path / "settings.toml").read_text()
    with pytest.raises(TrainingError, match="resume="):
        train(dictionary, images, tiny, tmp_path / "nothing", resume=True)


def test_a_run_older_than_a_setting_is_resumed_with_its_default(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    noisy = replace(tiny, train=replace(tiny.train, degradation=Degradation(noise=Noise())))
    arguments = {"prior": dictionary, "images": list_images(photographs), "out": tmp_path}
    train(preset=noisy, **arguments, budget=Budget(steps=1))
    tensors, header = read_tensors(tmp_path / STATE, FORMAT, "a state")
    network, training = header["identity"]["network"], header["identity"]["training"]
    for settings, name in (
        (network, "long_skip"),
        (network, "activated_offsets"),
        (training, "scale_of"),
        (training["degradation"], "bicubic"),
        (training["degradation"]["noise"], "sigma"),
    ):
        del settings[name]
    write_tensors(tmp_path / STATE, tensors, FORMAT, header)
    train(preset=noisy, **arguments, budget=Budget(steps=2), resume=True)
    other = replace(noisy, network=replace(noisy.network, activated_offsets=True))
    write_tensors(tmp_path / STATE, tensors, FORMAT, header)
    with pytest.raises(TrainingError, match=r"other settings \(network\.activated_offsets\)"):
        train(preset=other, **arguments, resume=True)


def test_a_dictionary_that_cannot_start_the_network_is_one_sentence(
    photographs: Path, tiny: Preset, tmp_path: Path
):
    wide = Dictionary([[3.0, 0.0, 3.0], [4.0, 0.1, 3.0]])
    with pytest.raises(TrainingError, match="start kernel lies outside"):
        train(wide, list_images(photographs), tiny, tmp_path)


def test_the_encoder_starts_from_pretrained_weights(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    torch.save({"params": public.fabricate(public.edsr_basicsr(8, 1, 4))}, tmp_path / "edsr.pth")
    arguments = {"encoder_weights": tmp_path / "edsr.pth", "out": tmp_path / "run"}
    train(dictionary, list_images(photographs), tiny, **arguments, callbacks=[StopAfter(0)])
    trained = load(tmp_path / "run" / "last.safetensors", "cpu").encoder
    published = EDSR(8, 1)
    load_encoder_weights(published, tmp_path / "edsr.pth")
    for name, tensor in published.state_dict().items():
        assert torch.equal(trained.state_dict()[name], tensor), name


def test_a_run_is_resumed_only_with_the_encoder_weights_that_it_started_from(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    for seed in (0, 1):
        torch.save(public.fabricate(public.edsr_basicsr(8, 1, 4), seed=seed), tmp_path / f"{seed}.pth")

    def resume(**changed) -> None:
        train(dictionary, list_images(photographs), tiny, tmp_path / "run", resume=True, **changed)

    arguments = {"encoder_weights": tmp_path / "0.pth", "budget": Budget(steps=1)}
    train(dictionary, list_images(photographs), tiny, tmp_path / "run", **arguments)
    for other in ({"encoder_weights": tmp_path / "1.pth"}, {}):
        with pytest.raises(TrainingError, match=r"other settings \(encoder_weights\)"):
            resume(**other)
    (tmp_path / "0.pth").rename(tmp_path / "moved.pth")
    resume(**arguments)  # the state has them
    (tmp_path / "moved.pth").rename(tmp_path / "0.pth")
    state = tmp_path / "run" / STATE
    tensors, header = read_tensors(state, FORMAT, "a state")
    del header["identity"]["encoder_weights"]  # as 0.1.0 wrote it
    resume(**arguments)
    write_tensors(state, tensors, FORMAT, header)
    resume()


def test_the_encoders_weights_are_taken_from_a_key(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    plain, average = (public.fabricate(public.edsr_basicsr(8, 1, 4), seed=seed) for seed in (0, 1))
    torch.save({"params": plain, "params_ema": average}, tmp_path / "edsr.pth")
    arguments = {"encoder_weights": tmp_path / "edsr.pth", "encoder_key": "params", "out": tmp_path / "run"}
    train(dictionary, list_images(photographs), tiny, **arguments, callbacks=[StopAfter(0)])
    trained = load(tmp_path / "run" / "last.safetensors", "cpu").encoder
    assert torch.equal(trained.head.weight, plain["conv_first.weight"])
    assert 'encoder_key = "params"' in (tmp_path / "run" / "settings.toml").read_text()
    with pytest.raises(TrainingError, match="name that file with encoder_weights="):
        train(dictionary, list_images(photographs), tiny, tmp_path / "other", encoder_key="params")


def test_a_network_trains_on_the_dictionary_of_its_settings(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    corners = replace(tiny, network=replace(tiny.network, dictionary="corners"))
    path = train(dictionary, list_images(photographs), corners, tmp_path / "run", budget=Budget(steps=1))
    assert Checkpoint.load(path).dictionary.shape == (8, 3)
    few = replace(tiny, network=replace(tiny.network, dictionary_size=9))
    path = train(dictionary, list_images(photographs), few, tmp_path / "few", budget=Budget(steps=1))
    assert Checkpoint.load(path).dictionary.shape == (9, 3)
