"""What a file of weights claims beyond its size is refused in one sentence: soon, and without the memory."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from mutations import CONTROL
from torch.serialization import MAGIC_NUMBER

from sr_model import CheckpointError
from sr_model.checkpoints.recognition import read_public_weights
from sr_model.checkpoints.torch_file import MOST_NAMES

STARTS = b"\x80\x02"
TEXT = b"c_codecs\nencode\nX\x04\0\0\0aaaaX\x06\0\0\0latin1\x86R"
PICKLES = {
    "bytearray": (
        b"c__builtin__\nbytearray\n\x8a\x05" + (10**11).to_bytes(5, "little") + b"\x85R.",
        "bytearray",
    ),
    "codec": (40 * b"c_codecs\nencode\n" + TEXT + 40 * b"X\x03\0\0\0hex\x86R" + b".", "codec"),
    "tuples": (b"}N" + 900_000 * b"\x85" + b"Ns.", "nested more than 50 deep"),
    "nested": (b"}" + 400_000 * b"K\0}" + 400_000 * b"s" + b".", "instructions"),
}


def zipped(content: bytes, how: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    """A file of torch.save with another pickle in it, and more entries."""
    packed, saved = io.BytesIO(), io.BytesIO()
    torch.save({}, saved)
    with zipfile.ZipFile(saved) as before, zipfile.ZipFile(packed, "w", how) as after:
        for name in before.namelist():
            after.writestr(name, content if name.endswith("data.pkl") else before.read(name))
        for name, data in more.items():
            after.writestr(f"archive/{name}", data)
    return packed.getvalue()


def legacy(content: bytes) -> bytes:
    machine = {"protocol_version": 1001, "little_endian": True}
    before = b"".join(pickle.dumps(one, 2) for one in (MAGIC_NUMBER, 1001, machine))
    return before + content + pickle.dumps([], 2)


def refused(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        read_public_weights(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.endswith(".")
    assert not CONTROL.search(text)
    return text


@pytest.mark.parametrize("form", [zipped, legacy])
@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_claim_more_than_they_are_are_refused(tmp_path: Path, name, form):
    content, phrase = PICKLES[name]
    assert phrase in refused(form(STARTS + content), tmp_path / "a.pth")


def test_an_archive_that_unpacks_to_more_than_the_file_is_refused(tmp_path: Path):
    bomb = zipped(pickle.dumps({}, 2), zipfile.ZIP_DEFLATED, weights=bytes(20_000_000))
    assert len(bomb) < 100_000
    assert "unpacks to 20.0 MB" in refused(bomb, tmp_path / "a.pth")


def test_an_archive_whose_names_are_no_text_is_damaged(tmp_path: Path):
    named = zipped(pickle.dumps({}, 2), é=b"x")
    assert "is damaged" in refused(named.replace(b"\xc3\xa9", b"\x80\x80"), tmp_path / "a.pth")


def saved(content: dict) -> bytes:
    packed = io.BytesIO()
    torch.save(content, packed)
    return packed.getvalue()


def test_tensors_that_repeat_numbers_are_no_weights(tmp_path: Path):
    repeated = torch.ones(1).expand(10**9)
    assert "has tensors of 4,000 MB" in refused(saved({"conv.weight": repeated}), tmp_path / "a.pth")
    shared = torch.ones(10**6)
    many = {f"{number}.weight": shared for number in range(50)}
    assert "has tensors of 200 MB" in refused(saved(many), tmp_path / "a.pth")


ONE = torch.ones(1)
NAMES = {
    "under each other": ["net." * 1500 + str(number) for number in range(300)],
    "of many blocks": [f"body.{number}.conv1.weight" for number in range(8_000)],
    "of many groups": [f"layers.{number}.residual_group.blocks.0.attn.qkv.weight" for number in range(8_000)],
    "of many prefixes": [f"{number}.conv_first.weight" for number in range(8_000)],
    "too many": [str(number) for number in range(MOST_NAMES + 1)],
}
UNPRINTABLE = {"a\n\x1b[1mb.weight": ONE}


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_any_number_and_depth_are_refused(tmp_path: Path, kind):
    assert len(refused(saved(dict.fromkeys(NAMES[kind], ONE)), tmp_path / "a.pth")) < 1500


def test_mappings_that_hold_each_other_are_looked_through_once(tmp_path: Path):
    content: dict = {"w": ONE}
    for _ in range(9):
        content = {f"{number}": content for number in range(50)}
    assert "holds no weights" in refused(saved(content), tmp_path / "a.pth")


def test_a_file_is_named_as_it_is_named(tmp_path: Path):
    refused(b"xx", tmp_path / "9.41\u202fPM \u65e5\u672c\u3000.pth")  # which begins with its path


def test_names_are_printed_on_one_line(tmp_path: Path):
    text = refused(saved(UNPRINTABLE), tmp_path / "a.pth")
    assert "a \ufffd[1mb.weight" in text


def test_objects_with_attributes_in_place_of_methods_are_plain(tmp_path: Path):
    content = b"ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\x01sX\x06\0\0\0valuesK\x01sb."
    assert "holds no weights" in refused(zipped(STARTS + content), tmp_path / "a.pth")


HEADERS = {
    "longer than the file": (1 << 60).to_bytes(8, "little") + b"{}",
    "nested": b"[" * 100_000,
    "overlapping": {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"},
    "beyond the end": {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
    "of a product beyond all numbers": {"a": {"dtype": "F32", "shape": [2**40] * 4, "data_offsets": [0, 8]}},
    "without bytes": {"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}},
    "of an unknown type": {"a": {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]}},
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADERS)
def test_safetensors_headers_that_claim_more_than_the_file_has_are_refused(tmp_path: Path, kind):
    header = HEADERS[kind]
    if isinstance(header, dict):
        header = json.dumps(header).encode()
    if not kind.startswith("longer"):
        header = len(header).to_bytes(8, "little") + header + bytes(8)
    (tmp_path / "a.safetensors").write_bytes(header)
    refused(header, tmp_path / "a.safetensors")


REFUSE = """
import resource, sys, time
from sr_model import CheckpointError
from sr_model.checkpoints.recognition import read_public_weights
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    read_public_weights(sys.argv[1])
except CheckpointError:
    print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_file_of_nonsense_is_refused_soon_and_in_little_memory(tmp_path: Path):
    content = saved(dict.fromkeys(["net." * 1500 + str(number) for number in range(1000)], ONE))
    (tmp_path / "a.pth").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", REFUSE, str(tmp_path / "a.pth")], capture_output=True, text=True, check=True
    )
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds < 10  # it took minutes
    assert kilobytes * 1e3 < 3 * len(content) + 200e6
