"""A file is written whole or not at all, with the mode that any other new file would have."""

from __future__ import annotations

import errno
import multiprocessing
import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from splat2d.atomic_write import atomic_write, make_folder


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def write_half(path, error):
    with atomic_write(path) as partial:
        partial.write_text("half")
        raise error


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path, umask):
    with atomic_write(tmp_path / "file") as partial:
        partial.write_text("new")
    assert mode(tmp_path / "file") == 0o666 & ~umask


def test_a_library_that_makes_files_private_does_not_decide_the_mode(tmp_path, umask):
    with atomic_write(tmp_path / "file") as partial:
        partial.unlink()
        partial.touch(0o600)
    assert mode(tmp_path / "file") == 0o666 & ~umask


@pytest.mark.parametrize("durable", [False, True])
def test_readers_see_the_former_file_until_the_new_one_is_whole(tmp_path, durable):
    path = tmp_path / "file"
    path.write_text("former")
    with atomic_write(path, durable=durable) as partial:
        partial.write_text("half")
        assert path.read_text() == "former"
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_former_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("former")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_a_first_writing_leaves_no_file(tmp_path):
    with pytest.raises(ValueError):
        write_half(tmp_path / "file", ValueError)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (events.append("synced"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (events.append("renamed"), replace(*paths)))
    with atomic_write(tmp_path / "file") as partial:
        partial.write_text("whole")
    assert events == ["synced", "renamed", "synced"]  # its folder, last


def test_a_folder_that_is_missing_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "missing" / "file"):
        pass


def test_a_path_may_be_a_string(tmp_path):
    with atomic_write(str(tmp_path / "file")) as partial:
        partial.write_text("new")
    assert (tmp_path / "file").read_text() == "new"


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    """As of `sed -i`: writing through a link would overwrite a file that somebody else has named."""
    other, path = tmp_path / "other", tmp_path / "file"
    other.write_text("theirs")
    path.symlink_to(other)
    with atomic_write(path) as partial:
        partial.write_text("new")
    assert (other.read_text(), path.read_text(), path.is_symlink()) == ("theirs", "new", False)


def test_a_link_to_nothing_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.symlink_to(tmp_path / "victim")
    with atomic_write(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert not (tmp_path / "victim").exists()


def test_the_temporary_name_cannot_be_foreseen_and_is_never_followed(tmp_path, monkeypatch):
    names = set()
    for _ in range(3):
        with atomic_write(tmp_path / "file") as partial:
            names.add(partial.name)
    assert len(names) == 3
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    monkeypatch.setattr("secrets.token_hex", lambda length: "foreseen")
    (tmp_path / ".file.foreseen.part").symlink_to(victim)
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "file"):
        pass
    assert victim.read_text() == "theirs"


def at_a_socket(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))


IRREGULAR = {
    "a device": lambda path: path.symlink_to("/dev/null"),
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "a socket": at_a_socket,
}


@pytest.mark.parametrize("what", IRREGULAR)
def test_what_is_no_file_is_left_as_it_is(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)  # the names of sockets are short
    path = tmp_path / "file"
    IRREGULAR[what](path.relative_to(tmp_path) if what == "a socket" else path)
    before = os.lstat(path)
    with pytest.raises(OSError, match=rf"it is {what}, not a file.*file"), atomic_write(path):
        pytest.fail("it was asked for something to write")
    after = os.lstat(path)
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    assert list(tmp_path.iterdir()) == [path]


def test_what_became_a_folder_meanwhile_stays(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"), atomic_write(tmp_path / "file"):
        (tmp_path / "file").mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_is_said_of_the_file_and_not_of_the_temporary_one(tmp_path, named):
    path = tmp_path / "file"
    with pytest.raises(OSError) as raised, atomic_write(path) as partial:
        raise OSError(errno.ENOSPC, "No space left on device", *([str(partial)] if named else []))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(path))


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, atomic_write(tmp_path / "file"):
        (tmp_path / "source").read_text()
    assert raised.value.filename == str(tmp_path / "source")


def test_a_name_of_any_length_that_the_system_allows_can_be_written(tmp_path):
    for name in ("a" * 255, "\U0001f600" * 63):
        with atomic_write(tmp_path / name) as partial:
            partial.write_text("new")
        assert (tmp_path / name).read_text() == "new"


def write_many(path, letter):
    for _ in range(100):
        with atomic_write(path, durable=False) as partial, partial.open("w") as file:
            for _ in range(20):
                file.write(letter * 100)
                file.flush()


def test_processes_and_threads_that_write_one_file_leave_a_whole_one_of_one_of_them(tmp_path):
    path = tmp_path / "file"
    process = multiprocessing.get_context("fork").Process(target=write_many, args=(path, "a"))
    process.start()
    with ThreadPoolExecutor() as threads:
        list(threads.map(write_many, [path] * 2, "bc"))
    process.join()
    assert process.exitcode == 0
    assert path.read_text() in {letter * 2000 for letter in "abc"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("below", ["", "a/b"])
@pytest.mark.parametrize("what", ["a file", "a device", "a link that leads nowhere"])
def test_what_stands_in_the_place_of_a_folder_is_named(tmp_path, what, below):
    (tmp_path / "a file").touch()
    (tmp_path / "a device").symlink_to(os.devnull)
    (tmp_path / "a link that leads nowhere").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match=f"{what} is {what}, not a folder"):
        make_folder(tmp_path / what / below)


def test_a_folder_is_made_with_those_above_it_and_may_be_a_link(tmp_path):
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    make_folder(tmp_path / "linked")
    assert (tmp_path / "a" / "b").is_dir()
