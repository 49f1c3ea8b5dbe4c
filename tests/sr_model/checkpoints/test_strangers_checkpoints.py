"""Whatever changes in a checkpoint: it is still one, or it is refused in one sentence."""

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import mutations
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from sr_model import PRESETS, Checkpoint, CheckpointError, load
from sr_model.checkpoints.checkpoint import DICTIONARY, FORMAT, WEIGHTS
from sr_model.networks.registry import architecture_name, build_network

NETWORKS = {
    "continuoussr": replace(
        PRESETS["light"].network, width=4, depth=1, features=4, latent=4, embedding=(4,), hidden=(4,),
        dictionary_size=None,
    ),
    "gsasr": replace(
        PRESETS["gsasr-demo"].network, width=4, depth=1, channels=4, heads=2, window=4, head_hidden=(4,)
    ),
}  # fmt: skip
KERNELS = torch.tensor([[x, y, z] for x in (0.5, 0.9) for y in (-0.2, 0.2) for z in (0.5, 0.9)]).double()


@cache
def parts(name: str) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the header of a small checkpoint."""
    network = build_network(NETWORKS[name], KERNELS)
    tensors = {WEIGHTS + key: tensor for key, tensor in network.state_dict().items()}
    header = {
        "architecture": name,
        "network": json.loads(json.dumps(asdict(network.settings))),
        "step": 7,
        "dictionary": {"density": 0.25},
        "converted": {"license": "x"},
        "init": {"from": "a", "step": 1},
    }
    tensors[DICTIONARY] = KERNELS
    return {key: tensor.contiguous() for key, tensor in tensors.items()}, header


def content(name: str, header: object) -> bytes:
    return save(parts(name)[0], {"format": FORMAT, "header": json.dumps(header)})


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("changed") / "a.safetensors"


def read_or_refused(path: Path) -> None:
    """A network that can be used, or one sentence that names the file."""
    try:
        network = load(path, "cpu")
    except CheckpointError as error:
        mutations.check_sentence(str(error), path)
        return
    assert architecture_name(network.settings) in NETWORKS
    assert Checkpoint.load(path).network == network.settings
    with torch.no_grad():
        network(torch.zeros(1, 3, 4, 4), 2.0)


@mutations.examples(40)
@given(st.data(), st.sampled_from(list(NETWORKS)))
def test_headers(path: Path, data, name):
    header = data.draw(mutations.changed_json(parts(name)[1]))
    path.write_bytes(content(name, header))
    read_or_refused(path)


@mutations.examples(40)
@given(st.data(), st.sampled_from(list(NETWORKS)))
def test_settings(path: Path, data, name):
    header = dict(parts(name)[1])
    header["network"] = data.draw(mutations.changed_json(header["network"]))
    path.write_bytes(content(name, header))
    read_or_refused(path)


@mutations.examples(40)
@given(st.data(), st.sampled_from(list(NETWORKS)))
def test_bytes(path: Path, data, name):
    path.write_bytes(data.draw(mutations.changed_bytes(content(name, parts(name)[1]))))
    read_or_refused(path)


CHANGES = {
    "type": lambda t: t.to(torch.float16),
    "whole": lambda t: t.long(),
    "complex": lambda t: t.to(torch.complex64),
    "infinite": lambda t: t / 0,
    "flat": lambda t: t.flatten(),
    "empty": lambda t: t[:0] if t.ndim else t.expand(0),
    "deeper": lambda t: t[None],
    "twice": lambda t: torch.cat([t, t]) if t.ndim else t,
    "one": lambda t: torch.ones(()),
}


@mutations.examples(40)
@given(st.sampled_from(list(NETWORKS)), st.integers(0, 1000), st.sampled_from(list(CHANGES)), st.booleans())
def test_tensors(path: Path, name, number, change, lost):
    tensors = dict(parts(name)[0])
    chosen = list(tensors)[number % len(tensors)]
    tensors[chosen] = CHANGES[change](tensors[chosen]).contiguous()
    if lost:
        del tensors[chosen]
    path.write_bytes(save(tensors, {"format": FORMAT, "header": json.dumps(parts(name)[1])}))
    read_or_refused(path)
