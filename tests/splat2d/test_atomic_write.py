"""A file is written whole or not at all, with the mode that any other new file would have."""

from __future__ import annotations

import os
import stat

import pytest

from splat2d.atomic_write import atomic_write


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


def test_a_durable_file_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (events.append("synced"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (events.append("renamed"), replace(*paths)))
    with atomic_write(tmp_path / "file", durable=True) as partial:
        partial.write_text("whole")
    assert events == ["synced", "renamed"]


def test_a_folder_that_is_missing_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "missing" / "file"):
        pass


def test_a_path_may_be_a_string(tmp_path):
    with atomic_write(str(tmp_path / "file")) as partial:
        partial.write_text("new")
    assert (tmp_path / "file").read_text() == "new"
