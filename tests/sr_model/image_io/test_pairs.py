"""LR images are found by the names of the field's data sets, and the scale by their sizes."""

from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from dgp_mining.images.reader import ImageError, image_size
from sr_model.image_io.pairs import FoundPairs, find_pairs, scale_of_sizes, sized_pair

SET5 = Path(__file__).parents[4] / "shared" / "images" / "set5"


def image(path: Path, width: int = 24, height: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height)).save(path)
    return path


def lr_image(path: Path, scale: int = 2) -> Path:
    return image(path, 24 // scale, 16 // scale)


def names(found: FoundPairs) -> list[tuple[str, str]]:
    return [(pair.hr.name, pair.lr.name) for pair in found.pairs]


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("0001", "0001"),
        ("0001", "0001x4"),
        ("0001", "0001x4m"),
        ("0001", "0001x2.5"),
        ("baby", "baby_LRBI_x4"),
        ("baby_HR_x4", "baby_LRBI_x4"),
        ("img_001_SRF_4_HR", "img_001_SRF_4_LR"),
        ("Canon_001_HR", "Canon_001_LR4"),
        ("P1_x1", "P1_x4"),
        ("a", "a_bicubic"),
        ("matrix2", "matrix2x4"),
    ],
)
def test_names_are_paired_with_or_without_suffixes(hr, lr, tmp_path):
    high, low = image(tmp_path / "HR" / f"{hr}.png"), lr_image(tmp_path / "LR" / f"{lr}.bmp")
    found = find_pairs([high], [tmp_path / "LR"])
    assert [(pair.hr, pair.lr, pair.scale) for pair in found.pairs] == [(high, low, 2)]
    assert not found.refused


def test_an_image_whose_name_ends_like_a_suffix_gets_its_own(tmp_path):
    high = [image(tmp_path / "HR" / f"{name}.png") for name in ("matri", "matrix2", "matrix3")]
    for name in ("matrix2", "matrix2x4", "matrix3x4"):
        lr_image(tmp_path / "LR" / f"{name}.png")
    found = find_pairs(high, [tmp_path / "LR"])
    assert names(found) == [
        ("matrix2.png", "matrix2.png"),
        ("matrix2.png", "matrix2x4.png"),
        ("matrix3.png", "matrix3x4.png"),
    ]
    assert [str(high[0]) in sentence for sentence in found.refused] == [True]


def test_an_image_has_partners_in_several_folders_and_in_folders_below(tmp_path):
    high = [image(tmp_path / "HR" / f"{name}.png") for name in ("a", "b")]
    for scale in (2, 4):
        for name in ("a", "b"):
            lr_image(tmp_path / "LR" / f"X{scale}" / f"{name}x{scale}.png", scale)
    expected = [(f"{name}.png", f"{name}x{scale}.png", scale) for name in "ab" for scale in (2, 4)]
    for folders in ([tmp_path / "LR"], [tmp_path / "LR/X2", tmp_path / "LR/X4"]):
        found = find_pairs(high, folders)
        assert [(pair.hr.name, pair.lr.name, pair.scale) for pair in found.pairs] == expected


def test_a_missing_partner_is_named_with_the_folder_that_lacks_it(tmp_path):
    high = [image(tmp_path / "HR" / f"{name}.png") for name in "abc"]
    for name in ("X2/a", "X2/b", "X4/a", "other/z"):
        lr_image(tmp_path / f"{name}.png", 4 if "X4" in name else 2)
    found = find_pairs(high, [tmp_path / "X2", tmp_path / "X4", tmp_path / "other"])
    assert len(found.pairs) == 3
    b, c = found.refused
    assert str(high[1]) in b
    assert "X4" in b
    assert "X2" not in b
    assert "other" not in b  # it has no LR image of any of these: it may be that of other images
    assert str(high[2]) in c
    assert "X2 or " in c


def test_equal_names_are_told_apart_by_their_folders_or_are_ambiguous(tmp_path):
    high = [image(tmp_path / folder / "HR" / "1.png") for folder in ("Set5", "Set14")]
    low = [lr_image(tmp_path / folder / "X2" / "1x2.png") for folder in ("Set5", "Set14")]
    found = find_pairs(high, [path.parent for path in low])
    assert [(pair.hr, pair.lr) for pair in found.pairs] == list(zip(high, low, strict=True))
    lr_image(tmp_path / "elsewhere" / "1x2.png")
    found = find_pairs(high, [tmp_path / "elsewhere"])
    assert not found.pairs
    (sentence,) = found.refused
    assert "may belong to" in sentence


