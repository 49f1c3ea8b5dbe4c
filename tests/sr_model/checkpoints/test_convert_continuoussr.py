"""ContinuousSR's checkpoints are converted with their settings; other files are named and refused.

`networks/test_released.py` compares what a converted network predicts with what the released one does.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import public_layouts as public
import pytest
import torch
from click.testing import CliRunner
from containers import FORMATS, WRAPPERS, cast
from published import IMAGE, Published

from sr_model import PRESETS, Checkpoint, CheckpointError, load
from sr_model.checkpoints.convert_continuoussr import convert_continuoussr
from sr_model.cli.convert import main as sr_convert
from sr_model.encoders import fill_windows

HIDDEN = (20, 12, 8)


def mlp(name: str, *widths: int) -> public.Shapes:
    pairs = enumerate(pairwise(widths))
    return {k: v for i, pair in pairs for k, v in public.linear(f"{name}.layers.{2 * i}", *pair).items()}


def released(kind: str, width: int, latent: int = 24) -> dict:
    """A checkpoint as released, of small widths."""
    shapes = {f"encoder.{k}": v for k, v in public.transformer(kind, width, 1, 4).items()}
    shapes |= public.conv("conv1", 256, latent) | mlp("mlp_vector", 3, 16, 16, latent)
    shapes |= mlp("mlp", 256, *HIDDEN, 3) | mlp("mlp_offset", 256, *HIDDEN, 2)
    spec = {"name": kind, "args": {"no_upsampling": False}}
    return {
        "model": {
            "name": "continuous-gaussian",
            "args": {"encoder_spec": spec},
            "sd": public.fabricate(shapes),
        }
    }


@pytest.mark.parametrize(("kind", "width"), [("swinir", 12), ("hat", 30)])
def test_a_converted_network_has_the_released_settings(tmp_path: Path, kind: str, width: int):
    torch.save(released(kind, width), tmp_path / "released.pth")
    convert_continuoussr(tmp_path / "released.pth", tmp_path / "ours.safetensors")
    model = load(tmp_path / "ours.safetensors", "cpu")
    paper = PRESETS["paper"].network
    shape = {"width": width, "depth": 1, "latent": 24, "embedding": (16, 16), "hidden": HIDDEN}
    assert model.settings == replace(
        paper, encoder=kind, dictionary="released", offset_hidden=HIDDEN, **shape
    )
    assert torch.isfinite(model(torch.rand(1, 3, 13, 18)).render((48, 70))).all()


@torch.no_grad()
def test_the_encoder_reads_images_without_a_mean(tmp_path: Path):
    figures = Published("hat-continuoussr")
    content = released("hat", 60)
    heads = {k: t for k, t in content["model"]["sd"].items() if not k.startswith("encoder.")}
    content["model"]["sd"] = figures.weights | heads
    torch.save(content, tmp_path / "released.pth")
    convert_continuoussr(tmp_path / "released.pth", tmp_path / "ours.safetensors")
    encoder = load(tmp_path / "ours.safetensors", "cpu").encoder
    figures.check(encoder(fill_windows(IMAGE, encoder.window)))


def test_layers_that_the_encoder_does_not_have_are_named(tmp_path: Path, caplog):
    content = released("swinir", 12)
    torch.save(content, tmp_path / "a.pth")
    convert_continuoussr(tmp_path / "a.pth", tmp_path / "a.safetensors")
    assert not caplog.text
    content["model"]["sd"]["encoder.absolute_pos_embed"] = torch.zeros(1, 4, 12)
    torch.save(content, tmp_path / "b.pth")
    convert_continuoussr(tmp_path / "b.pth", tmp_path / "b.safetensors")
    assert "absolute_pos_embed left out, which SwinIR" in caplog.text


def test_the_continuoussr_table_is_added_unchanged(tmp_path: Path):
    torch.save(released("swinir", 12), tmp_path / "released.pth")
    convert_continuoussr(tmp_path / "released.pth", tmp_path / "ours.safetensors")
    checkpoint = Checkpoint.load(tmp_path / "ours.safetensors")
    assert checkpoint.dictionary.shape == (730, 3)
    assert ((checkpoint.dictionary[:, [0, 2]] == 0).any(1)).sum() == 154
    assert float(checkpoint.dictionary[:, 0].max()) == 2.36 / 2  # grid spacings
    assert checkpoint.notes["converted"]["license"] == "CC BY-NC 4.0"
    assert checkpoint.network.hidden == HIDDEN


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_released_checkpoint_is_converted_from_every_container(tmp_path: Path, wrapper):
    state = released("swinir", 12)["model"]["sd"]
    torch.save(state, tmp_path / "plain.pth")
    convert_continuoussr(tmp_path / "plain.pth", tmp_path / "plain.safetensors")
    FORMATS["legacy"](WRAPPERS[wrapper](state), tmp_path / "wrapped.pth")
    convert_continuoussr(tmp_path / "wrapped.pth", tmp_path / "wrapped.safetensors")
    plain, wrapped = (Checkpoint.load(tmp_path / f"{name}.safetensors") for name in ("plain", "wrapped"))
    assert plain.network == wrapped.network
    assert all(torch.equal(t, wrapped.weights[name]) for name, t in plain.weights.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("file_format", FORMATS)
def test_half_precision_is_converted_to_float32(tmp_path: Path, file_format, dtype):
    state = cast(released("swinir", 12)["model"]["sd"], dtype)
    FORMATS[file_format]({"params": state}, tmp_path / "half.pth")
    convert_continuoussr(tmp_path / "half.pth", tmp_path / "ours.safetensors")
    weights = Checkpoint.load(tmp_path / "ours.safetensors").weights
    assert {t.dtype for t in weights.values()} == {torch.float32}
    assert torch.equal(weights["kernels.query.bias"], state["conv1.bias"].float())


def test_other_weights_are_named_with_what_can_be_done_with_them(tmp_path: Path):
    torch.save(public.fabricate(public.edsr_basicsr(8, 1, 2)), tmp_path / "encoder.pth")
    with pytest.raises(
        CheckpointError, match=r"holds EDSR \(BasicSR\), not ContinuousSR: .*--encoder-weights"
    ):
        convert_continuoussr(tmp_path / "encoder.pth", tmp_path / "ours.safetensors")
    torch.save(released("swinir", 12), tmp_path / "released.pth")
    convert_continuoussr(tmp_path / "released.pth", tmp_path / "ours.safetensors")
    with pytest.raises(CheckpointError, match="is a checkpoint of this project, for"):
        convert_continuoussr(tmp_path / "ours.safetensors", tmp_path / "again.safetensors")


def test_sr_convert_takes_the_weights_under_a_key(tmp_path: Path):
    state = released("swinir", 12)["model"]["sd"]
    other = {name: tensor + 1 for name, tensor in state.items()}
    source, target = tmp_path / "released.pth", tmp_path / "ours.safetensors"
    torch.save({"params_ema": state, "params": other}, source)
    made = CliRunner().invoke(sr_convert, [str(source), "--out", str(target)])
    assert made.exit_code == 0
    assert "taken from params_ema, the averaged weights; --key params takes others" in made.output
    assert torch.equal(Checkpoint.load(target).weights["kernels.query.bias"], state["conv1.bias"])
    arguments = [str(source), "--out", str(target), "--key", "params", "--overwrite"]
    assert CliRunner().invoke(sr_convert, arguments).exit_code == 0
    assert torch.equal(Checkpoint.load(target).weights["kernels.query.bias"], other["conv1.bias"])
    wrong = CliRunner().invoke(sr_convert, [*arguments[:3], "--key", "ema", "--overwrite"])
    assert wrong.exit_code == 1
    assert "nothing under --key ema: it has weights under params_ema, params" in wrong.output


def test_a_file_that_is_not_a_released_checkpoint_is_refused_in_one_sentence(tmp_path: Path):
    content = released("swinir", 12)
    del content["model"]["sd"]["conv1.weight"], content["model"]["sd"]["conv1.bias"]
    torch.save(content, tmp_path / "headless.pth")
    content = released("swinir", 12)
    content["model"]["sd"]["conv1.weight"] = torch.zeros(24, 64, 3, 3)
    torch.save(content, tmp_path / "odd.pth")
    content["model"]["sd"]["conv1.weight"] = torch.zeros(24)
    torch.save(content, tmp_path / "flat.pth")
    content = released("swinir", 12)
    content["model"]["sd"] = {k.replace("layers", "x"): t for k, t in content["model"]["sd"].items()}
    torch.save(content, tmp_path / "unknown.pth")
    torch.save(public.fabricate(public.edsr_basicsr(8, 1, 2)), tmp_path / "encoder.pth")
    heads = {k: t for k, t in released("swinir", 12)["model"]["sd"].items() if "encoder" not in k}
    edsr = public.fabricate({f"encoder.{k}": s for k, s in public.edsr_basicsr(8, 1, 2).items()})
    torch.save({"model": {"sd": heads | edsr}}, tmp_path / "edsr.pth")
    (tmp_path / "text.pth").write_text("not weights")
    for name in ("headless", "odd", "flat", "unknown", "encoder", "edsr", "text", "missing"):
        source = tmp_path / f"{name}.pth"
        with pytest.raises(CheckpointError, match=rf"{name}\.pth") as error:
            convert_continuoussr(source, tmp_path / "ours.safetensors")
        assert str(error.value).count(". ") == 0
        assert not (tmp_path / "ours.safetensors").exists()


def test_sr_convert_says_what_it_made_and_overwrites_nothing_unasked(tmp_path: Path):
    source, target = str(tmp_path / "released.pth"), str(tmp_path / "ours.safetensors")
    torch.save(released("hat", 30), source)
    made = CliRunner().invoke(sr_convert, [source, "--out", target])
    assert made.exit_code == 0, made.output
    assert "HAT" in made.output
    assert "CC BY-NC" in made.output
    again = CliRunner().invoke(sr_convert, [source, "--out", target])
    assert again.exit_code == 1
    assert "--overwrite" in again.output
    assert CliRunner().invoke(sr_convert, [source, "--out", target, "--overwrite"]).exit_code == 0
    assert CliRunner().invoke(sr_convert, [source]).exit_code == 2
