"""All images of a folder are listed; a name in a store never leads out of it, on any system."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgp_mining.images.paths import list_images, printable_name, unsafe_name
from dgp_mining.images.reader import ImageError

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


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, reason in (("none", "does not exist"), ("file", "is a file"), (".", "holds no images")):
        with pytest.raises(ImageError, match=f"{reason}.*images="):
            list_images(tmp_path / folder)
