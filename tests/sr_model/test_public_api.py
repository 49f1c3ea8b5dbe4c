"""The public functions take paths as strings or Paths, and protocols and presets by name."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sr_model
from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, PROTOCOLS, Budget, ContinuousSR, Preset, TrainingError, UpscaleRequest
from sr_model.evaluation.evaluate import Result


def test_only_public_names_are_listed():
    names = set(dir(sr_model))
    assert {
        "train",
        "evaluate",
        "upscale",
        "upscale_file",
        "load",
        "Checkpoint",
        "PRESETS",
        "PROTOCOLS",
    } <= names
    assert {
        "Budget",
        "TrainingError",
        "CheckpointError",
        "ConfigError",
        "TrainingCallback",
        "GSASR",
        "Suite",
    } <= names
    assert names == {*sr_model.__all__}
    assert sr_model.__version__
    for name in names:
        assert getattr(sr_model, name) is not None


def test_importing_the_package_imports_no_torch():
    code = "import sys, sr_model; dir(sr_model); assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("form", [str, Path], ids=["str", "Path"])
@pytest.mark.parametrize("protocol", ["benchmark", PROTOCOLS["benchmark"]], ids=["name", "protocol"])
def test_evaluate_takes_paths_and_protocols_in_each_form(
    checkpoint: Path, network: ContinuousSR, photographs: Path, form, protocol
):
    def found(results) -> list[Result]:
        return list(results)

    expected = found(sr_model.evaluate(network, photographs, [2.0], PROTOCOLS["benchmark"]))
    assert len(expected) == 4
    assert found(sr_model.evaluate(network, form(photographs), [2.0], protocol)) == expected
    listed = [form(photographs / "0.png")]
    assert found(sr_model.evaluate(form(checkpoint), listed, [2.0], protocol)) == expected[:1]


def test_the_protocol_is_the_benchmarks_unless_another_is_named(network: ContinuousSR, photographs: Path):
    ours, named = (list(sr_model.evaluate(network, photographs, [2.0], *p)) for p in ([], ["benchmark"]))
    assert ours == named
    with pytest.raises(ValueError, match=r"no protocol 'psnr'.*benchmark.*protocol="):
        sr_model.evaluate(network, photographs, [2.0], "psnr")


@pytest.mark.parametrize("form", [str, Path], ids=["str", "Path"])
def test_train_takes_paths_and_presets_in_each_form(
    dictionary: Dictionary, photographs: Path, tiny: Preset, tmp_path: Path, monkeypatch, form
):
    dictionary.save(tmp_path / "dict.npz")
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    one = [form(photographs / f"{index}.png") for index in range(4)]
    for index, (prior, images, preset, val) in enumerate(
        [
            (form(tmp_path / "dict.npz"), one, "tiny", form(photographs)),
            (dictionary, form(photographs), tiny, one),
        ]
    ):
        out = tmp_path / str(index)
        best = sr_model.train(
            prior, images, preset, form(out), val=val, budget=Budget(steps=1), cache=form(tmp_path / "cache")
        )
        assert best == out / "best.safetensors"
    first, second = (sr_model.load(str(tmp_path / run / "last.safetensors"), "cpu") for run in ("0", "1"))
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert (ours == theirs).all()
    with pytest.raises(TrainingError, match=r"no preset 'small'.*demo.*preset="):
        sr_model.train(dictionary, one, "small", form(tmp_path / "new"))


@pytest.mark.parametrize("form", [str, Path], ids=["str", "Path"])
def test_upscale_takes_a_network_or_its_checkpoint_in_each_form(
    checkpoint: Path, network: ContinuousSR, form
):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    assert np.array_equal(
        sr_model.upscale(image, 4, model=form(checkpoint)), sr_model.upscale(image, 4, model=network)
    )


@pytest.mark.parametrize("form", [str, Path], ids=["str", "Path"])
def test_files_are_upscaled_from_and_to_paths_in_each_form(
    checkpoint: Path, network: ContinuousSR, photographs: Path, tmp_path: Path, form
):
    source = photographs / "0.png"
    expected = sr_model.upscale(np.asarray(Image.open(source)), 2, model=network)
    for index, (request, model) in enumerate([(2, form(checkpoint)), (UpscaleRequest(2.0), network)]):
        target = tmp_path / f"{index}.png"
        assert sr_model.upscale_file(form(source), form(target), request, model) == (80, 96)
        assert np.array_equal(Image.open(target), expected)
    results = list(sr_model.upscale_folder(form(photographs), form(tmp_path / "large"), 2, form(checkpoint)))
    assert [size for _, _, size in results] == [(80, 96)] * 4
    assert np.array_equal(Image.open(tmp_path / "large" / "0.png"), expected)


def test_a_saved_field_is_rendered_without_a_network(
    network: ContinuousSR, photographs: Path, tmp_path: Path, monkeypatch
):
    field = tmp_path / "a.safetensors"
    keep = UpscaleRequest(save_field=field)
    assert sr_model.upscale_file(photographs / "0.png", None, keep, network) is None
    monkeypatch.setattr("sr_model.upscaling.files.as_network", lambda model: pytest.fail("loaded a network"))
    assert sr_model.upscale_file(str(field), str(tmp_path / "a.png"), 1.5) == (60, 72)
