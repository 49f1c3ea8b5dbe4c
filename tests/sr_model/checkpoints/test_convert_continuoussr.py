"""Converted checkpoints give the fields of the released networks; other files are named and refused."""

from itertools import pairwise
from pathlib import Path

import public_layouts as public
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

from sr_model import Checkpoint, CheckpointError, load
from sr_model.checkpoints.convert_continuoussr import convert_continuoussr
from sr_model.cli.convert import main as sr_convert

HIDDEN = (20, 12, 8)
L11 = (0, 0.41, 0.62, 0.98, 1.13, 1.29, 1.64, 1.85, 2.36)
L21 = (-0.86, -0.36, -0.16, 0.19, 0.34, 0.49, 0.84, 1.04, 1.54)
L22 = (0, 0.33, 0.53, 0.88, 1.03, 1.18, 1.53, 1.73, 2.23)


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


def released_field(state: dict, kind: str, image: torch.Tensor, scale: tuple[float, float]):
    """(positions, Cholesky entries, colours) in output pixels, one row per Gaussian, as in the released code.

    For one image [1, 3, h, w]; `scale` is (vertical, horizontal).
    """
    net = public.Named(state)

    def perceptron(name: str, x: torch.Tensor) -> torch.Tensor:
        last = max(int(k.split(".")[2]) for k in state if k.startswith(f"{name}.layers."))
        for index in range(0, last + 1, 2):
            x = net.linear(f"{name}.layers.{index}", x)
            x = F.gelu(x) if index < last else x
        return x

    height, width = image.shape[2:]
    window = {"swinir": 8, "hat": 16}[kind]
    padded = F.pad(image, (0, -width % window, 0, -height % window), mode="reflect")
    encoder = {k.removeprefix("encoder."): t for k, t in state.items() if k.startswith("encoder.")}
    features = public.transformer_features(encoder, kind, padded)[..., : 4 * height, : 4 * width]
    features = F.pixel_unshuffle(features, 2)

    kernels = torch.tensor([(a, b, c) for a in L11 for b in L21 for c in L22] + [(0, 0, 0)])
    queries = net.conv("conv1", F.leaky_relu(features))[0].flatten(1).T
    weights = torch.softmax(queries @ perceptron("mlp_vector", kernels).T, -1)
    cholesky = weights @ kernels / 4 * torch.tensor([scale[1], scale[0], scale[0]])

    cells = features[0].flatten(1).T  # row by row
    row, column = torch.meshgrid(torch.arange(2 * height), torch.arange(2 * width), indexing="ij")
    corner = torch.stack([column, row], -1).flatten(0, 1) / 2
    offset = torch.tanh(perceptron("mlp_offset", cells))
    return torch.tensor([scale[1], scale[0]]) * (corner + offset), cholesky, perceptron("mlp", cells)


@pytest.mark.parametrize(("kind", "width"), [("swinir", 12), ("hat", 30)])
def test_a_converted_checkpoint_makes_the_released_field(tmp_path: Path, kind, width):
    content = released(kind, width)
    torch.save(content, tmp_path / "released.pth")
    convert_continuoussr(tmp_path / "released.pth", tmp_path / "ours.safetensors")
    model = load(tmp_path / "ours.safetensors", "cpu")
    image = torch.rand(1, 3, 13, 18, generator=torch.Generator().manual_seed(0))
    field = model(image).scale(3.7, 4.5)
    theirs = released_field(content["model"]["sd"], kind, image, (4.5, 3.7))
    for ours, expected in zip((field.means, field.cholesky, field.colors), theirs, strict=True):
        torch.testing.assert_close(ours[0], expected, atol=1e-5, rtol=1e-5)
    assert torch.isfinite(model(image).render((48, 70))).all()


def test_the_continuoussr_table_is_added_unchanged(tmp_path: Path):
    torch.save(released("swinir", 12), tmp_path / "released.pth")
    convert_continuoussr(tmp_path / "released.pth", tmp_path / "ours.safetensors")
    checkpoint = Checkpoint.load(tmp_path / "ours.safetensors")
    assert checkpoint.dictionary.shape == (730, 3)
    assert ((checkpoint.dictionary[:, [0, 2]] == 0).any(1)).sum() == 154
    assert float(checkpoint.dictionary[:, 0].max()) == 2.36 / 2  # grid spacings
    assert checkpoint.notes["converted"]["license"] == "CC BY-NC 4.0"
    assert checkpoint.network.hidden == HIDDEN


def test_a_file_that_is_not_a_released_checkpoint_is_refused_in_one_sentence(tmp_path: Path):
    content = released("swinir", 12)
    del content["model"]["sd"]["conv1.weight"], content["model"]["sd"]["conv1.bias"]
    torch.save(content, tmp_path / "headless.pth")
    content = released("swinir", 12)
    content["model"]["sd"]["conv1.weight"] = torch.zeros(24, 64, 3, 3)
    torch.save(content, tmp_path / "odd.pth")
    content = released("swinir", 12)
    content["model"]["sd"] = {k.replace("layers", "x"): t for k, t in content["model"]["sd"].items()}
    torch.save(content, tmp_path / "unknown.pth")
    torch.save(public.fabricate(public.edsr_basicsr(8, 1, 2)), tmp_path / "encoder.pth")
    (tmp_path / "text.pth").write_text("not weights")
    for name in ("headless", "odd", "unknown", "encoder", "text", "missing"):
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
