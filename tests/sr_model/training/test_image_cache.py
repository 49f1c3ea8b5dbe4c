"""The cache decodes each image once for all processes, and never serves a stale or partial file."""

import logging
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dgp_mining.images.paths import list_images
from splat2d.private_cache import NotPrivate
from sr_model import TrainingError
from sr_model.image_io.reader import read_eight_bits
from sr_model.training import image_cache as caching
from sr_model.training.image_cache import decoded_images, default_cache


@pytest.fixture
def count(monkeypatch) -> list[Path]:
    """Paths that were decoded."""
    decoded_paths = []

    def read(path):
        decoded_paths.append(path)
        return read_eight_bits(path)

    monkeypatch.setattr(caching, "read_eight_bits", read)
    return decoded_paths


def test_images_are_decoded_once(photographs: Path, tmp_path: Path, count):
    paths = list_images(photographs)
    first, second = (decoded_images(paths, tmp_path / "cache") for _ in range(2))
    assert sorted(count) == sorted(paths)
    assert first.paths == second.paths == paths
    for path, ours, theirs in zip(paths, first.images, second.images, strict=True):
        assert np.array_equal(ours, np.array(Image.open(path)))
        assert np.array_equal(ours, theirs)
        assert isinstance(ours.base, np.memmap)


def test_images_that_change_are_decoded_again(photographs: Path, tmp_path: Path):
    paths = list_images(photographs)
    decoded_images(paths, tmp_path / "cache")
    about = paths[0].stat()
    Image.new("RGB", (48, 40), (7, 8, 9)).save(paths[0])
    os.utime(paths[0], ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    assert decoded_images(paths, tmp_path / "cache").images[0][0, 0].tolist() == [7, 8, 9]


def test_what_was_refused_is_said_again(photographs: Path, tmp_path: Path):
    tifffile.imwrite(photographs / "nan.tif", np.full((9, 9), np.nan, np.float32))
    (photographs / "text.png").write_text("not an image")
    (photographs / "gone.png").symlink_to(tmp_path / "nowhere")
    for _ in range(2):
        found = decoded_images(list_images(photographs), tmp_path / "cache")
        assert len(found.images) == 4
        assert ["gone.png" in found.refused[0], "nan.tif" in found.refused[1]] == [True, True]
        assert "not finite" in found.refused[1]
        assert "text.png" in found.refused[2]


def test_half_a_file_is_made_anew(photographs: Path, tmp_path: Path, count):
    paths, folder = list_images(photographs), tmp_path / "cache"
    decoded_images(paths, folder)
    (file,) = folder.glob("*.images")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    (folder / "abandoned.part").touch()
    decoded_images(paths, folder)
    assert len(count) == 2 * len(paths)
    assert file.read_bytes() == whole
    assert not list(folder.glob("*.part"))


def ask(folder: Path, cache: Path, begin, answers) -> None:
    """Decode in a process of its own; send how many images were read, and a sum over their pixels."""
    reads = []
    caching.read_eight_bits = lambda path: (reads.append(path), read_eight_bits(path))[1]
    begin.wait()
    found = decoded_images(list_images(folder), cache)
    answers.put((len(reads), sum(int(image.sum()) for image in found.images)))


def test_processes_that_start_at_once_decode_once(photographs: Path, tmp_path: Path):
    context = multiprocessing.get_context("fork")
    begin, answers = context.Barrier(3), context.Queue()
    arguments = (photographs, tmp_path / "cache", begin, answers)
    processes = [context.Process(target=ask, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    got = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(reads for reads, _ in got) == [0, 0, 4]
    assert len({total for _, total in got}) == 1


def test_the_cache_is_bounded(photographs: Path, tmp_path: Path, monkeypatch, caplog):
    paths, folder = list_images(photographs), tmp_path / "cache"
    monkeypatch.setattr(caching, "KEPT_BYTES", 14_000)  # an image takes 5,760
    for index, path in enumerate(paths[:3]):
        with caplog.at_level(logging.INFO):
            decoded_images([path], folder)
        for file in folder.glob("*.images"):
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 100))
        assert len(list(folder.glob("*.images"))) == min(2, index + 1)
    assert sum("removing" in line for line in caplog.messages) == 1


def test_a_disk_without_room_is_one_sentence(photographs: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(caching.shutil, "disk_usage", lambda folder: Room())
    with pytest.raises(TrainingError, match=r"take 23\.0 kB, and in .* 1 byte are free: .*cache="):
        decoded_images(list_images(photographs), tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot be kept in .*file is a file, not a folder.*cache="):
        decoded_images(list_images(photographs), tmp_path / "file")


class Room:
    """The usage of a full disk."""

    free = 1


def test_an_image_larger_than_memory_is_named_not_decoded_images(
    photographs: Path, tmp_path: Path, monkeypatch, count
):
    Image.new("RGB", (500, 400)).save(photographs / "huge.png")
    monkeypatch.setattr(caching, "free_memory", lambda: 1_000_000)
    found = decoded_images(list_images(photographs), tmp_path / "cache")
    assert len(found.images) == 4
    assert "huge.png has 500x400 pixels, which take about" in found.refused[0]
    assert photographs / "huge.png" not in count


def test_the_users_own_cache_is_made_for_them_alone_and_named_folders_as_always(
    photographs: Path, tmp_path: Path, cache: Path, count
):
    paths = list_images(photographs)
    before = os.umask(0o002)  # common where every user has a group
    try:
        for folder in (default_cache(), tmp_path / "named"):
            decoded_images(paths, folder)
            decoded_images(paths, folder)
    finally:
        os.umask(before)
    assert len(count) == 2 * len(paths)
    assert [mode(cache), mode(cache.parent)] == [0o700, 0o700]
    assert mode(tmp_path / "named") == 0o775
    assert [mode(file) for file in (tmp_path / "named").glob("*.images")] == [0o664]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_a_stranger_may_have_put_into_a_cache_is_decoded_again(
    photographs: Path, tmp_path: Path, cache: Path, count, caplog
):
    paths = list_images(photographs)
    for folder, bits in ((default_cache(), 0o620), (tmp_path / "named", 0o666)):
        right = np.array(decoded_images(paths, folder).images[0])
        (file,) = folder.glob("*.images")
        planted = bytearray(file.read_bytes())
        planted[:100] = bytes(100)
        file.write_bytes(planted)
        file.chmod(bits)
        count.clear()
        assert np.array_equal(decoded_images(paths, folder).images[0], right)
        assert len(count) == len(paths)
        assert f"{file} is not used, since" in caplog.text
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
        count.clear()
        decoded_images(paths, folder)
        assert len(count) == len(paths)


def test_another_members_file_and_lock_in_a_groups_folder_are_used(
    photographs: Path, tmp_path: Path, count, monkeypatch
):
    paths, folder = list_images(photographs), tmp_path / "named"
    decoded_images(paths, folder)
    opens = Path.open

    def not_ours(path: Path, how: str = "r", *more: object, **others: object):
        if path.name == "lock" and how != "r":
            raise PermissionError(13, "Permission denied", str(path))
        return opens(path, how, *more, **others)

    def not_touched(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "open", not_ours)
    monkeypatch.setattr(caching.os, "utime", not_touched)
    count.clear()
    assert len(decoded_images(paths, folder).images) == len(paths)
    assert not count


def test_images_are_decoded_once_whatever_way_leads_to_them(
    photographs: Path, tmp_path: Path, count, monkeypatch
):
    """As by `--images DIV2K` and, absolutely, by the prior that was mined from it."""
    folder, paths = tmp_path / "cache", list_images(photographs)
    decoded_images(paths, folder)
    count.clear()
    (tmp_path / "link").symlink_to(photographs)
    monkeypatch.chdir(photographs.parent)
    for way in (Path(photographs.name), tmp_path / "link", photographs):
        named = list_images(way)
        assert decoded_images(named, folder).paths == named
    assert not count


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[" * 100_000,
        b'{"images": 1, "refused": []}',
        b'{"images": [["a.png", -1, -16]], "refused": []}',
        b'{"images": [["a.png", 1e3, 16]], "refused": []}',
        b'{"images": [["a.png", 1000000, 16000000]], "refused": []}',
        b'{"images": [], "refused": [], "more": {}}',
        b'{"images": [["other.png", 4, 4]], "refused": []}',
    ],
)
def test_an_index_that_is_wrong_is_that_of_no_file(photographs: Path, tmp_path: Path, index: bytes, count):
    paths, folder = list_images(photographs), tmp_path / "cache"
    decoded_images(paths, folder)
    (file,) = folder.glob("*.images")
    for length in (len(index), 1 << 60):
        file.write_bytes(bytes(48) + index + length.to_bytes(8, "little") + caching.MAGIC)
        count.clear()
        assert len(decoded_images(paths, folder).images) == len(paths)
        assert len(count) == len(paths)


def test_a_cache_that_is_not_the_users_or_nowhere_is_one_sentence(
    photographs: Path, tmp_path: Path, cache: Path, monkeypatch
):
    paths = list_images(photographs)
    cache.parent.symlink_to(tmp_path / "file")
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot be kept in .*cache="):
        decoded_images(paths, default_cache())
    monkeypatch.setattr(caching, "private_folder", not_private)
    with pytest.raises(TrainingError, match=r"since /shared is not the user's alone \(it belongs .*cache="):
        decoded_images(paths, default_cache())
    monkeypatch.setattr(caching, "cache_path", not_private)
    with pytest.raises(TrainingError, match=r"have no folder, since it belongs .*cache="):
        default_cache()
    assert len(decoded_images(paths, tmp_path / "named").images) == len(paths)


def not_private(names: tuple[str, ...]) -> Path:
    raise NotPrivate(0, "it belongs to another user", "/shared")
