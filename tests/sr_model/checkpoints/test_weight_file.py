"""What is no file of weights is named in one sentence that says what to do, and what it advises works."""

import argparse
import gzip
import importlib
import io
import pickle
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sr_model import CheckpointError
from sr_model.checkpoints.weight_file import read_weight_file

STATE = {"conv.weight": torch.ones(2, 3)}


def sentence(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        read_weight_file(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.endswith(".")
    assert text.count(". ") == 0
    return text


def archive(content: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def zipped(content: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)
    return packed.getvalue()


def saved(content: Any, **how: Any) -> bytes:
    packed = io.BytesIO()
    torch.save(content, packed, **how)
    return packed.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
OLD = {"sys_info": b"", "pickle": b"", "storages": b"", "tensors": b""}


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "is empty"),
        (bytes(20_000), "begins with zeros"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"\n<HTML>", "web page"),
        (b"\xef\xbb\xbf<html>", "web page"),
        (LFS, "git lfs pull"),
        (b"Entry not found", "begins with 'Entry not found'"),
        (b'{"error": "Invalid username or password."}', "text that begins with"),
        (gzip.compress(saved(STATE)), "gzip archive: unpack"),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "HDF5"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (saved(STATE)[:-200], "cut off"),
        (saved(STATE, _use_new_zipfile_serialization=False)[:-5], "cut off"),
        (b"\x40\0\0\0\0\0\0\0{", "not a whole safetensors file"),
        (zipped({"weights/a.pth": b"x", "readme.txt": b"y"}), "zip archive (weights/a.pth, readme.txt"),
        (archive({"a.pth": b"x"}), "tar archive: unpack"),
        (archive(OLD), "before 0.1.10"),
        (pickle.dumps(STATE), "torch.save did not write"),
        (pickle.dumps(STATE, protocol=2), "torch.save did not write"),
        (saved([1, 2]), "but a list"),
        (saved(3), "but a whole number"),
        (saved(torch.ones(3)), "but a Tensor"),
        (bytes(range(7, 90)), "is not a file of plain tensors"),
    ],
)
def test_each_kind_of_file_has_its_sentence(tmp_path: Path, content, phrase):
    (tmp_path / "weights.pth").write_bytes(content)
    assert phrase in sentence(tmp_path / "weights.pth")


def test_folders_and_missing_files_are_named(tmp_path: Path):
    assert "is a folder" in sentence(tmp_path)
    assert "is not a file" in sentence(tmp_path / "missing.pth")


NETWORK = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
OPTIONS = argparse.Namespace(rate=0.1)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("content", "found", "names"),
    [
        (NETWORK, "Sequential", {"0.weight", "0.bias"}),
        ({"model": NETWORK, "epoch": 3}, "Sequential", {"0.weight", "0.bias"}),
        ({"hyper_parameters": OPTIONS, "state_dict": STATE}, "argparse.Namespace", {"conv.weight"}),
        ({"params": STATE, "params_ema": STATE, "opt": OPTIONS}, "argparse.Namespace", {"conv.weight"}),
        ({"state_dict": NETWORK.state_dict(), "loss": np.float64(2)}, "numpy", {"0.weight", "0.bias"}),
        ({"conv.weight": np.ones((2, 3))}, "numpy", {"conv.weight"}),
    ],
)
def test_pickled_objects_are_named_and_the_advice_saves_the_weights_alone(
    tmp_path: Path, monkeypatch, content, found, names, legacy
):
    torch.save(content, tmp_path / "objects.pth", _use_new_zipfile_serialization=not legacy)
    advised(tmp_path, monkeypatch, "objects.pth", found, names)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_protocol_that_torch_reads_only_with_code_is_named(tmp_path: Path, monkeypatch, legacy):
    how = {"pickle_protocol": 4, "_use_new_zipfile_serialization": not legacy}
    torch.save({"state_dict": NETWORK.state_dict()}, tmp_path / "new.pth", **how)
    advised(tmp_path, monkeypatch, "new.pth", "pickle protocol 4", {"0.weight", "0.bias"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_archives_of_code_are_named(tmp_path: Path, monkeypatch):
    torch.jit.save(torch.jit.script(NETWORK), tmp_path / "script.pt")
    advised(tmp_path, monkeypatch, "script.pt", "TorchScript", {"0.weight", "0.bias"})
    program = torch.export.export(NETWORK.eval(), (torch.zeros(1, 1, 2, 2),))
    torch.export.save(program, tmp_path / "program.pt2")
    advised(tmp_path, monkeypatch, "program.pt2", "exported program", {"0.weight", "0.bias"})


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_a_checkpoint_of_several_processes_is_to_be_made_one_file(tmp_path: Path, monkeypatch):
    from torch.distributed.checkpoint import save

    save({"model": STATE}, checkpoint_id=tmp_path / "step-1", no_dist=True)
    (part,) = tmp_path.glob("step-1/*.distcp")
    command = re.search(r"`python -m (\S+) (\w+) (\S+) (\S+)`", sentence(tmp_path / "step-1"))
    assert command[0] in sentence(part)
    monkeypatch.chdir(tmp_path)
    getattr(importlib.import_module(command[1]), f"{command[2]}_save")(command[3], command[4])
    assert list(read_weight_file("weights.pth")) == ["model"]


def advised(folder: Path, monkeypatch, name: str, found: str, names: set[str]) -> None:
    """The sentence mentions `found`, and running the code in it leaves a file with just these names."""
    text = sentence(folder / name)
    assert found in text
    monkeypatch.chdir(folder)
    exec(re.search(r"(torch\.save\(.*\))\.$", text)[1], {"torch": torch})
    assert set(read_weight_file("weights.pth")) == names


def test_reading_runs_no_code(tmp_path: Path):
    class Dangerous:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    for legacy in (False, True):
        how = {"_use_new_zipfile_serialization": not legacy}
        torch.save({"params": STATE, "code": Dangerous()}, tmp_path / "a.pth", **how)
        assert "could run code" in sentence(tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()
