"""A dictionary names no folder, and the machine on which it was built finds its images all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from dgp_mining.cli import main
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.mined_from import record_images, recorded_images


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_dictionary_that_is_built_here_is_known_wherever_it_is_moved(
    photos: Path, tmp_path: Path, fitter: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine("photos", "dgp.zarr", Settings(crop=32, iterations=4), scheduler="sync", fitter=fitter)
    built = CliRunner().invoke(main, ["dictionary", "build", "--kernels", "32"])
    assert built.exit_code == 0
    assert built.output.endswith("Next: sr-train --prior dict.npz\n")
    Path("dict.npz").rename("other.npz")
    assert recorded_images("other.npz") == photos
    assert b"photos" not in Path("other.npz").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="needs owners and modes of files")
def test_only_what_the_user_recorded_counts(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "dict.npz"
    path.write_bytes(b"a dictionary")
    assert recorded_images(path) is None
    assert record_images(path, tmp_path)
    assert recorded_images(path) == tmp_path
    (record,) = (file for file in home.rglob("*") if file.is_file())
    assert record.parent.stat().st_mode & 0o777 == 0o700
    for content in (b"", b"{", b"[" * 10_000, b'"relative"', b"3", b"\xff"):
        record.write_bytes(content)
        assert recorded_images(path) is None
    record.write_text(f'"{tmp_path}"')
    record.chmod(0o666)
    assert recorded_images(path) is None


@pytest.mark.skipif(os.name != "posix", reason="needs modes of files")
def test_a_record_is_found_again_where_new_files_are_writable_for_a_group(tmp_path: Path, home: Path) -> None:
    """As many systems have it, on which each user is the only one of a group."""
    path = tmp_path / "dict.npz"
    path.write_bytes(b"a dictionary")
    before = os.umask(0o002)
    try:
        assert record_images(path, tmp_path)
    finally:
        os.umask(before)
    assert recorded_images(path) == tmp_path


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dict.npz"
    path.write_bytes(b"a dictionary")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not record_images(path, tmp_path)
    assert recorded_images(path) is None
