"""A store on S3 is a store: made, interrupted, extended, verified, merged and deleted, over a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dgp_mining.callbacks import Callback
from dgp_mining.cli import main
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.store.location import Location
from dgp_mining.store.merge import merge
from dgp_mining.store.store import DONE, Chunk, Store, StoreError
from dgp_mining.store.verify import verify
from dgp_mining.workers.messages import Progress

SETTINGS = Settings(crop=32, max_crops=9)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, reached by the settings in the environment."""
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("crops")
    yield "s3://crops"
    files.rm("crops", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def dictionary_bytes(store: Path | str, out: Path) -> bytes:
    build_dictionary(store, size=64).save(out)
    return out.read_bytes()


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_file_that_vanishes_while_a_folder_is_read_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "0").touch()
    (tmp_path / "1.0a1b.partial").symlink_to(tmp_path / "gone")  # as if another run had just renamed it
    assert list(Location(str(tmp_path)).modified()) == ["0"]


@pytest.mark.parametrize("act", [Location.files, Location.remove_stale_files])
def test_a_folder_that_vanishes_while_its_parent_is_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Location], object]
) -> None:
    for name in ("0", "1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.partial").touch()
        os.utime(tmp_path / name / "a.partial", (0, 0))
    scandir = os.scandir

    def remove_before(folder: str) -> Iterator[os.DirEntry[str]]:
        if folder == str(tmp_path / "1"):
            (tmp_path / "1/a.partial").unlink()
            (tmp_path / "1").rmdir()
        return scandir(folder)

    monkeypatch.setattr("dgp_mining.store.location.os.scandir", remove_before)
    found = act(Location(str(tmp_path)))
    assert found == 2 or sorted(found) == ["0/a.partial", "2/a.partial"]


def test_it_is_filled_to_the_same_dictionary(photos: Path, tmp_path: Path, fitter: str, bucket: str) -> None:
    mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    mine(photos, f"{bucket}/deep/a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    assert run("status", "--store", f"{bucket}/deep/a.zarr").exit_code == 0
    found = verify(f"{bucket}/deep/a.zarr", [photos])
    assert found.sound
    assert found.files.same == 6
    here, there = (
        dictionary_bytes(s, tmp_path / "d.npz") for s in (tmp_path / "a.zarr", f"{bucket}/deep/a.zarr")
    )
    assert here == there


def test_what_was_interrupted_goes_on_is_extended_and_merged(
    photos: Path, tmp_path: Path, fitter: str, bucket: str
) -> None:
    path, few = f"{bucket}/a.zarr", Settings(crop=32, max_crops=5)

    class Interrupt(Callback):
        def on_chunk(self, progress: Progress) -> None:
            raise KeyboardInterrupt

    class Chunks(Callback):
        def on_chunk(self, progress: Progress) -> None:
            chunks.append(progress)

    with pytest.raises(KeyboardInterrupt):
        mine(photos, path, few, scheduler="sync", fitter=fitter, callback=Interrupt())
    assert (Store.open(path).status == DONE).sum() == 1
    chunks: list[Progress] = []
    mine(photos, path, few, scheduler="sync", fitter=fitter, callback=Chunks())
    assert len(chunks) == 4
    store = mine(photos, path, SETTINGS, scheduler="sync", fitter=fitter)
    assert len(store.parts) == 2
    assert (store.status == DONE).all()
    mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    here = dictionary_bytes(tmp_path / "a.zarr", tmp_path / "d.npz")
    assert dictionary_bytes(path, tmp_path / "d.npz") == here
    merge([path, tmp_path / "a.zarr"], f"{bucket}/b.zarr")
    assert dictionary_bytes(f"{bucket}/b.zarr", tmp_path / "d.npz") == here


def test_crops_that_take_long_are_kept_one_by_one(
    photos: Path, tmp_path: Path, fitter: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupt(Callback):
        def on_chunk(self, progress: Progress) -> None:
            done.append(progress)
            if len(done) == 14:
                raise KeyboardInterrupt

    monkeypatch.setattr("dgp_mining.workers.scheduling.TASK_SECONDS", 0.0)
    path, long = f"{bucket}/a.zarr", Settings(crop=32, max_crops=26, iterations=200_000)
    done: list[Progress] = []
    with pytest.raises(KeyboardInterrupt):
        mine(photos, path, long, scheduler="sync", fitter=fitter, callback=Interrupt())
    place = Store.open(path).parts[0].place / "crops/status"
    assert sorted(place.files()) == ["c/0", "pieces/1/12", "pieces/1/13", "zarr.json"]
    assert (Store.open(path).status == DONE).sum() == 14
    assert verify(path).damage == []
    mine(photos, path, long, scheduler="sync", fitter=fitter, callback=Interrupt())
    assert len(done) == 26
    assert sorted(place.files()) == ["c/0", "c/1", "c/2", "zarr.json"]
    mine(photos, tmp_path / "a.zarr", long, scheduler="sync", fitter=fitter)
    here = dictionary_bytes(tmp_path / "a.zarr", tmp_path / "d.npz")
    assert dictionary_bytes(path, tmp_path / "d.npz") == here


def test_damage_is_repaired_and_a_store_deleted(photos: Path, fitter: str, bucket: str) -> None:
    path = f"{bucket}/a.zarr"
    store = mine(photos, path, SETTINGS, scheduler="sync", fitter=fitter)
    files = Location(path)._filesystem()
    files.pipe_file(f"{store.parts[0].place}/statistics/sample/c/3/0/0", b"garbage")
    files.pipe_file(f"{store.parts[0].place}/crops/result/zarr.json", b"{")
    assert verify(path, repair=True).sound
    assert Store.open(path).pending_chunks() == [Chunk(store.parts[0].name, 3)]
    files.pipe_file("s3://crops/other/thesis", b"years of work")
    Store.delete(path)
    assert files.find("crops") == ["crops/other/thesis"]
    assert not Store.exists(path)
    with pytest.raises(StoreError, match="is not a store of dgp-mine"):
        Store.open(f"{bucket}/other")


def test_what_cannot_be_reached_is_one_sentence(
    photos: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*arguments: object) -> str:
        result = run(*arguments)
        assert result.exit_code == 1
        (sentence,) = result.stderr.splitlines()
        return sentence

    assert "s3://crops/a.zarr does not exist: make it with" in said("status", "--store", f"{bucket}/a.zarr")
    fit = ["fit", "--images", photos, "--crop", 32, "--scheduler", "sync", "--store"]
    assert "cannot be written" in said(*fit, "s3://no-such-bucket/a.zarr")
    assert "nor of the form s3://bucket/name" in said("status", "--store", "gs://bucket/a.zarr")
    assert "nor of the form s3://bucket/name" in said("status", "--store", "s3://")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert "needs s3fs: pip install 'dgp-mining[s3]'" in said("status", "--store", f"{bucket}/a.zarr")


def test_a_server_that_does_not_answer_is_one_sentence(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"s3://crops/a\.zarr cannot be read .*AWS_ENDPOINT_URL"):
        Store.open("s3://crops/a.zarr")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.undo()


@pytest.mark.parametrize("quiet", [True, False])
def test_requests_that_are_pending_at_the_end_are_no_news(quiet: bool) -> None:
    program = (
        "import asyncio; from dgp_mining.store.location import be_quiet_at_exit\n"
        f"if {quiet}: be_quiet_at_exit()\n"
        "loop = asyncio.new_event_loop(); task = loop.create_task(asyncio.sleep(9))\n"
        "loop.call_soon(loop.stop); loop.run_forever()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ("was destroyed" in ended.stderr) != quiet
    assert not (quiet and ended.stderr)
