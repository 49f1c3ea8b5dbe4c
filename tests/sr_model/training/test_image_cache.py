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
from sr_model import TrainingError
from sr_model.image_io.reader import read_eight_bits
from sr_model.training import image_cache as caching
from sr_model.training.image_cache import decoded_images


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
    with pytest.raises(TrainingError, match=r"take 0\.0 GB.*cache="):
        decoded_images(list_images(photographs), tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot be kept in .*file.*cache="):
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
