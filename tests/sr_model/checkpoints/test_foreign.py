"""A file of another project, given as a model, is answered by what it is and how it can be used."""

from pathlib import Path

import public_layouts as public
import pytest
import torch
from commands import refused, run

from sr_model import CheckpointError, load
from sr_model.checkpoints.checkpoint import Checkpoint
from sr_model.cli.upscale import main as sr_upscale

CONTINUOUSSR = {
    "encoder.conv_first.weight": torch.zeros(4, 3, 3, 3),
    "conv1.weight": torch.zeros(4, 4, 3, 3),
    **{f"{mlp}.layers.0.weight": torch.zeros(4, 4) for mlp in ("mlp", "mlp_vector", "mlp_offset")},
}


def sentence(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        Checkpoint.load(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.endswith(".")
    assert text.count(". ") == 0
    return text


def test_released_networks_are_to_be_converted(tmp_path: Path):
    torch.save({"model": {"name": "x", "sd": CONTINUOUSSR}}, tmp_path / "a.pth")
    assert "holds ContinuousSR, not a network of this project: convert it with sr-convert" in sentence(
        tmp_path / "a.pth"
    )
    names = ("gs_embedding", "img_feat_proj.0.weight", "scale_mlp.0.weight", "UPNet.0.weight")
    torch.save({"params_ema": dict.fromkeys(names, torch.zeros(1))}, tmp_path / "decoder.pth")
    assert "convert the folder" in sentence(tmp_path / "decoder.pth")


def test_encoders_are_to_start_a_training(tmp_path: Path):
    torch.save(public.fabricate(public.edsr_basicsr(4, 1, 2)), tmp_path / "a.pth")
    assert "--encoder-weights" in sentence(tmp_path / "a.pth")


def test_folders_and_other_files_are_named_for_what_they_are(tmp_path: Path):
    assert "sr-convert" in sentence(tmp_path)
    (tmp_path / "last.safetensors").touch()
    assert f"name a file in it, {tmp_path / 'last.safetensors'}" in sentence(tmp_path)
    assert "is empty" in sentence(tmp_path / "last.safetensors")
    (tmp_path / "page.safetensors").write_text("<!DOCTYPE html>")
    assert "web page" in sentence(tmp_path / "page.safetensors")
    assert "is not a file" in sentence(tmp_path / "missing.safetensors")
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "other.pth")
    assert "not a network that sr-train wrote" in sentence(tmp_path / "other.pth")


def test_the_state_of_a_training_names_the_networks_beside_it(tmp_path: Path):
    from sr_model.checkpoints.tensor_file import write_tensors

    write_tensors(tmp_path / "state.safetensors", {"a": torch.zeros(1)}, "sr_model-training/1", {})
    assert "best.safetensors" in sentence(tmp_path / "state.safetensors")


def test_a_checkpoint_is_loaded_as_before(checkpoint: Path):
    assert load(checkpoint, "cpu").settings is not None


def test_sr_upscale_names_the_option_and_sr_convert(tmp_path: Path, photographs: Path):
    torch.save(CONTINUOUSSR, tmp_path / "a.pth")
    image = next(photographs.iterdir())
    result = run(sr_upscale, image, "--out", tmp_path / "b.png", "--scale", 2, "--model", tmp_path / "a.pth")
    refused(result, 1, "--model", "a.pth", "sr-convert")
    assert not (tmp_path / "b.png").exists()
