"""Weights in no known layout are answered by what was tried, what was found, and what comes nearest."""

from pathlib import Path

import public_layouts as public
import pytest
import torch

from sr_model import CheckpointError
from sr_model.checkpoints.layout import Layout, own_names
from sr_model.checkpoints.layouts import GSASR_DECODER, LAYOUTS
from sr_model.checkpoints.recognition import KNOWN, read_public_weights

EDSR = public.fabricate(public.edsr_basicsr(4, 2, 2))


def sentence(path: Path, content: dict, key: str = "") -> str:
    torch.save(content, path / "a.pth")
    with pytest.raises(CheckpointError) as error:
        read_public_weights(path / "a.pth", key)
    text = str(error.value)
    assert text.startswith(f"{path / 'a.pth'} ")
    assert text.endswith(".")
    assert text.count(". ") == 0
    return text


def test_what_was_tried_found_and_is_nearest_is_said(tmp_path: Path):
    changed = {n: t for n, t in EDSR.items() if n not in ("conv_after_body.weight", "conv_after_body.bias")}
    changed["attention.weight"] = torch.zeros(1)
    text = sentence(tmp_path, {"params_ema": changed})
    for layout in KNOWN:
        assert layout.name in text
    assert "its 15 names are conv_first.weight, conv_first.bias, body.0.conv1.weight and 12 more" in text
    assert "nearest layout is EDSR (BasicSR)" in text
    assert "lacks conv_after_body.weight, conv_after_body.bias" in text
    assert "adds attention.weight" in text


def test_every_layout_is_the_nearest_to_itself_without_one_of_its_marks(tmp_path: Path):
    swinir, hat = (public.transformer(kind, 30, 1, 2) for kind in ("swinir", "hat"))
    states = [
        public.edsr_basicsr(4, 1, 2), public.edsr_pytorch(4, 1, 2), swinir, hat,
        public.rdn_liif(2, 1), public.rdn_yjn870(2, 1, 2), public.rlfn(2, 2), public.safmn(4, 1, 2),
    ]  # fmt: skip
    names = (
        "EDSR (BasicSR)",
        "EDSR (EDSR-PyTorch)",
        "SwinIR",
        "HAT",
        "RDN (LIIF)",
        "RDN (yjn870",
        "RLFN",
        "SAFMN",
    )
    for shapes, name in zip(states, names, strict=True):
        layout = next(layout for layout in LAYOUTS if layout.name.startswith(name))
        lost = layout.marks[-1]
        text = sentence(tmp_path, {n: t for n, t in public.fabricate(shapes).items() if n != lost})
        assert f"nearest layout is {layout.name}, of which it lacks {lost}" in text


def test_names_that_no_layout_has_are_said_to_be_so(tmp_path: Path):
    text = sentence(tmp_path, {"resblock.0.w": torch.zeros(1), "resblock.1.w": torch.zeros(1)})
    assert "its 2 names are resblock.0.w, resblock.1.w" in text
    assert "none of the layouts has any of them" in text


def test_a_file_without_weights_names_what_it_holds(tmp_path: Path):
    assert "holds no weights, but epoch, lr" in sentence(tmp_path, {"epoch": 1, "lr": 0.1})
    assert "holds no weights, but nothing" in sentence(tmp_path, {})


def test_a_network_among_others_under_an_unfamiliar_prefix_is_named(tmp_path: Path):
    mixed = {f"student.{n}": t for n, t in EDSR.items()} | {"loss.weight": torch.zeros(1)}
    assert "EDSR (BasicSR) under an unfamiliar prefix: take it with key=state_dict.student" in sentence(
        tmp_path, {"state_dict": mixed}
    )
    assert read_public_weights(tmp_path / "a.pth", "state_dict.student").key == "state_dict.student"


def test_one_of_several_unfamiliar_networks_must_be_named(tmp_path: Path):
    text = sentence(tmp_path, {"student": EDSR, "teacher": EDSR})
    assert "under student, teacher" in text
    assert "key=student" in text
    assert read_public_weights(tmp_path / "a.pth", "teacher").key == "teacher"


def test_another_projects_encoder_is_taken_only_when_it_is_named(tmp_path: Path):
    """Its images may be in other units than those of the layout's authors."""
    assert "key=encoder" in sentence(tmp_path, {"encoder": EDSR, "imnet": {"a": torch.zeros(1)}})
    sentence(tmp_path, {f"encoder.{name}": tensor for name, tensor in EDSR.items()})


def test_a_wrong_key_is_answered_with_those_that_there_are(tmp_path: Path):
    text = sentence(tmp_path, {"params": EDSR, "epoch": 3}, key="params_ema")
    assert "nothing under key=params_ema: it has weights under params" in text
    assert "it has weights under no key" in sentence(tmp_path, {"epoch": 3}, key="params")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path):
    broken = {n: t.clone() for n, t in EDSR.items()}
    broken["body.1.conv2.bias"][0] = float("nan")
    assert "not finite (in body.1.conv2.bias)" in sentence(tmp_path, {"params": broken})
    decoder = {mark: torch.zeros(2, 2) for mark in GSASR_DECODER.marks} | {"pos_embedding": torch.zeros(2, 2)}
    decoder["pos_embedding"][1, 1] = float("inf")
    assert "not finite (in pos_embedding)" in sentence(tmp_path, decoder)
    quantized = {n: t.to(torch.int8) for n, t in EDSR.items()}
    assert "quantized weights (int8 in conv_first.weight)" in sentence(tmp_path, quantized)


def test_tensors_that_the_layout_does_not_have_are_named(tmp_path: Path, caplog):
    torch.save({"params": EDSR}, tmp_path / "a.pth")
    read_public_weights(tmp_path / "a.pth")
    assert not caplog.text
    torch.save({"params": EDSR | {"body.0.attention.weight": torch.zeros(1)}}, tmp_path / "a.pth")
    read_public_weights(tmp_path / "a.pth")
    assert "body.0.attention.weight left out, which EDSR (BasicSR) does not have" in caplog.text


@pytest.mark.parametrize(
    "layout", [each for each in LAYOUTS if isinstance(each, Layout)], ids=lambda x: x.name
)
def test_every_layer_of_an_encoder_has_a_public_name_that_leads_back_to_it(layout: Layout):
    own = own_names(layout.encoder.__name__.lower(), 2)
    assert len(own) > 8
    for name in own:
        assert layout.rename(layout.public_name(name).replace("*", "2")) == name
