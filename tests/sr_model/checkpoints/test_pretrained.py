"""Pretrained encoders give the published features from files in the public layouts; others are refused."""

from pathlib import Path

import numpy as np
import public_layouts as public
import pytest
import torch
from published import IMAGE, Published

from sr_model import CheckpointError
from sr_model.checkpoints.parallel_branches import fuse_branches
from sr_model.checkpoints.pretrained import load_encoder_weights
from sr_model.encoders import EDSR, HAT, RDN, RLFN, SAFMN, SPAN, SwinIR, fill_windows

SHAPES = {
    "edsr-basicsr-1.0": public.edsr_basicsr(16, 2, 4),
    "edsr-pytorch-1.0": public.edsr_pytorch(16, 2, 2),
    "rdn-liif": public.rdn_liif(8, 3),
    "rdn-yjn870": public.rdn_yjn870(8, 3, 2),
    "span": public.span(12, 4),
    "rlfn": public.rlfn(12, 4),
    "safmn": public.safmn(12, 3, 2),
    "swinir-x4": public.transformer("swinir", 60, 2, 4),
    "hat-x2": public.transformer("hat", 60, 1, 2),
}


@pytest.mark.parametrize(
    ("case", "encoder"),
    [
        ("edsr-basicsr-1.0", EDSR(16, 2)),
        ("edsr-basicsr-0.1", EDSR(16, 2, 0.1)),
        ("edsr-pytorch-1.0", EDSR(16, 2)),
        ("edsr-pytorch-0.1", EDSR(16, 2, 0.1)),
        ("edsr-liif-1.0", EDSR(16, 2)),
        ("edsr-liif-0.1", EDSR(16, 2, 0.1)),
        ("rdn-liif", RDN(8, 3)),
        ("rdn-yjn870", RDN(8, 3)),
        ("span", SPAN(12, 6)),
        ("span-unnormalised", SPAN(12, 6)),
        ("rlfn", RLFN(12, 6)),
        ("safmn", SAFMN(12, 3)),
        ("swinir-x2", SwinIR(60, 2, 2)),
        ("swinir-x4", SwinIR(60, 2, 4)),
        ("hat-x2", HAT(60, 1, 2)),
        ("hat-x4", HAT(60, 1, 4)),
    ],
)
def test_encoders_compute_the_published_features_in_units_of_the_image(tmp_path: Path, case, encoder, caplog):
    figures = Published(case)
    content = {"model": {"name": "liif", "sd": figures.weights}} if "liif" in case else figures.weights
    torch.save(content, tmp_path / "a.pth")
    load_encoder_weights(encoder, tmp_path / "a.pth")
    assert "left out" not in caplog.text
    with torch.no_grad():
        features = encoder.double()(fill_windows(IMAGE, encoder.window).double())  # RLFN's factors are steep
    figures.check(features.float())


@pytest.mark.parametrize("case", SHAPES)
def test_the_layouts_of_these_tests_are_the_published_ones(case):
    buffers = ("relative_position_index", "attn_mask")
    for name, shape in Published(case).layout:
        assert SHAPES[case].pop(name) == shape or name.endswith("attn_mask"), name
    assert all(name.split(".")[-1].startswith(buffers) for name in SHAPES[case])


def test_span_is_read_from_its_branches_or_fused_alone_but_never_from_an_older_sum(tmp_path: Path):
    trained = Published("span").weights  # its sums are as random as its branches
    fused = fuse_branches(trained)
    older = {name: tensor for name, tensor in trained.items() if ".sk." not in name and ".conv." not in name}
    read = {}
    for name, state in {
        "trained": trained,
        "branches": {name: tensor for name, tensor in trained.items() if "eval_conv" not in name},
        "fused": {name: tensor.float() for name, tensor in fused.items()},
        "older": older,
    }.items():
        torch.save({"params": state}, tmp_path / f"{name}.pth")
        encoder = SPAN(12, 6)
        load_encoder_weights(encoder, tmp_path / f"{name}.pth")
        read[name] = encoder.state_dict()
    for name, tensor in read["trained"].items():
        assert torch.equal(read["branches"][name], tensor)
        torch.testing.assert_close(read["fused"][name], tensor)
    assert (read["older"]["tail.weight"] - read["trained"]["tail.weight"]).abs().max() > 0.1


def test_span_without_part_of_its_branches_is_refused(tmp_path: Path):
    state = public.fabricate(public.span(8, 2))
    lost = state.pop("block_4.c2_r.conv.1.bias")
    torch.save(state, tmp_path / "a.pth")
    refused(SPAN(8, 6), tmp_path / "a.pth", "it lacks block_4.c2_r.conv.1.bias")
    torch.save(state | {"block_4.c2_r.conv.1.bias": lost[1:]}, tmp_path / "b.pth")
    refused(SPAN(8, 6), tmp_path / "b.pth", "the branches of block_4.c2_r do not fit together")
    torch.save(public.fabricate(public.span(8, 2)), tmp_path / "c.pth")
    refused(SPAN(12, 6), tmp_path / "c.pth", "8 wide and 6 deep", "12 wide and 6 deep")


def test_what_was_read_is_named(tmp_path: Path):
    encoder = SwinIR(12, 1, 4)
    torch.save({"params": public.fabricate(public.transformer("swinir", 12, 1, 4))}, tmp_path / "x4.pth")
    assert load_encoder_weights(encoder, tmp_path / "x4.pth") == "SwinIR (JingyunLiang/SwinIR), params"


def test_another_long_skip_than_the_published_one_is_named(tmp_path: Path):
    """GSASR's EDSR has BasicSR's names without the last convolution, and its features lack the skip."""
    shapes = public.edsr_basicsr(8, 1, 2)
    torch.save(public.fabricate(shapes), tmp_path / "basicsr.pth")
    without_tail = {
        name: shape for name, shape in shapes.items() if not name.startswith(("upsample", "conv_last"))
    }
    torch.save(public.fabricate(without_tail), tmp_path / "gsasr.pth")
    for name, long_skip, word in (
        ("basicsr", False, "with the long skip"),
        ("gsasr", True, "without the long skip"),
    ):
        assert word in load_encoder_weights(EDSR(8, 1, long_skip=long_skip), tmp_path / f"{name}.pth")
        assert "long skip" not in load_encoder_weights(
            EDSR(8, 1, long_skip=not long_skip), tmp_path / f"{name}.pth"
        )


def test_the_residual_scale_of_a_wide_edsr_is_named_since_weights_do_not_tell_it(tmp_path: Path):
    torch.save(public.fabricate(public.edsr_basicsr(256, 1, 2)), tmp_path / "wide.pth")
    assert "residual_scale=0.1" in load_encoder_weights(EDSR(256, 1), tmp_path / "wide.pth")
    assert "residual_scale" not in load_encoder_weights(EDSR(256, 1, 0.1), tmp_path / "wide.pth")


def test_a_released_network_is_to_be_converted_before_a_training_starts_from_it(tmp_path: Path):
    names = ("encoder.conv_first.weight", "conv1.weight", "mlp_vector.layers.0.weight", "mlp.layers.0.weight")
    torch.save(dict.fromkeys([*names, "mlp_offset.layers.0.weight"], torch.zeros(1)), tmp_path / "a.pth")
    refused(EDSR(8, 1), tmp_path / "a.pth", "holds ContinuousSR", "sr-convert", "init=")


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
    refused(SwinIR(12, 1, 4), tmp_path / "b.pth", "lacks norm.weight")


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
