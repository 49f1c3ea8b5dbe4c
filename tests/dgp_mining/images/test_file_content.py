"""Copies are found by content, and files that only have the same size are hardly read."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from dgp_mining.images import file_content
from dgp_mining.images.file_content import copies, nbytes_of, sha256_of


def written(folder: Path, **contents: bytes) -> list[Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def found(paths: list[Path]) -> dict[int, int]:
    return copies(paths, [nbytes_of(path) for path in paths])


def test_the_file_with_the_shortest_name_is_the_original(tmp_path: Path) -> None:
    names = ("a copy.png", "a (1).png", "b.png", "a.png", "a.png.bak")
    paths = written(tmp_path, **dict.fromkeys(names, b"one"))
    assert found(paths) == {0: 3, 1: 3, 2: 3, 4: 3}


def test_all_files_of_one_content_belong_together(tmp_path: Path) -> None:
    paths = written(tmp_path, a=b"one", b=b"two", c=b"two", d=b"three", e=b"one", f=b"one")
    assert found(paths) == {2: 1, 4: 0, 5: 0}


def test_files_that_differ_in_one_byte_anywhere_are_no_copies(tmp_path: Path) -> None:
    content = bytes(100_000)
    changed = {f"x{at}": content[:at] + b"\1" + content[at + 1 :] for at in (0, 20_000, 50_000, 99_999)}
    assert found(written(tmp_path, a=content, **changed)) == {}


def test_only_files_that_agree_in_size_and_at_three_places_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def digest(path: Path) -> bytes:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(file_content, "sha256_of", digest)
    noise = [os.urandom(50_000) for _ in range(3)]
    paths = written(tmp_path, a=noise[0], b=noise[1], c=noise[2], d=noise[0], longer=noise[0] + b"1")
    assert found(paths) == {3: 0}
    assert sorted(read) == ["a", "d"]


def test_what_vanishes_meanwhile_is_no_copy(tmp_path: Path) -> None:
    (path,) = written(tmp_path, a=b"one")
    assert copies([path, tmp_path / "gone"], [3, 3]) == {}


def test_an_image_that_is_a_folder_is_all_its_files_under_their_names(tmp_path: Path) -> None:
    image = tmp_path / "a.zarr"
    (image / "0/c").mkdir(parents=True)
    written(image, **{"zarr.json": b"{}", "0/c/1": b"abc"})
    assert nbytes_of(image) == 5
    shutil.copytree(image, tmp_path / "b.zarr")
    assert sha256_of(image) == sha256_of(tmp_path / "b.zarr")
    before = sha256_of(image)
    (image / "zarr.json").write_bytes(b"[]")
    assert sha256_of(image) != before
    before = sha256_of(image)
    (image / "0/c/1").rename(image / "0/c/2")
    assert sha256_of(image) != before
    assert found([image, tmp_path / "b.zarr"]) == {}


def test_a_header_belongs_to_its_pixels(tmp_path: Path) -> None:
    paths = written(tmp_path, **{"a.hdr": b"head", "b.hdr": b"head", "c.hdr": b"head"})
    written(tmp_path, **{"a.img": b"one", "b.img": b"two", "c.IMG": b"one"})
    assert [nbytes_of(path) for path in paths] == [7, 7, 7]
    assert len({sha256_of(path) for path in paths}) == 2
    assert found(paths) == {2: 0}
    before = sha256_of(paths[0])
    (tmp_path / "a.img").write_bytes(b"1ne")
    assert sha256_of(paths[0]) != before


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (path,) = written(tmp_path, a=b"one")
    assert sha256_of(path) == hashlib.sha256(b"one").digest()
