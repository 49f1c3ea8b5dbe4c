"""Chunks, pieces and metadata of arrays from strangers are not unpacked or followed beyond what they are."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr
from mutations import nested
from numcodecs.vlen import VLenUTF8
from numcodecs.zstd import Zstd
from strange_stores import (
    chunk_of,
    in_one_sentence,
    part_of,
    with_checksum,
)
from zarr.errors import ZarrUserWarning

from dgp_mining.retry import TEMPORARY
from dgp_mining.store.bounded import ChunkSize
from dgp_mining.store.columns import ArrayName
from dgp_mining.store.description import Extent
from dgp_mining.store.layout import crop_arrays
from dgp_mining.store.store import Store
from dgp_mining.store.verify import verify


@pytest.mark.parametrize("name", ["crops/status", "crops/result", "crops/position", "images/name"])
def test_a_chunk_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(store: Path, name: str) -> None:
    bomb = Zstd(1).encode(bytes(100_000_000))
    claims = bytearray(bomb[:4]) + bytes([0xE0]) + (1 << 40).to_bytes(8, "little") + bomb[12:]
    for content in (bomb, bytes(claims), bomb[:4] + b"\x00\x58" + bomb[9:], b"", b"x" * 50):
        chunk_of(store, name).write_bytes(with_checksum(content))
        said = in_one_sentence(store)
        assert "a chunk " in said or "bytes, more than the" in said, said


def test_texts_that_claim_to_be_others_than_the_rows_are_damage(store: Path) -> None:
    for number in (2**32 - 1, 10_000_000, 1):
        content = Zstd(1).encode(number.to_bytes(4, "little") + bytes(100))
        chunk_of(store, "images/name").write_bytes(with_checksum(content))
        assert f"{number} texts, and not 65536" in in_one_sentence(store)


def test_a_long_reason_of_one_crop_is_read(store: Path) -> None:
    chunk = chunk_of(store, "crops/error")
    text = VLenUTF8().encode(np.array(["x" * 50_000], object))
    chunk.write_bytes(with_checksum(bytes(Zstd(1).encode(text))))
    assert Store.open(store).at(np.array([int(chunk.name)])).error[0] == "x" * 50_000


def test_devices_pipes_and_huge_files_are_not_read(store: Path) -> None:
    for make in (
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
        lambda path: os.truncate(path, 10**12) if path.write_bytes(b"") is not None else None,
    ):
        for file in (chunk_of(store, "crops/result"), part_of(store) / "zarr.json", store / "zarr.json"):
            aside = file.rename(file.with_name("aside"))
            make(file)
            assert in_one_sentence(store)
            file.unlink()
            aside.rename(file)
    assert verify(store).sound


def test_folders_in_folders_a_thousand_deep_are_passed_over(store: Path) -> None:
    deep = store
    for _ in range(1200):
        deep = deep / "d"
        deep.mkdir()
    (deep / f"old{TEMPORARY}").touch()
    os.utime(deep / f"old{TEMPORARY}", (0, 0))
    Store.open(store).remove_stale_files()
    assert not list(deep.iterdir())
    while deep != store:  # shutil.rmtree would go as deep
        deep.rmdir()
        deep = deep.parent


def test_groups_in_groups_are_not_followed_a_thousand_deep(store: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(str(store), zarr_format=3)
    deep = store / "parts"
    for _ in range(30):
        deep = deep / "d"
        deep.mkdir()
        (deep / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    assert "it lies more than 20 groups deep" in in_one_sentence(store)


@pytest.mark.parametrize("change", ["codecs", "grid", "shape", "dtype", "fill", "deep"])
def test_metadata_of_arrays_are_compared_and_not_followed(store: Path, change: str) -> None:
    file = part_of(store) / "crops/result/zarr.json"
    about = json.loads(file.read_text())
    match change:
        case "codecs":
            about["codecs"] = [{"name": "bytes"}, {"name": "numcodecs.pickle", "configuration": {}}]
        case "grid":
            about["chunk_grid"]["configuration"]["chunk_shape"] = [10**12, 10**12]
        case "shape":
            about["shape"] = [10**12, 4]
        case "dtype":
            about["data_type"] = "complex128"
        case "fill":
            about["fill_value"] = "x" * 1000
        case "deep":
            about["attributes"] = nested(900)
    file.write_text(json.dumps(about))
    assert "crops/result" in in_one_sentence(store)


def test_a_chunk_of_failed_crops_with_large_fields_is_no_damage() -> None:
    """All zero, so that its file is thousands of times smaller."""
    layouts = crop_arrays(Extent(crops=12, images=1, chunk=12, gaussians=1 << 20))
    colors = layouts[ArrayName.COLORS].chunk_size
    assert colors.nbytes > 400_000_000
    content = bytearray(Zstd(3).encode(bytes(1 << 20)))  # only the header is looked at
    content[4:13] = bytes([0xE0]) + colors.nbytes.to_bytes(8, "little")
    colors.check(bytes(content))
    with pytest.raises(ValueError, match=r"a chunk of .* bytes says that it has"):
        ChunkSize(1 << 31, free=1 << 30).check(b"\x28\xb5\x2f\xfd\xe0" + (1 << 31).to_bytes(8, "little"))
