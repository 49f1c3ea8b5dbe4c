"""Kernels are machine code: what is loaded from the cache is what this user has compiled, whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from splat2d.backends import cuda_launch

CODE = b"\x7fELF compiled"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cuda_launch, "_key", lambda architecture, channels: f"{architecture}-{channels}")
    return tmp_path / "splat2d"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was compiled."""
    keys: list[tuple[str, int]] = []
    monkeypatch.setattr(cuda_launch, "compile_kernels", lambda *key: keys.append(key) or CODE)
    return keys


def test_kernels_are_compiled_once_into_a_folder_of_the_user_alone(
    cache: Path, compiled: list[tuple[str, int]]
) -> None:
    before = os.umask(0)
    try:
        assert [cuda_launch.cubin("sm_90", 3) for _ in range(2)] == [CODE, CODE]
    finally:
        os.umask(before)
    assert compiled == [("sm_90", 3)]
    (file,) = cache.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (cache, file)] == [0o700, 0o600]


def test_what_was_changed_cut_short_or_moved_is_compiled_again(
    cache: Path, compiled: list[tuple[str, int]]
) -> None:
    cuda_launch.cubin("sm_90", 3)
    file = cache / "sm_90-3.cubin"
    whole = file.read_bytes()
    for damaged in (b"", CODE, whole[:-1], whole + b"\0", whole[:-1] + b"X", bytes(32) + CODE):
        file.write_bytes(damaged)
        compiled.clear()
        assert cuda_launch.cubin("sm_90", 3) == CODE
        assert compiled == [("sm_90", 3)]
        assert file.read_bytes() == whole
    file.rename(cache / "sm_80-3.cubin")  # the right code of another GPU
    compiled.clear()
    cuda_launch.cubin("sm_80", 3)
    assert compiled == [("sm_80", 3)]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no modes and links")
def test_what_others_may_have_put_there_is_compiled_again_and_left_as_it_is(
    cache: Path, compiled: list[tuple[str, int]], tmp_path: Path
) -> None:
    cuda_launch.cubin("sm_90", 3)
    file = cache / "sm_90-3.cubin"
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    planted = elsewhere.read_bytes()
    file.symlink_to(elsewhere)
    assert cuda_launch.cubin("sm_90", 3) == CODE
    assert len(compiled) == 2
    assert not file.is_symlink()
    assert elsewhere.read_bytes() == planted
    file.chmod(0o666)
    cuda_launch.cubin("sm_90", 3)
    assert len(compiled) == 3


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs the right to give files away"
)
def test_a_folder_of_another_users_is_not_used_and_that_is_said(
    cache: Path, compiled: list[tuple[str, int]]
) -> None:
    cuda_launch.cubin("sm_90", 3)
    os.chown(cache, 65534, -1)
    for _ in range(2):
        with pytest.warns(UserWarning, match=rf"compiled anew .* since {cache} is not used: it belongs to"):
            assert cuda_launch.cubin("sm_90", 3) == CODE
    assert len(compiled) == 3
