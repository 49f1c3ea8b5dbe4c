"""All images of a folder are listed; a name in a store never leads out of it, on any system."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dgp_mining.images import paths
from dgp_mining.images.paths import counted, list_folder, list_images, printable_name, unsafe_name
from dgp_mining.images.reader import ImageError
from dgp_mining.progress import ProgressCallback

UNSAFE = [
    *("", "/etc/passwd", "../a.png", "a/../../b.png", "a/..", "./a.png", "a//b.png", "a/", "."),
    *("..\\a.png", "a\\b.png", "C:/a.png", "c:a.png", "a\0.png", "a\n.png", "a\x1b[31m.png", "\udce9.png"),
]


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_lead_astray_are_refused(name: str) -> None:
    assert unsafe_name(name)


@pytest.mark.parametrize("name", ["a.png", "more/a.png", "..a..png", "émile/写真 1.png", "12:30.png"])
def test_ordinary_names_are_not(name: str) -> None:
    assert unsafe_name(name) is None


def test_what_is_printed_for_an_unsafe_name_can_be_stored() -> None:
    for name in UNSAFE:
        printable_name(name).encode()


def test_listing_is_sorted_recursive_and_skips_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.PNG", "a/z.jpg", "a/.hidden.png", ".cache/x.png", "a.txt", "c.tiff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == [
        "a/z.jpg",
        "b.PNG",
        "c.tiff",
    ]


def test_linked_folders_are_entered_and_none_twice(tmp_path: Path) -> None:
    """A folder DF2K often consists of two links."""
    for name in ("elsewhere", "set/real"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").touch()
    (tmp_path / "set/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/again").symlink_to(tmp_path / "set/real")
    (tmp_path / "set/real/up").symlink_to(tmp_path / "set")
    listed = [path.relative_to(tmp_path / "set").as_posix() for path in list_images(tmp_path / "set")]
    assert listed == ["linked/a.png", "real/a.png"]


def test_a_folder_is_entered_once_also_by_a_second_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path is then another, without a link in it."""
    for name in ("a/one.png", "b/one.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    identity = paths._identity
    monkeypatch.setattr(
        paths, "_identity", lambda path: identity(f"{path[:-1]}a" if path[-1] in "ab" else path)
    )
    assert identity(str(tmp_path / "a")) != identity(str(tmp_path / "b"))
    assert list_folder(tmp_path).images == ["a/one.png"]


def test_folders_may_be_nested_as_deep_as_a_path_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deep = "a/" * 400
    os.makedirs(deep)
    Path(deep, "b.png").touch()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 300)  # as for thousands of folders by the usual limit
    try:
        assert list_folder(tmp_path).images == [f"{deep}b.png"]
    finally:
        sys.setrecursionlimit(before)


def test_an_endless_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").touch()
    scandir, endless = os.scandir, []

    @contextlib.contextmanager
    def again_and_again(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scandir(folder) as entries:
            yield (endless.append(entry) or entry for entry in itertools.cycle(list(entries)))

    monkeypatch.setattr(paths.os, "scandir", again_and_again)
    monkeypatch.setattr(paths, "MOST_FILES", 10)
    with pytest.raises(ImageError, match=r"holds more than 10 files: .*images="):
        list_folder(tmp_path)
    assert len(endless) == 11


def test_files_of_the_kernel_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no size, and reading one, such as /proc/kmsg, may wait for ever."""
    (tmp_path / "kmsg").touch()
    monkeypatch.setattr(paths, "head_of", lambda path: pytest.fail(f"{path} is opened"))
    assert list_folder(tmp_path, may_be_empty=True).others == ["kmsg"]


def test_a_folder_that_is_gone_when_it_is_entered_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "a.png").touch()
    scandir = os.scandir

    def late(folder: str) -> Any:
        if folder.endswith("gone"):
            raise FileNotFoundError(2, "No such file or directory", folder)
        return scandir(folder)

    monkeypatch.setattr(paths.os, "scandir", late)
    assert list_folder(tmp_path).images == ["a.png"]


def test_a_listing_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").touch()
    callback = ProgressCallback()
    callback.on_progress = lambda *progress: told.append(progress)  # type: ignore[method-assign]  # of a test
    list_folder(tmp_path, callback=callback)
    assert told == [("Looking for images, files", 1, 0), ("Looking for images, files", 2, 0)]


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, reason in (("none", "does not exist"), ("file", "is a file"), (".", "holds no images")):
        with pytest.raises(ImageError, match=f"{reason}.*images="):
            list_images(tmp_path / folder)


def test_other_files_are_listed_too_but_not_hidden_ones(tmp_path: Path) -> None:
    for name in ("a.png", "b.CR9", "more/notes.txt", ".DS_Store", ".git/config", "README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list_folder(tmp_path)
    assert found.images == ["a.png"]
    assert found.others == ["README", "b.CR9", "more/notes.txt"]


def test_the_pixels_of_a_pair_are_no_other_file(tmp_path: Path) -> None:
    for name in ("brain.hdr", "brain.img", "disk.img"):
        (tmp_path / name).touch()
    assert list_folder(tmp_path).others == ["disk.img"]


def test_a_folder_of_other_files_is_refused_with_their_kinds(tmp_path: Path) -> None:
    for name in ("a.cr9", "b.cr9", "c.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ImageError, match=r"holds no images .*; 3 other files are not read: 2 \.cr9, 1 \.txt"):
        list_images(tmp_path)
    assert list_folder(tmp_path, may_be_empty=True).images == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.txt"], "1 other file is not read: 1 .txt"),
        (["a.B", "sub/c.b", "d.a"], "3 other files are not read: 2 .b, 1 .a"),
        (["1.2.840.10008", "README", "Fig. 3 (old)"], "3 other files are not read: 3 without a suffix"),
        (
            [f"x.k{i}" for i in range(6)] + ["README"],
            "7 other files are not read: 1 .k0, 1 .k1, 1 .k2, 1 .k3, 1 .k4, 1 .k5, 1 without a suffix",
        ),
        (["a\x1b.\x1b[2J"], "1 other file is not read: 1 without a suffix"),
        (
            [f"x.k{i}" for i in range(9)] + ["y.k8"],
            "10 other files are not read: 2 .k8, 1 .k0, 1 .k1, 1 .k2, 1 .k3, 1 .k4, 3 of 3 more kinds",
        ),
    ],
)
def test_other_files_are_counted_by_suffix(names: list[str], said: str) -> None:
    assert counted(names) == said
