"""`dgp-mine images` shows what a folder holds, a line for each kind and reason; status 3 if any is bad."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from dgp_mine import one_sentence, run
from PIL import Image

from dgp_mining.images import survey as library
from dgp_mining.images.reading import AS_STORED, Reading
from dgp_mining.images.survey import Survey


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments that reach `survey`."""
    recorded: list[dict[str, Any]] = []

    def record(folder: str, reading: Reading, **options: Any) -> Survey:
        recorded.append({"folder": folder, "reading": reading, **options})
        return Survey(folder, [], [], {}, [])

    monkeypatch.setattr(library, "survey", record)
    return recorded


def test_every_option_reaches_the_library(calls: list[dict[str, Any]]) -> None:
    run("images", "x")
    run("images", "y", "--decode", "--window", "1,9", "--axis", "t", "--slice", 2, "--tone", "reinhard")
    run("images", "y", "--white", 4095)
    assert [call["folder"] for call in calls] == ["x", "y", "y"]
    assert [call["decode"] for call in calls] == [False, True, False]
    assert [call["reading"] for call in calls] == [
        AS_STORED,
        Reading(None, (1.0, 9.0), "t", 2, "reinhard"),
        Reading(white=4095.0),
    ]


def test_wrong_usage_names_the_option() -> None:
    assert "--white" in one_sentence(run("images", ".", "--white", 0), 2)
    assert "--window" in one_sentence(run("images", ".", "--window", "1"), 2)
    assert "does not exist: name a folder of images with DIR." in one_sentence(run("images", "none"), 1)


def test_a_folder_is_shown_in_a_line_for_each_kind_and_reason(photos: Path) -> None:
    shutil.copy(photos / "p0.png", photos / "same.png")
    tifffile.imwrite(photos / "deep.tif", np.full((32, 32), 4_000, np.uint16))
    Image.new("RGBA", (8, 8)).save(photos / "clear.png")
    for number in range(3):
        (photos / f"bad{number}.png").write_text("no image")
        (photos / f"{number}.cr9").touch()
    shutil.copy(photos / "p1.png", photos / "picture.dat")
    shown = run("images", photos, "--decode")
    assert shown.exit_code == 3
    assert shown.stdout.splitlines() == [
        f"{photos}: 12 images, 3 of them cannot be read",
        "      7 x 8-bit RGB PNG, sRGB, white is 255, 96x80 to 96x130",
        "      1 x 8-bit RGB PNG with alpha, sRGB, white is 255, 8x8",
        "      1 x 16-bit grey TIFF, sRGB, white is 65,535, 32x32",
        "note: clear.png: the alpha channel is dropped",
        "1 image with the content of another, which fit mines once:",
        "  same.png = p0.png",
        f"cannot be read: 3 images, the first {photos}/bad0.png: each is not an image in a format that "
        "is read: remove or convert it.",
        f"  {photos}/bad1.png",
        f"  {photos}/bad2.png",
        "4 other files are not read: 3 .cr9, 1 .dat.",
        "1 of them would be read with the right suffix: picture.dat, which is PNG.",
        "warning: The brightest pixel of its 16-bit images is 4,000 of 65,535: if white is 4,095, say so "
        "with --white 4095.",
    ]


def test_the_same_as_json(photos: Path) -> None:
    shown = run("images", photos, "--json")
    assert shown.exit_code == 0
    found = json.loads(shown.stdout)
    assert [file["path"] for file in found["files"]] == ["more/p5.png", *(f"p{i}.png" for i in range(5))]
    assert found["files"][0]["size"] == [130, 96]
    assert set(found) == {"folder", "files", "others", "misnamed", "warnings"}
