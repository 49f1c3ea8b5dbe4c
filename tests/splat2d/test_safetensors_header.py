"""Headers of safetensors files agree with the files' bytes, or are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from splat2d.safetensors_header import Stored, read_header


def _file(path: Path, header: object, content: bytes = b"", claimed: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if claimed is None else claimed).to_bytes(8, "little") + text + content)
    return path


def test_reads_types_shapes_and_metadata(tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(2, 3, dtype=torch.bfloat16), "b": torch.zeros((), dtype=torch.int64)}
    save_file(tensors, tmp_path / "a", metadata={"x": "y"})
    header = read_header(tmp_path / "a")
    assert header.tensors == {"a": Stored("BF16", (2, 3)), "b": Stored("I64", ())}
    assert header.metadata == {"x": "y"}
    assert header.nbytes == (tmp_path / "a").stat().st_size


@pytest.mark.parametrize(
    ("header", "content"),
    [
        (b"", b""),
        (b"{", b""),
        (b"[]", b""),
        (b"[" * 100_000, b""),
        ({"a": 3}, b""),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(3)),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}, bytes(4)),
        ({"a": {"dtype": "x", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        ({"a": {"dtype": "\x1b[2J", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
        ({"a": {"dtype": "F32", "shape": [0, 2**60], "data_offsets": [0, 0]}}, b""),
        ({"__metadata__": {"a": 3}}, b""),
        ({"__metadata__": "a"}, b""),
        ({f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_001)}, b""),
    ],
)
def test_refuses_what_the_bytes_do_not_bear_out(tmp_path: Path, header: object, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it") as refused:
        read_header(_file(tmp_path / "a", header, content))
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("claimed", [3, 2**31, 2**63, 2**64 - 1])
def test_refuses_headers_longer_than_the_file(tmp_path: Path, claimed: int) -> None:
    with pytest.raises(ValueError, match=r"its header claims|not a whole safetensors"):
        read_header(_file(tmp_path / "a", {}, b"", claimed))


def test_refuses_short_files_and_long_headers(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234567")
    with pytest.raises(ValueError, match="it has 7 bytes"):
        read_header(tmp_path / "a")
    with (tmp_path / "b").open("wb") as file:
        file.write((70_000_000).to_bytes(8, "little"))
        file.truncate(80_000_000)
    with pytest.raises(ValueError, match="more than the 64000000"):
        read_header(tmp_path / "b")
    with pytest.raises(OSError, match="No such file"):
        read_header(tmp_path / "c")
