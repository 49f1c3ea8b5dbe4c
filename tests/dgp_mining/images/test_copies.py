"""Copies are found by content, and files that only have the same size are hardly read."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgp_mining.images import copies as copies_module
from dgp_mining.images.copies import copies
from dgp_mining.images.file_content import nbytes_of, sha256_of
from dgp_mining.images.reader import image_size


def written(folder: Path, **contents: bytes) -> list[Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def found(paths: list[Path]) -> dict[int, int]:
    """Copies among files that are no images: all are said to have sizes of their own."""
    return copies(paths, [nbytes_of(path) for path in paths], [(1, i) for i in range(len(paths))])


def found_in(folder: Path) -> dict[str, str]:
    """Copies among the images of a folder, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    same = copies(paths, [nbytes_of(path) for path in paths], [image_size(path) for path in paths])
    names = [path.relative_to(folder).as_posix() for path in paths]
    return {names[copy]: names[first] for copy, first in same.items()}


def noise(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 56, 3), np.uint8))


# --- the same bytes -----------------------------------------------------------------------------------------


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

    monkeypatch.setattr(copies_module, "sha256_of", digest)
    noise = [os.urandom(50_000) for _ in range(3)]
    paths = written(tmp_path, a=noise[0], b=noise[1], c=noise[2], d=noise[0], longer=noise[0] + b"1")
    assert found(paths) == {3: 0}
    assert sorted(read) == ["a", "d"]


def test_what_vanishes_meanwhile_is_no_copy(tmp_path: Path) -> None:
    (path,) = written(tmp_path, a=b"one")
    assert copies([path, tmp_path / "gone"], [3, 3], [(1, 1)] * 2) == {}


def test_a_header_belongs_to_its_pixels_and_a_folder_is_no_copy(tmp_path: Path) -> None:
    paths = written(tmp_path, **{"a.hdr": b"head", "b.hdr": b"head", "c.hdr": b"head"})
    written(tmp_path, **{"a.img": b"one", "b.img": b"two", "c.IMG": b"one"})
    assert found(paths) == {2: 0}
    for name in ("d.zarr", "e.zarr"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, **{"zarr.json": b"{}"})
    assert found([tmp_path / "d.zarr", tmp_path / "e.zarr"]) == {}


# --- the same pixels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_other_metadata_do_not_make_another_image(suffix: str, tmp_path: Path) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    exif = Image.Exif()
    exif[0x010E] = "a title " * 900  # longer than what is compared first
    noise().save(tmp_path / f"a.{suffix}", **options)
    noise().save(tmp_path / f"titled.{suffix}", exif=exif, **options)
    exif[0x0112] = 6
    noise().save(tmp_path / f"turned.{suffix}", exif=exif, icc_profile=b"\0" * 200, **options)
    noise(1).save(tmp_path / f"b.{suffix}", **options)
    noise().resize((28, 20)).save(tmp_path / f"small.{suffix}", **options)
    assert found_in(tmp_path) == {f"titled.{suffix}": f"a.{suffix}", f"turned.{suffix}": f"a.{suffix}"}


def test_another_palette_or_division_into_chunks_counts_as_it_should(tmp_path: Path) -> None:
    noise().save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    at = content.index(b"IDAT") - 4
    (length,) = struct.unpack(">I", content[at : at + 4])
    pixels = content[at + 8 : at + 8 + length]
    halves = b"".join(
        struct.pack(">I", len(half)) + b"IDAT" + half + struct.pack(">I", zlib.crc32(b"IDAT" + half))
        for half in (pixels[:1000], pixels[1000:])
    )
    (tmp_path / "b.png").write_bytes(content[:at] + halves + content[at + 12 + length :])
    indexed = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "P")
    for name, value in (("red", 10), ("rot", 10), ("green", 90)):
        indexed.putpalette([value, 0, 0] * 256)
        indexed.save(tmp_path / f"{name}.png", pnginfo=None)
    (tmp_path / "rot.png").write_bytes((tmp_path / "rot.png").read_bytes() + b"end")
    assert found_in(tmp_path) == {"b.png": "a.png", "rot.png": "red.png"}


