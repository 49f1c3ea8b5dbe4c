"""The comparison with other decoders tells agreement from every kind of disagreement, and outlives them."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

FOLDER = Path(__file__).parents[3] / "workflows" / "studies"
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("reader_against_others")
    for name in ("reader_against_others", "other_decoders", "decoding_process"):
        sys.modules.pop(name, None)


@pytest.fixture
def compare(study):
    """What is said of two arrays [H, W, C] of 8 or 16 bits, ours first."""
    unit = sys.modules["other_decoders"].unit
    return lambda ours, theirs: study.comparison(unit(ours), unit(theirs), study.EXACT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "pictures"
    (pictures / "below").mkdir(parents=True)
    Image.fromarray(PIXELS).save(pictures / "plain.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (16, 8), (200, 100, 50)).save(pictures / "below" / "turned.jpg", exif=turned)
    tifffile.imwrite(pictures / "int32.tif", np.arange(54, dtype=np.int32).reshape(6, 9))
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing else")
    (pictures / "notes.txt").write_text("no picture")
    return pictures


def test_a_folder_gives_a_table_the_reasons_and_json(study, folder, monkeypatch, capsys, tmp_path):
    written = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["study", str(folder), "--json", str(written)])
    study.main()
    found = {Path(each["path"]).name: each for each in json.loads(written.read_text())}
    assert {name: each["verdict"] for name, each in found.items()} == {
        "plain.png": study.AGREE,
        "turned.jpg": study.AGREE
        if set(found["turned.jpg"]["others"].values()) == {"agree"}
        else study.WITHOUT,
        "int32.tif": study.REFUSED,
        "broken.png": study.NOBODY,
    }
    assert not any(each["faults"] for each in found.values())
    assert found["int32.tif"]["others"]["tifffile"] == "reads it"
    printed = capsys.readouterr().out
    assert "| PNG | 2 | 1 |" in printed
    assert "| all | 4 |" in printed
    assert "- `int32.tif`: ... " in printed  # our sentence, without the path
    assert f"Pillow {Image.__version__}" in printed


def test_decoders_that_are_not_installed_are_named_and_left_out(study, folder, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("cv2", "pyvips", "rawpy") else real(name)
    )
    monkeypatch.setattr(sys, "argv", ["study", str(folder / "below")])
    study.main()
    printed = capsys.readouterr().out
    assert "left out: pyvips-binary, opencv-python-headless, " in printed
    assert "libvips:" not in printed


def test_values_within_the_tolerance_agree(compare):
    assert compare(PIXELS, PIXELS) == "agree"
    assert compare(PIXELS // 2, PIXELS // 2 + 2) == "agree"
    assert compare(PIXELS // 2, PIXELS // 2 + 3).startswith("white: ours = 1 * theirs")


def test_grey_agrees_with_grey_repeated_and_without_alpha(compare):
    grey = PIXELS[..., :1]
    assert compare(grey, np.repeat(grey, 3, 2)) == "agree"
    assert compare(np.repeat(grey, 3, 2), grey) == "agree"
    assert compare(PIXELS, np.concatenate([PIXELS, PIXELS[..., :1]], 2)) == "agree"
    assert compare(PIXELS, np.concatenate([PIXELS, PIXELS], 2)) == "channels: 6, ours 3"


def test_kinds_of_disagreement_are_told_apart(compare):
    assert compare(PIXELS, PIXELS[:-1]) == "shape: 9x5, ours 9x6"
    assert compare(PIXELS, PIXELS[::-1]) == "orientation: ours turned by 4"
    assert compare(PIXELS, PIXELS[..., ::-1]) == "colours: red and blue exchanged"
    assert compare(PIXELS, PIXELS.astype(np.uint16) * 16).startswith("white: ours = 16.06 * theirs")
    changed = PIXELS.copy()
    changed[2, 3] = 255 - changed[2, 3]
    assert "at row 2, column 3" in compare(PIXELS, changed)


def test_physical_numbers_are_compared_up_to_a_linear_map_and_where_there_are_data(compare):
    values = PIXELS[..., :1].astype(np.float64) * 7 - 1000
    assert compare(PIXELS[..., :1], values) == "agree"
    values[0, 0] = np.nan
    assert compare(PIXELS[..., :1], values) == "agree"
    assert compare(PIXELS[..., :1], -(values**2)) != "agree"


def test_a_step_that_another_decoder_leaves_out_is_named(study):
    decoders = sys.modules["other_decoders"]
    mine = decoders.Picture(decoders.unit(255 - PIXELS).pixels, variants={"without it": PIXELS / 255})
    assert study.comparison(mine, decoders.unit(PIXELS), study.EXACT) == "agree without it"


def test_a_decoder_that_hangs_or_crashes_ends_alone(study, folder):
    path = folder / "plain.png"
    process = study.Process(limit=0.0)
    assert process.ask("Pillow", path).error == "takes longer than 0 s"
    process.limit = 60.0
    os.kill(process.process.pid, signal.SIGKILL)
    assert process.ask("Pillow", path).error == "its process has ended"
    assert process.ask("Pillow", path).picture.pixels.shape == (6, 9, 3)
    process.close()


@pytest.mark.parametrize(
    ("name", "module"),
    [("libvips", "pyvips"), ("OpenCV", "cv2"), ("OpenCV, colour", "cv2"), ("Pillow", "PIL")],
)
def test_every_decoder_gives_the_pixels_of_a_png(study, folder, name, module):
    pytest.importorskip(module)
    answer = sys.modules["decoding_process"].answer(name, folder / "plain.png")
    np.testing.assert_allclose(answer.picture.pixels * 255, PIXELS, atol=1e-4)
    assert answer.printed == ""
