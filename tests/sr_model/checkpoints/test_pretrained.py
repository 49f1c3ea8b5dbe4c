"""Pretrained encoders give the published features from files in the public layouts; others are refused."""

from pathlib import Path

import numpy as np
import public_layouts as public
import pytest
import torch

from sr_model import CheckpointError
from sr_model.checkpoints.pretrained import load_encoder_weights
from sr_model.encoders import EDSR, HAT, RDN, SwinIR

IMAGE = torch.rand(1, 3, 16, 32, generator=torch.Generator().manual_seed(0))
CENTRED = IMAGE - torch.tensor(public.DIV2K_MEAN).view(3, 1, 1)


def features(encoder, content, path: Path) -> torch.Tensor:
    """Features of the encoder with weights from a file of `content`."""
    torch.save(content, path)
    load_encoder_weights(encoder, path)
    with torch.no_grad():
        return encoder(IMAGE)


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=2e-5 * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize("residual_scale", [1.0, 0.1])
@pytest.mark.parametrize("layout", ["basicsr", "edsr-pytorch", "liif"])
def test_edsr_computes_the_published_features_in_units_of_the_image(tmp_path: Path, layout, residual_scale):
    if layout == "basicsr":
        state = public.fabricate(public.edsr_basicsr(8, 2, 4))
        names = [
            "conv_first",
            "body.0.conv1",
            "body.0.conv2",
            "body.1.conv1",
            "body.1.conv2",
            "conv_after_body",
        ]
        theirs = public.edsr_features(state, names, 255 * CENTRED, residual_scale) / 255
        content = {"params": state}
    else:
        state = public.fabricate(public.edsr_pytorch(8, 2, 2))
        names = ["head.0", "body.0.body.0", "body.0.body.2", "body.1.body.0", "body.1.body.2", "body.2"]
        if layout == "liif":
            theirs = public.edsr_features(state, names, (IMAGE - 0.5) / 0.5, residual_scale) / 2
            content = {"model": {"name": "liif", "sd": {f"encoder.{k}": t for k, t in state.items()}}}
        else:
            theirs = public.edsr_features(state, names, 255 * CENTRED, residual_scale) / 255
            content = state
    close(features(EDSR(8, 2, residual_scale), content, tmp_path / "a.pt"), theirs)


def test_rdn_computes_the_published_features(tmp_path: Path):
    state = public.fabricate(public.rdn_yjn870(4, 3, 2))
    names = {"sfe1": "sfe1", "sfe2": "sfe2", "rdbs": "rdbs", "lff": "lff", "gff": "gff"}
    theirs = public.rdn_features(state, IMAGE, 3, "layers.{}.conv", names)
    close(features(RDN(4, 3), state, tmp_path / "a.pth"), theirs)

    state = public.fabricate(public.rdn_liif(4, 2))
    names = {"sfe1": "SFENet1", "sfe2": "SFENet2", "rdbs": "RDBs", "lff": "LFF", "gff": "GFF"}
    names = {key: name if key == "lff" else f"encoder.{name}" for key, name in names.items()}
    theirs = public.rdn_features(state, (IMAGE - 0.5) / 0.5, 2, "convs.{}.conv.0", names) / 2
    content = {"model": {"name": "liif", "sd": state | {"imnet.layers.0.weight": torch.zeros(2, 2)}}}
    close(features(RDN(4, 2), content, tmp_path / "b.pth"), theirs)


@pytest.mark.parametrize(("kind", "encoder"), [("swinir", SwinIR), ("hat", HAT)])
@pytest.mark.parametrize("scale", [2, 4])
def test_transformers_compute_the_published_features(tmp_path: Path, kind, encoder, scale):
    state = public.fabricate(public.transformer(kind, 60, 1, scale))
    theirs = public.transformer_features(state, kind, CENTRED)
    ours = features(encoder(60, 1, scale), {"params_ema": state, "params": {}}, tmp_path / "a.pth")
    assert ours.shape == (1, 64, 16 * scale, 32 * scale)
    close(ours, theirs)


def test_what_was_read_is_named(tmp_path: Path):
    encoder = SwinIR(12, 1, 4)
    torch.save({"params": public.fabricate(public.transformer("swinir", 12, 1, 4))}, tmp_path / "x4.pth")
    assert load_encoder_weights(encoder, tmp_path / "x4.pth") == "SwinIR (JingyunLiang/SwinIR), params"


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_an_upsampler_to_another_scale_is_left_out_and_reported(tmp_path: Path, scale):
    encoder = SwinIR(12, 1, 4)
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    torch.save(public.fabricate(public.transformer("swinir", 12, 1, scale)), tmp_path / "a.pth")
    assert "without its upsampler" in load_encoder_weights(encoder, tmp_path / "a.pth")
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("upsample."), name


def refused(encoder, path: Path, *mentions: str) -> None:
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_encoder_weights(encoder, path)
    sentence = str(error.value)
    assert str(path) in sentence
    assert sentence.count(". ") == 0
    for mention in mentions:
        assert mention in sentence
    assert all(torch.equal(t, before[name]) for name, t in encoder.state_dict().items())


def test_weights_of_another_shape_are_refused_with_both_shapes(tmp_path: Path):
    torch.save({"params": public.fabricate(public.edsr_basicsr(8, 3, 4))}, tmp_path / "a.pth")
    refused(EDSR(8, 2), tmp_path / "a.pth", "8 wide and 3 deep", "8 wide and 2 deep")
    refused(EDSR(16, 3), tmp_path / "a.pth", "8 wide", "16 wide")
    refused(RDN(8, 3), tmp_path / "a.pth", "EDSR (BasicSR)", "RDN")
    state = public.fabricate(public.transformer("swinir", 12, 1, 4))
    del state["norm.weight"]
    torch.save(state, tmp_path / "b.pth")
    refused(SwinIR(12, 1, 4), tmp_path / "b.pth", "norm_after.weight")


def test_a_file_of_an_unknown_layout_is_refused_in_one_sentence(tmp_path: Path):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"code": Path("x")}, tmp_path / "object.pth")  # reading it would run code
    (tmp_path / "text.pth").write_text("not weights")
    for length in range(1, 40):  # some of these bytes are pickle opcodes
        path = tmp_path / f"noise{length}.pth"
        path.write_bytes(np.random.default_rng(length).integers(0, 128, length, np.uint8).tobytes())
        refused(EDSR(8, 1), path)
    (tmp_path / "empty.pth").touch()
    (tmp_path / "cut.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:300])
    for name in ("other", "list", "object", "text", "empty", "cut", "missing"):
        refused(EDSR(8, 1), tmp_path / f"{name}.pth")