def png(flat: np.ndarray, pixels: np.ndarray, kind: int, depth: int, filter_: int, level: int) -> bytes:
    """A PNG file of two rows: one of the colour `flat`, and `pixels`, [width, bytes of a pixel] uint8."""
    first = np.repeat(flat[None], len(pixels), axis=0)
    rows = b""
    for row, up in ((first, np.zeros_like(first)), (pixels, first)):
        left, corner = (np.vstack([np.zeros_like(row[:1]), one[:-1]]).astype(int) for one in (row, up))
        above = up.astype(int)
        paeth = left + above - corner
        distances = np.stack([abs(paeth - left), abs(paeth - above), abs(paeth - corner)])
        nearest = np.choose(distances.argmin(axis=0), [left, above, corner])
        predicted = (0, left, above, (left + above) // 2, nearest)[filter_]
        rows += bytes([filter_]) + (row - predicted).astype(np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", len(pixels), 2, depth, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, level)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize(("kind", "depth"), [(0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (6, 16)])
def test_pixels_of_png_that_are_compressed_anew_are_the_same(kind: int, depth: int, tmp_path: Path) -> None:
    step = {0: 1, 2: 3, 4: 2, 6: 4}[kind] * depth // 8
    flat, *pixels = np.random.default_rng(0).integers(0, 256, (300, step), np.uint8)
    for way in range(5):
        (tmp_path / f"{way}.png").write_bytes(png(flat, np.array(pixels), kind, depth, way, way + 1))
    pixels[200] ^= 1
    (tmp_path / "other.png").write_bytes(png(flat, np.array(pixels), kind, depth, 0, 9))
    assert found_in(tmp_path) == dict.fromkeys(("1.png", "2.png", "3.png", "4.png"), "0.png")


def test_png_files_with_flat_first_rows_or_cut_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = noise()
    image.paste((7, 8, 9), (0, 0, 56, 32))
    for level in (1, 9):
        image.save(tmp_path / f"{level}.png", compress_level=level)
    (tmp_path / "cut.png").write_bytes((tmp_path / "1.png").read_bytes()[:60])
    monkeypatch.setattr(copies_module, "decode_image", None)
    paths = sorted(tmp_path.iterdir())
    assert copies(paths, [nbytes_of(path) for path in paths], [(40, 56)] * 3) == {}


def test_two_files_cut_before_their_pixels_are_not_the_same(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        for suffix in ("png", "jpg"):
            noise(seed).save(tmp_path / f"{name}.{suffix}")
            path = tmp_path / f"{name}.{suffix}"
            end = path.read_bytes().index(b"IDAT" if suffix == "png" else b"\xff\xda")
            path.write_bytes(path.read_bytes()[: end + 40 + seed])
    paths = sorted(tmp_path.iterdir())
    assert copies(paths, [nbytes_of(path) for path in paths], [(40, 56)] * 4) == {}


def test_a_conversion_without_loss_is_a_copy_whatever_its_folder(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    noise().save(tmp_path / "a.png")
    noise().save(tmp_path / "web/a.webp", lossless=True)
    noise().save(tmp_path / "A.tif")
    noise().save(tmp_path / "a.jpg")  # with loss
    noise(1).save(tmp_path / "b.bmp")
    noise(2).save(tmp_path / "b.png")  # another image of the same name
    assert found_in(tmp_path) == {"web/a.webp": "A.tif", "a.png": "A.tif"}


def test_copies_of_a_conversion_have_one_original(tmp_path: Path) -> None:
    noise().save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "z.png")
    noise().save(tmp_path / "zz.png", pnginfo=None, dpi=(72, 72))
    noise().save(tmp_path / "zz.webp", lossless=True)  # has the name of a copy
    assert found_in(tmp_path) == dict.fromkeys(("z.png", "zz.png", "zz.webp"), "a.png")


def test_conversions_of_several_names_belong_together(tmp_path: Path) -> None:
    for name, shade in (("b.png", 0), ("ccc.png", 0), ("z.png", 1)):
        noise(shade).save(tmp_path / name)
    noise().save(tmp_path / "b.bmp")
    noise().save(tmp_path / "ccc.tif")
    assert found_in(tmp_path) == dict.fromkeys(("b.png", "ccc.png", "ccc.tif"), "b.bmp")


def test_only_what_may_be_a_conversion_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    for seed, name in enumerate(("a/1.png", "b/1.png", "b/2.webp", "a/3.jpg", "b/3.avif", "c/4.png")):
        noise(seed).save(tmp_path / name)
    noise(9).resize((28, 20)).save(tmp_path / "c/4.webp")
    monkeypatch.setattr(copies_module, "decode_image", None)  # would raise a TypeError
    assert found_in(tmp_path) == {}
