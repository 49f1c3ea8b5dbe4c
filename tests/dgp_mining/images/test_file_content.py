"""The digest of an image is that of all its files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from dgp_mining.images.file_content import nbytes_of, sha256_of


def written(folder: Path, **contents: bytes) -> list[Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


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


def test_a_header_belongs_to_its_pixels(tmp_path: Path) -> None:
    paths = written(tmp_path, **{"a.hdr": b"head", "b.hdr": b"head", "c.hdr": b"head"})
    written(tmp_path, **{"a.img": b"one", "b.img": b"two", "c.IMG": b"one"})
    assert [nbytes_of(path) for path in paths] == [7, 7, 7]
    assert sha256_of(paths[0]) == sha256_of(paths[2]) != sha256_of(paths[1])
    before = sha256_of(paths[0])
    (tmp_path / "a.img").write_bytes(b"1ne")
    assert sha256_of(paths[0]) != before


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (path,) = written(tmp_path, a=b"one")
    assert sha256_of(path) == hashlib.sha256(b"one").digest()
