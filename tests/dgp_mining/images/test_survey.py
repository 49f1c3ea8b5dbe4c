"""A folder is described image by image: what each is, what cannot be read, which are copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dgp_mining.images.limits import ImageError
from dgp_mining.images.reading import Reading
from dgp_mining.images.survey import Survey, kinds, survey
from dgp_mining.progress import ProgressCallback


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good, odd, damaged, repeated and other files."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(folder / "a.png")
    Image.fromarray(noise[:20]).save(folder / "b.png")
    shutil.copy(folder / "a.png", folder / "more/copy.png")
    Image.fromarray(noise).save(folder / "turned.jpg", exif=turned())
    tifffile.imwrite(folder / "deep.tif", noise[..., 0].astype(np.uint16) * 16)
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:2000])
    (folder / "text.png").write_text("no image")
    for name in ("a.heic2", "b.heic2", "notes.txt", "README"):
        (folder / name).write_text("nothing")
    shutil.copy(folder / "b.png", folder / "picture.dat")
    return folder


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


def of(found: Survey, path: str) -> dict[str, object]:
    (record,) = [file for file in found.to_json()["files"] if file["path"] == path]
    return record


def test_each_image_is_described_by_its_header(folder: Path) -> None:
    found = survey(folder)
    assert [image.path for image in found.images] == sorted(
        ["a.png", "b.png", "cut.png", "deep.tif", "more/copy.png", "text.png", "turned.jpg"]
    )
    record = of(found, "turned.jpg")
    expected = {"format": "JPEG", "size": [60, 40], "model": "RGB", "channels": 3, "bits": 8, "white": 255.0}
    expected |= {"encoding": "sRGB", "orientation": 6, "alpha": "none", "error": "", "duplicate_of": ""}
    assert {key: record[key] for key in expected} == expected
    assert of(found, "deep.tif")["white"] == 65_535
    json.dumps(found.to_json())


def test_what_cannot_be_read_has_its_sentence_and_with_decode_damaged_pixels_do_too(folder: Path) -> None:
    assert [image.path for image in survey(folder).unreadable] == ["text.png"]
    found = survey(folder, decode=True)
    assert [image.path for image in found.unreadable] == ["cut.png", "text.png"]
    assert "cannot be decoded" in of(found, "cut.png")["error"]
    assert "is not an image" in of(found, "text.png")["error"]


def test_numbers_of_unknown_white_are_told_by_their_header(folder: Path) -> None:
    tifffile.imwrite(folder / "counts.tif", np.full((8, 8), 70_000, np.uint32))
    assert (
        "integers of 32 bits, for which the value of white is unknown"
        in of(survey(folder), "counts.tif")["error"]
    )
    assert of(survey(folder, Reading(white=1e5)), "counts.tif")["error"] == ""


def test_a_copy_names_the_first_file_with_its_bytes(folder: Path) -> None:
    found = survey(folder)
    assert {image.path: image.duplicate_of for image in found.images if image.duplicate_of} == {
        "more/copy.png": "a.png"
    }


def test_other_files_are_listed_and_images_with_another_suffix_are_told(folder: Path) -> None:
    found = survey(folder)
    assert found.others == ["README", "a.heic2", "b.heic2", "notes.txt", "picture.dat"]
    assert found.misnamed == {"picture.dat": "PNG"}


def test_dark_16_bits_are_warned_of_unless_white_is_chosen(folder: Path) -> None:
    (warning,) = survey(folder).warnings
    assert "white=4095" in warning
    found = survey(folder, Reading(white=4080))
    assert found.warnings == []
    assert of(found, "deep.tif")["levels"] == "white is 4,080 (as you chose)"
    assert of(found, "a.png")["levels"] == "white is 255"


def test_images_that_are_read_alike_are_one_kind(folder: Path) -> None:
    found = kinds(survey(folder).images)
    assert [(kind, len(images)) for kind, images in found] == [
        ("8-bit RGB PNG, sRGB, white is 255", 4),
        ("16-bit grey TIFF, sRGB, white is 65,535", 1),
        ("8-bit RGB JPEG, sRGB, white is 255", 1),
    ]


def test_notes_are_those_of_the_header_and_with_decode_those_of_the_pixels(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4)).save(tmp_path / "a.png")
    assert survey(tmp_path).images[0].notes == ()
    assert survey(tmp_path, decode=True).images[0].notes == ("the alpha channel is dropped",)


def test_progress_is_told(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []

    class Recorded(ProgressCallback):
        def on_progress(self, what: str, done: int, total: int) -> None:
            told.append((what, done, total))

    survey(folder, decode=True, callback=Recorded())
    assert ("Reading headers", 7, 7) in told
    assert ("Decoding", 6, 6) in told


def test_a_folder_without_images_is_described_and_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert survey(tmp_path).others == ["a.txt"]
    with pytest.raises(ImageError, match="does not exist"):
        survey(tmp_path / "none")


def test_a_name_that_leads_astray_is_an_error(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "new\nline.png")
    (image,) = survey(tmp_path).images
    assert image.path == "new\ufffdline.png"
    assert "unprintable" in image.error
