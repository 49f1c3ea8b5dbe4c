"""A checkpoint from a stranger is read, or refused in one sentence that names what is wrong in it."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sr_model import CheckpointError, ContinuousSR, load
from sr_model.checkpoints.checkpoint import DICTIONARY, FORMAT, WEIGHTS
from sr_model.checkpoints.tensor_file import write_tensors

Parts = tuple[dict[str, Tensor], dict]


@pytest.fixture
def parts(network: ContinuousSR, kernels: Tensor) -> Parts:
    """The tensors and the header of the smallest checkpoint."""
    tensors = {WEIGHTS + name: tensor for name, tensor in network.state_dict().items()}
    settings = json.loads(json.dumps(asdict(network.settings)))
    return tensors | {DICTIONARY: kernels}, {"architecture": "continuoussr", "network": settings, "step": 7}


def refused(tensors: dict[str, Tensor], header: object, path: Path) -> str:
    write_tensors(path, tensors, FORMAT, header)
    with pytest.raises(CheckpointError) as error:
        load(path, "cpu")
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.endswith(".")
    return text


SETTINGS = {
    "width": [True, "8", 8.0, None, [8], {}, 0, -1, 10**6, 10**9, 10**20],
    "depth": [10**9, 50_000, 1.5],
    "hidden": [8, "8", [10**9], [8] * 100_000, [[8]], [True]],
    "cells": [33, 10**9],
    "margin": [65, 10**9],
    "encoder": [["edsr"], {"edsr": 1}, 3, "vgg"],
    "interpolate": ["true", 1, None],
    "start_sigma": [float("nan"), float("inf"), 1e300, -1, "1"],
    "residual_scale": [1e300, float("nan")],
    "dictionary_size": [10**12, True],
    "dictionary_range": [[1] * 5, "x", [float("inf")] * 6],
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name in SETTINGS for v in SETTINGS[name]])
def test_settings_of_another_type_or_size_are_refused_by_name(tmp_path: Path, parts: Parts, name, value):
    tensors, header = parts
    header["network"][name] = value
    text = refused(tensors, header, tmp_path / "a.safetensors")
    assert name in text or "larger network" in text or "cannot be made" in text


HEADERS = {
    "architecture": [3, ["continuoussr"], {}, "vgg"],
    "network": [3, "x", [], None, {}],
    "step": ["7", True, [7], 1e300],
    "converted": ["x", [1], 3],
    "init": ["reference"],
    "dictionary": ["x", [{}]],
}


@pytest.mark.parametrize("encoder", [["edsr"], {}, 3])
def test_settings_of_a_conversion_by_an_earlier_release_are_checked_too(
    tmp_path: Path, parts: Parts, encoder
):
    tensors, header = parts
    header["network"]["encoder"] = encoder
    assert "encoder" in refused(
        tensors, {**header, "converted": {"license": "x"}}, tmp_path / "a.safetensors"
    )


@pytest.mark.parametrize(("name", "value"), [(name, v) for name in HEADERS for v in HEADERS[name]])
def test_headers_of_another_type_are_refused_by_name(tmp_path: Path, parts: Parts, name, value):
    tensors, header = parts
    assert name.rstrip("s") in refused(tensors, {**header, name: value}, tmp_path / "a.safetensors")


def test_headers_that_are_missing_or_no_objects_are_refused(tmp_path: Path, parts: Parts):
    from safetensors.torch import save_file

    path, header = tmp_path / "a.safetensors", parts[1]
    tensors = {name: tensor.contiguous() for name, tensor in parts[0].items()}
    assert "lacks network" in refused(tensors, {"step": 3}, path)
    for text in (None, "3", "[]", "{", "[" * 100_000, json.dumps(header)[:-1]):
        save_file(tensors, str(path), {"format": FORMAT} | ({} if text is None else {"header": text}))
        with pytest.raises(CheckpointError, match=r"a\.safetensors is not .*'header'"):
            load(path, "cpu")


WEIGHT = WEIGHTS + "encoder.head.weight"
TENSORS = {
    "not finite": lambda t: t * float("nan"),
    "complex64 numbers": lambda t: t.to(torch.complex64),
    "int64 numbers": lambda t: t.long(),
    "float8_e4m3fn numbers": lambda t: t.to(torch.float8_e4m3fn),
    "and not": lambda t: t[:1],
}


@pytest.mark.parametrize("reason", TENSORS)
def test_weights_that_are_no_finite_numbers_are_refused_by_name(tmp_path: Path, parts: Parts, reason):
    tensors, header = parts
    text = refused({**tensors, WEIGHT: TENSORS[reason](tensors[WEIGHT])}, header, tmp_path / "a.safetensors")
    assert "encoder.head.weight" in text
    assert reason in text


@pytest.mark.parametrize(
    "kernels",
    [torch.ones(3), torch.ones(2, 4), torch.ones(0, 3), torch.ones(2, 3).long(), torch.ones(2, 3) / 0],
)
def test_kernels_of_another_shape_or_type_are_refused(tmp_path: Path, parts: Parts, kernels):
    tensors, header = parts
    assert DICTIONARY in refused({**tensors, DICTIONARY: kernels}, header, tmp_path / "a.safetensors")


def test_weights_of_half_the_bits_are_read(tmp_path: Path, parts: Parts):
    tensors, header = parts
    halves = {name: t.half() if name.startswith(WEIGHTS) else t for name, t in tensors.items()}
    write_tensors(tmp_path / "a.safetensors", halves, FORMAT, header)
    assert load(tmp_path / "a.safetensors", "cpu").encoder.head.weight.dtype == torch.float32
