"""Weights load whatever wraps them, in every file format and number format."""

from functools import cache
from pathlib import Path

import containers
import public_layouts as public
import pytest
import torch
from containers import DTYPES, FORMATS, WRAPPERS, State, cast

from sr_model.checkpoints.container import find_weights, under
from sr_model.checkpoints.pretrained import load_encoder_weights
from sr_model.checkpoints.recognition import read_public_weights
from sr_model.encoders import EDSR, HAT, RDN, SwinIR

WITHOUT_TAIL = {
    n: s for n, s in public.edsr_basicsr(4, 1, 2).items() if "upsample" not in n and "last" not in n
}
ENCODERS = {
    "HAT (XPixelGroup/HAT)": (lambda: HAT(30, 1, 4), public.transformer("hat", 30, 1, 4)),
    "SwinIR (JingyunLiang/SwinIR)": (lambda: SwinIR(12, 1, 4), public.transformer("swinir", 12, 1, 4)),
    "EDSR (BasicSR)": (lambda: EDSR(4, 1), public.edsr_basicsr(4, 1, 2)),
    "EDSR (GSASR)": (lambda: EDSR(4, 1, long_skip=False), WITHOUT_TAIL),
    "EDSR (EDSR-PyTorch)": (lambda: EDSR(4, 1), public.edsr_pytorch(4, 1, 2)),
    "EDSR (LIIF)": (lambda: EDSR(4, 1), {f"encoder.{n}": s for n, s in public.edsr_pytorch(4, 1, 2).items()}),
    "RDN (LIIF)": (lambda: RDN(2, 1), public.rdn_liif(2, 1)),
    "RDN (GSASR)": (lambda: RDN(2, 1), public.rdn_liif(2, 1, prefix="")),
    "RDN (yjn870/RDN-pytorch)": (lambda: RDN(2, 1), public.rdn_yjn870(2, 1, 2)),
}


@cache
def encoder_of(layout: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return ENCODERS[layout][0]()


@cache
def state_of(layout: str) -> State:
    return public.fabricate(ENCODERS[layout][1])


def loaded(layout: str, path: Path) -> State:
    """The weights of the layout's encoder after loading a file that is in it."""
    encoder = encoder_of(layout)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert load_encoder_weights(encoder, path).startswith(layout)
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


@cache
def expected(layout: str, folder: Path) -> State:
    torch.save(state_of(layout), folder / "expected.pth")
    return loaded(layout, folder / "expected.pth")


def same(ours: State, theirs: State) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(t, theirs[name]) for name, t in ours.items())


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("layout", ENCODERS)
def test_every_encoder_loads_from_every_container(tmp_path_factory, tmp_path: Path, layout, wrapper):
    torch.save(WRAPPERS[wrapper](state_of(layout)), tmp_path / "a.pth")
    assert same(loaded(layout, tmp_path / "a.pth"), expected(layout, tmp_path_factory.getbasetemp()))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_container_is_read_in_every_format_and_dtype(tmp_path: Path, wrapper, file_format):
    for dtype in DTYPES:
        state = cast(state_of("EDSR (BasicSR)"), dtype)
        FORMATS[file_format](WRAPPERS[wrapper](state), tmp_path / "a.weights")
        found = read_public_weights(tmp_path / "a.weights")
        assert found.layout.name == "EDSR (BasicSR)"
        tensors = {name: found.tensors[name] for name in state}
        assert {t.dtype for t in tensors.values()} == {torch.float32}
        assert same(tensors, cast(state, torch.float32))


AVERAGED = {
    "params_ema": lambda plain, average: {"params": plain, "params_ema": average},
    "net_g_ema": lambda plain, average: {"net_g": plain, "net_g_ema": average},
    "state_dict.model_ema": lambda plain, average: {
        "state_dict": containers.prefixed("model.")(plain) | containers.prefixed("model_ema.")(average)
    },
    "stage_2.params_ema": lambda plain, average: {"stage_2": {"params": plain, "params_ema": average}},
    "ema": lambda plain, average: {"ema": average, "model": {"sd": plain}},
}


@pytest.mark.parametrize("key", AVERAGED)
def test_averaged_weights_are_taken_and_it_is_said(tmp_path: Path, caplog, key):
    average = state_of("RDN (LIIF)")
    plain = {name: tensor + 1 for name, tensor in average.items()}
    torch.save(AVERAGED[key](plain, average), tmp_path / "a.pth")
    with caplog.at_level("INFO"):
        found = read_public_weights(tmp_path / "a.pth")
    assert found.key == key
    assert same(dict(found.tensors), average)
    assert f"taken from {key}, the averaged weights" in caplog.text
    other = caplog.text.split("key=")[1].split(" ")[0]
    assert same(dict(read_public_weights(tmp_path / "a.pth", other).tensors), plain)


def test_nothing_is_said_of_weights_without_an_alternative(tmp_path: Path, caplog):
    torch.save({"params": state_of("RDN (LIIF)"), "params_ema": {}}, tmp_path / "a.pth")
    with caplog.at_level("INFO"):
        read_public_weights(tmp_path / "a.pth")
    assert caplog.text == ""


def test_a_key_that_does_not_speak_for_itself_is_said(tmp_path: Path, caplog):
    torch.save({"stage_2": state_of("EDSR (BasicSR)")}, tmp_path / "a.pth")
    with caplog.at_level("INFO"):
        read_public_weights(tmp_path / "a.pth")
    assert "taken from stage_2, which alone holds EDSR (BasicSR)" in caplog.text


def test_other_number_formats_are_said(tmp_path: Path, caplog):
    torch.save(cast(state_of("RDN (LIIF)"), torch.bfloat16), tmp_path / "a.pth")
    with caplog.at_level("INFO"):
        read_public_weights(tmp_path / "a.pth")
    assert "bfloat16 weights become float32" in caplog.text


def test_a_mapping_that_contains_itself_ends(tmp_path: Path):
    content: dict = {"params": state_of("EDSR (BasicSR)")}
    content["params"] = {**content["params"], "again": content}
    torch.save(content, tmp_path / "a.pth")
    assert read_public_weights(tmp_path / "a.pth").key == "params"


def test_parameters_lose_their_gradients(tmp_path: Path):
    parameters = {name: torch.nn.Parameter(t) for name, t in state_of("EDSR (BasicSR)").items()}
    torch.save(parameters, tmp_path / "a.pth")
    assert not any(t.requires_grad for t in read_public_weights(tmp_path / "a.pth").tensors.values())


def test_what_is_no_plain_tensor_is_no_weight():
    odd = {
        "sparse": torch.eye(2).to_sparse(),
        "meta": torch.zeros(1, device="meta"),
        "text": "x",
        "list": [1],
    }
    assert find_weights({"params": odd}) == []
    (only,) = find_weights({"params": odd, "step": torch.tensor(1)})
    assert only.key == ""


def test_a_key_reaches_into_mappings_and_prefixes():
    one = torch.zeros(1)
    content = {"model": {"sd": {"module.encoder.conv.weight": one, "head.weight": one}}, "a.b": {"c": one}}
    assert under(content, "model.sd.encoder") == {"conv.weight": one}
    assert under(content, "model.sd.module.encoder") == {"conv.weight": one}
    assert under(content, "a.b") == {"c": one}
    assert under(content, "model.other") is None
    assert under(content, "") is content
