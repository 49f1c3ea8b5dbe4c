"""Caches belong to the user alone, and what others may have put there is not read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from splat2d import private_cache
from splat2d.private_cache import NoHome, NotPrivate, cache_path, open_own, open_shared, private_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems have no modes and owners")

FOLDER = ("dgp-mining", "images")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a file or a folder another user's; without the right to, all of this user's."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, 65534, -1, follow_symlinks=False)
        else:
            monkeypatch.setattr(private_cache.os, "geteuid", lambda: os.getuid() + 1)

    return give


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_for_the_user_alone_whatever_the_umask(home: Path) -> None:
    before = os.umask(0)
    try:
        folder = private_folder(FOLDER)
    finally:
        os.umask(before)
    assert folder == home / "dgp-mining" / "images"
    assert [mode(path) for path in (home, home / "dgp-mining", folder)] == [0o700] * 3


def test_a_folder_of_the_users_that_others_can_open_is_closed(home: Path) -> None:
    (home / "dgp-mining" / "images").mkdir(parents=True)
    (home / "dgp-mining").chmod(0o777)
    (home / "dgp-mining" / "images").chmod(0o775)
    assert mode(private_folder(FOLDER)) == mode(home / "dgp-mining") == 0o700


@pytest.mark.parametrize("planted", ["dgp-mining", "dgp-mining/images"])
def test_a_folder_that_another_user_has_made_is_not_used(
    planted: str, home: Path, give_away: Callable[[Path], None]
) -> None:
    """As in a cache on a disk into which everybody can write."""
    (home / planted).mkdir(parents=True)
    give_away(home / planted)
    with pytest.raises(NotPrivate) as refused:
        private_folder(FOLDER)
    assert refused.value.strerror == "it belongs to another user"
    assert str(refused.value.filename).startswith(str(home / "dgp-mining"))


def test_a_link_of_another_users_is_not_followed_and_one_of_the_users_is(
    home: Path, tmp_path: Path, give_away: Callable[[Path], None]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    home.mkdir()
    (home / "dgp-mining").symlink_to(tmp_path / "elsewhere")  # as those do whose home is small
    assert private_folder(FOLDER).resolve() == tmp_path / "elsewhere" / "images"
    give_away(home / "dgp-mining")
    with pytest.raises(NotPrivate):
        private_folder(FOLDER)


def test_a_file_system_that_keeps_no_modes_holds_no_cache(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "splat2d").mkdir(parents=True)
    (home / "splat2d").chmod(0o777)
    monkeypatch.setattr(Path, "chmod", lambda path, mode: None)
    with pytest.raises(NotPrivate, match="others can write it"):
        private_folder(("splat2d",))


def test_a_relative_cache_is_none_and_without_a_home_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_path(("splat2d",)) == tmp_path / ".cache" / "splat2d"

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(NoHome, match="no home folder"):
        cache_path(("splat2d",))


def test_only_the_users_own_files_are_read(tmp_path: Path, give_away: Callable[[Path], None]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    with open_own(file) as opened:
        assert opened.read() == b"mine"
    for bits in (0o620, 0o602):
        file.chmod(bits)
        with pytest.raises(NotPrivate, match="others can write it"):
            open_own(file)
    file.chmod(0o644)
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("link", "it is a link"), ("pipe", "it is no file"), (".", "it is no file")):
        for opens in (open_own, open_shared):
            with pytest.raises(NotPrivate, match=reason):
                opens(tmp_path / name)
    give_away(file)
    with pytest.raises(NotPrivate, match="it belongs to another user"):
        open_own(file)
    with pytest.raises(FileNotFoundError):
        open_own(tmp_path / "none")


def test_a_folder_that_is_named_may_be_shared_with_a_group_but_not_with_everybody(
    tmp_path: Path, give_away: Callable[[Path], None]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"theirs")
    file.chmod(0o664)
    tmp_path.chmod(0o770)
    give_away(file)
    with open_shared(file) as opened:
        assert opened.read() == b"theirs"
    tmp_path.chmod(0o1777)
    with pytest.raises(NotPrivate, match="another user, in a folder into which everybody can write"):
        open_shared(file)
    tmp_path.chmod(0o770)
    file.chmod(0o666)
    with pytest.raises(NotPrivate, match="everybody can write it"):
        open_shared(file)