def test_hr_and_lr_images_may_share_a_folder(tmp_path):
    """As in RealSR."""
    for index in range(2):
        image(tmp_path / f"cam_{index}_HR.png")
        lr_image(tmp_path / f"cam_{index}_LR2.png")
    found = find_pairs(sorted(tmp_path.glob("*.png")), [tmp_path])
    assert names(found) == [(f"cam_{index}_HR.png", f"cam_{index}_LR2.png") for index in range(2)]
    assert not found.refused


@pytest.mark.parametrize(
    ("hr", "lr", "scale"),
    [
        ((1353, 2040), (338, 510), 4),  # cropped to a multiple
        ((1353, 2040), (339, 510), 4),  # rounded up, as by MATLAB
        ((1404, 2040), (176, 255), 8),  # DIV2K's 0001x8
        ((48, 40), (48, 40), 1),
        ((50, 100), (20, 40), Fraction(5, 2)),
        ((1404, 2040), (561, 816), Fraction(5, 2)),
        ((1404, 2040), (562, 816), Fraction(5, 2)),
        ((1400, 2040), (338, 510), None),
        ((2040, 1353), (338, 510), None),
        ((40, 42), (40, 40), None),
    ],
)
def test_the_scale_is_whole_if_sizes_allow_it_within_a_pixel(hr, lr, scale):
    assert scale_of_sizes(hr, lr) == scale


def test_every_way_to_round_a_size_gives_the_scale_that_made_it():
    for scale in (2, 3, 4, 8):
        for height in range(200, 217):
            for width in range(300, 317):
                for extents in (
                    (height // scale, width // scale),
                    (-(-height // scale), -(-width // scale)),
                    (round(height / scale), round(width / scale)),
                ):
                    assert scale_of_sizes((height, width), extents) == scale


def test_what_was_cropped_is_not_covered(tmp_path):
    high = image(tmp_path / "a.png", 2040, 1353)
    assert sized_pair(high, image(tmp_path / "floor.png", 510, 338)).covered == (1352, 2040)
    assert sized_pair(high, image(tmp_path / "ceil.png", 510, 339)).covered == (1353, 2040)


def test_sizes_that_do_not_belong_together_are_named(tmp_path):
    high = [image(tmp_path / "HR" / f"{name}.png") for name in "abcd"]
    image(tmp_path / "LR" / "a.png", 12, 12)
    image(tmp_path / "LR" / "b.png", 48, 32)
    (tmp_path / "LR" / "c.png").write_text("not an image")
    lr_image(tmp_path / "LR" / "d.png")
    found = find_pairs(high, [tmp_path / "LR"])
    assert names(found) == [("d.png", "d.png")]
    for sentence, name, phrase in zip(
        found.refused, "abc", ("not one scale", "must not be larger", "not an image"), strict=True
    ):
        assert str(tmp_path / "LR" / f"{name}.png") in sentence
        assert phrase in sentence


def test_a_fault_of_the_disk_costs_one_pair(tmp_path, monkeypatch):
    high = [image(tmp_path / "HR" / f"{name}.png") for name in "ab"]
    for name in "ab":
        lr_image(tmp_path / "LR" / f"{name}.png")

    def faulty(path: Path) -> tuple[int, int]:
        if path == high[0]:
            raise OSError(5, "Input/output error", str(path))
        return image_size(path)

    monkeypatch.setattr("sr_model.image_io.pairs.image_size", faulty)
    found = find_pairs(high, [tmp_path / "LR"])
    assert names(found) == [("b.png", "b.png")]
    (sentence,) = found.refused
    assert sentence == f"{high[0]} cannot be read (Input/output error)."


def test_a_folder_without_images_is_one_sentence(tmp_path):
    high = image(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"nowhere.*lr="):
        find_pairs([high], [tmp_path / "nowhere"])


def test_set5_is_paired_at_every_scale_in_circulation():
    if not SET5.is_dir():
        pytest.skip("no Set5 next to the repository")
    high = sorted((SET5 / "HR").glob("*.png"))
    for folder in sorted(SET5.glob("X*")):
        found = find_pairs(high, [folder])
        assert len(found.pairs) == len(high)
        assert {pair.scale for pair in found.pairs} == {int(folder.name[1:])}
        assert not found.refused
