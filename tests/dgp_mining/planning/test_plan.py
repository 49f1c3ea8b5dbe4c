"""The same images and settings give the same crops, spread over all images, without overlaps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dgp_mining.images.reader import ImageError
from dgp_mining.planning.plan import choose_crops, chunk_length, make_plan
from dgp_mining.planning.settings import Settings, resolve_settings

NAMES = [f"{i}.png" for i in range(7)]
SIZES = np.array([[100, 64], [64, 64], [65, 200], [300, 300], [31, 500], [32, 32], [0, 0]])


def test_crops_lie_inside_their_images_and_never_overlap() -> None:
    image, position = choose_crops(NAMES, SIZES, Settings(crop=32))
    assert len(image) == 3 * 2 + 2 * 2 + 2 * 6 + 9 * 9 + 1
    covered = [np.zeros(size, int) for size in SIZES]
    for i, (top, left) in zip(image, position, strict=True):
        assert 0 <= top <= SIZES[i][0] - 32
        assert 0 <= left <= SIZES[i][1] - 32
        covered[i][top : top + 32, left : left + 32] += 1
    assert max(image.max(initial=0) for image in covered if image.size) == 1


@pytest.mark.parametrize("limit", [1, 4, 5, 9, 17, 1000])
def test_a_limit_is_met_and_spread_over_all_images(limit: int) -> None:
    everything, _ = choose_crops(NAMES, SIZES, Settings(crop=32))
    room = np.bincount(everything, minlength=len(NAMES))
    image, _ = choose_crops(NAMES, SIZES, Settings(crop=32, max_crops=limit))
    assert len(image) == min(limit, room.sum())
    taken = np.bincount(image, minlength=len(NAMES))
    # No image has two crops more than one that still has room.
    assert taken.max() - taken[taken < room].min(initial=taken.max()) <= 1


def test_crops_are_ordered_by_image_and_depend_on_the_seed_alone() -> None:
    def crops(seed: int) -> list[list[int]]:
        image, position = choose_crops(NAMES, SIZES, Settings(crop=32, max_crops=20, seed=seed))
        return np.column_stack([image, position]).tolist()

    assert crops(3) == crops(3) == sorted(crops(3))
    assert crops(3) != crops(4)


def test_more_images_leave_the_crops_of_the_others_where_they_are() -> None:
    def crops_of_last(names: list[str], sizes: np.ndarray) -> list[list[int]]:
        image, position = choose_crops(names, sizes, Settings(crop=32))
        return position[image == len(names) - 1].tolist()

    assert crops_of_last(NAMES[:4], SIZES[:4]) == crops_of_last([NAMES[3]], SIZES[3:4])


def test_images_that_cannot_be_mined_keep_the_reason(photos: Path) -> None:
    (photos / "bad.png").write_text("not an image")
    plan = make_plan(photos, resolve_settings(Settings(crop=90)))
    problems = dict(zip(plan.names, plan.problems, strict=True))
    assert "bad.png is not an image" in problems["bad.png"]
    assert problems["p0.png"].endswith(
        "p0.png is 96x80, smaller than a crop of 90: use smaller crops or leave it out."
    )
    assert [name for name, problem in problems.items() if not problem] == [
        "more/p5.png",
        "p1.png",
        "p2.png",
        "p3.png",
        "p4.png",
    ]


def test_a_folder_without_one_usable_image_is_refused(photos: Path) -> None:
    with pytest.raises(ImageError, match=r"No image in .*photos is large enough for a crop of 256x256"):
        make_plan(photos, resolve_settings(Settings()))
    (photos / "p0.png").write_text("no image")
    with pytest.raises(
        ImageError, match=r"No image in .*photos can be mined: .*p5.png.*\. 5 more cannot be mined either\.$"
    ):
        make_plan(photos, resolve_settings(Settings()))


@pytest.mark.parametrize("name", ["9.41\u202fPM.png", "日本\u3000語.png", "\U0001f468\u200d\U0001f469.png"])
def test_spaces_of_all_kinds_may_be_in_names(photos: Path, name: str) -> None:
    """A Mac names screenshots with a narrow one before AM and PM."""
    (photos / "p0.png").rename(photos / name)
    plan = make_plan(photos, resolve_settings(Settings(crop=32)))
    assert name in plan.names
    assert not any(plan.problems)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_an_image_whose_name_leads_astray_elsewhere_is_left_out_by_name(photos: Path) -> None:
    for name in (b"a\\..\\b.png", b"C:x.png", b"new\nline.png", b"latin\xe9.png"):
        shutil.copy(photos / "p0.png", os.path.join(os.fsencode(photos), name))
    plan = make_plan(photos, resolve_settings(Settings(crop=32)))
    problems = {name: text for name, text in zip(plan.names, plan.problems, strict=True) if text}
    assert len(problems) == 4
    assert "backslash or an unprintable character: rename it." in problems["a\ufffd..\ufffdb.png"]
    assert "new\ufffdline.png contains" in problems["new\ufffdline.png"]
    assert "latin\ufffd.png contains" in problems["latin\ufffd.png"]
    assert "is not the path of a file in a folder" in problems["C:x.png"]
    assert {plan.names[i] for i in plan.image} == {"more/p5.png", *(f"p{i}.png" for i in range(5))}


def test_chunks_are_shorter_for_longer_fits_and_shorter_runs() -> None:
    assert chunk_length(40_000, 256, 300) == 12
    assert chunk_length(40_000, 256, 50_000) == 12
    assert chunk_length(5, 1024, 50_000) == 5
    assert chunk_length(48, 256, 300) == 1
    assert chunk_length(600_000, 64, 300) == 64
    assert chunk_length(600_000, 256, 300) == 12
    assert chunk_length(5_000_000, 256, 300) == chunk_length(5_000_000, 256, 50_000) == 100
    assert chunk_length(10_000_000, 64, 300) == chunk_length(10_000_000, 256, 300) == 128
