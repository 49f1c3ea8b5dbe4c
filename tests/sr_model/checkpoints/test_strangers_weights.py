"""Whatever changes in a file of weights: an encoder takes them, or the file is refused in one sentence."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mutations
import public_layouts as public
import pytest
import torch
from containers import FORMATS, WRAPPERS
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sr_model import CheckpointError
from sr_model.checkpoints.convert_continuoussr import convert_continuoussr
from sr_model.checkpoints.foreign import describe_foreign
from sr_model.checkpoints.pretrained import load_encoder_weights
from sr_model.encoders import EDSR, RDN, RLFN, SAFMN, SPAN, Encoder

ENCODERS: dict[str, tuple[Callable[[], Encoder], public.Shapes]] = {
    "EDSR": (lambda: EDSR(4, 1), public.edsr_basicsr(4, 1, 2)),
    "RDN": (lambda: RDN(2, 1), public.rdn_liif(2, 1)),
    "SPAN": (lambda: SPAN(4, 6), public.span(4, 2)),
    "RLFN": (lambda: RLFN(4, 6), public.rlfn(4, 2)),
    "SAFMN": (lambda: SAFMN(8, 1), public.safmn(8, 1, 2)),
}
PLAIN = [name for name in WRAPPERS if name != "plain"]


@cache
def encoder(kind: str) -> Encoder:
    return ENCODERS[kind][0]()


@cache
def weights(kind: str) -> dict[str, Tensor]:
    return public.fabricate(ENCODERS[kind][1])


@cache
def whole(kind: str, form: str, wrapper: str, folder: Path) -> bytes:
    FORMATS[form](WRAPPERS[wrapper](dict(weights(kind))), folder / "whole")
    return (folder / "whole").read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("changed") / "a.weights"


def taken_or_refused(path: Path, kind: str) -> None:
    for use in (
        lambda: load_encoder_weights(encoder(kind), path),
        lambda: convert_continuoussr(path, path.with_suffix(".out"), overwrite=True),
    ):
        try:
            use()
        except CheckpointError as error:
            text = str(error)
            assert str(path.parent) in text
            assert text.endswith(".")
            assert len(text) < 2500
            assert not mutations.CONTROL.search(text)
    describe_foreign(path)
    assert all(torch.isfinite(tensor).all() for tensor in encoder(kind).state_dict().values())


@mutations.examples(30)
@given(st.data(), st.sampled_from(list(ENCODERS)), st.sampled_from(list(FORMATS)), st.sampled_from(PLAIN))
def test_bytes(path: Path, data, kind, form, wrapper):
    path.write_bytes(data.draw(mutations.changed_bytes(whole(kind, form, wrapper, path.parent))))
    taken_or_refused(path, kind)


ODD: dict[str, Callable[[Tensor], Any]] = {
    "infinite": lambda t: t / 0,
    "complex": lambda t: t.to(torch.complex64),
    "whole": lambda t: t.long(),
    "yes": lambda t: t > 0,
    "eight bits": lambda t: t.to(torch.float8_e4m3fn),
    "flat": lambda t: t.flatten(),
    "none": lambda t: t[:0],
    "half": lambda t: t[: len(t) // 2],
    "twice": lambda t: torch.cat([t, t]),
    "one": lambda t: torch.ones(()),
    "repeated": lambda t: torch.ones(1).expand(10**8),
    "sparse": lambda t: t.to_sparse(),
    "meta": lambda t: t.to("meta"),
    "text": lambda t: "x",
    "number": lambda t: 3,
    "nothing": lambda t: None,
    "mapping": lambda t: {"weight": t},
}


def is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


NAMES = (
    "input.mean",
    "input.range",
    "block_9.c1_r.sk.weight",
    "body.99.conv1.weight",
    3,
    (1, 2),
    "",
    "a\n\x1b[1m",
    "x" * 9999,
)


@mutations.examples(60)
@given(
    st.data(), st.sampled_from(list(ENCODERS)), st.booleans(), st.sampled_from(["params", "state_dict", "x"])
)
def test_tensors(path: Path, data, kind, legacy, key):
    content: dict[Any, Any] = dict(weights(kind))
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(list(content)))
        value = content.pop(name)
        # Of a tensor as it was saved: torch computes little with those that are odd already.
        if isinstance(value, Tensor) and value.ndim and value.dtype == torch.float32 and is_plain(value):
            value = ODD[data.draw(st.sampled_from(list(ODD)))](value)
        if data.draw(st.booleans()):
            name = data.draw(st.one_of(st.just(name), st.sampled_from(NAMES)))
            content[name] = value
    torch.save({key: content}, path, _use_new_zipfile_serialization=not legacy)
    taken_or_refused(path, kind)


def param(lines: list[str]) -> str:
    return "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines])


LAYERS = [
    "Input in 0 1 x",
    "MemoryData mean 0 1 m 0=1 1=1 2=3",
    "BinaryOp sub 2 1 x m y 0=1",
    "Convolution /conv_1/eval_conv/Conv 1 1 y z 0=2 1=3 4=1 5=1 6=54",
]
BINARY = torch.arange(3).float().numpy().tobytes() + bytes(4) + torch.ones(56).numpy().tobytes()


@mutations.examples(30)
@given(st.data())
def test_ncnn(path: Path, data):
    text, binary = path.with_suffix(".param"), path.with_suffix(".bin")
    lines = list(LAYERS)
    number = data.draw(st.integers(0, len(lines) - 1))
    words = lines[number].split()
    at = data.draw(st.integers(0, len(words) - 1))
    key, equals, _ = words[at].partition("=")
    value = data.draw(
        st.sampled_from(["0", "-1", "1", "1000000000", "nan", "inf", "1e300", "x", "9" * 400, "1.5"])
    )
    words[at] = f"{key}={value}" if equals else value
    lines[number] = " ".join(words)
    text.write_bytes(
        data.draw(st.one_of(st.just(param(lines).encode()), mutations.changed_bytes(param(LAYERS).encode())))
    )
    binary.write_bytes(data.draw(st.one_of(st.just(BINARY), mutations.changed_bytes(BINARY))))
    taken_or_refused(text, "SPAN")
