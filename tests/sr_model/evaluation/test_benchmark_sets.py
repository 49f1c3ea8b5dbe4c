"""Test sets are found by the names under which they circulate."""

from pathlib import Path

import pytest

from dgp_mining.images.reader import ImageError
from sr_model.evaluation.benchmark_sets import find_benchmark_sets, named_set


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *(("set5", "Set5"), ("Set_14", "Set14"), ("BSDS100", "BSD100"), ("b100", "BSD100")),
        *(("URBAN100", "Urban100"), ("Manga109", "Manga109"), ("General-100", "General100")),
        *(("DIV2K_valid_HR", "DIV2K"), ("DIV2K100", "DIV2K"), ("LSDIR_val", "LSDIR"), ("kodak", "Kodak")),
    ],
)
def test_a_set_has_several_names(folder: str, name: str) -> None:
    found = named_set(folder)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "folder", ["DIV2K_train_HR", "Set50", "photos", "HR", "Set5x4", "DIV2K_valid_LR_bicubic"]
)
def test_other_folders_are_no_sets(folder: str) -> None:
    assert named_set(folder) is None


def test_sets_come_in_the_order_of_the_tables(tmp_path: Path) -> None:
    for name in ("kodak", "urban100", "Set5", ".cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "Set14").write_text("a file is no set")
    found = find_benchmark_sets(tmp_path)
    assert [one.label for one in found.sets] == ["Set5", "Urban100", "Kodak"]
    assert "Set14" in found.absent
    assert found.unknown == []


def test_a_set_that_is_there_twice_keeps_the_names_of_its_folders(tmp_path: Path) -> None:
    for name in ("B100", "BSDS100"):
        (tmp_path / name).mkdir()
    assert [one.label for one in find_benchmark_sets(tmp_path).sets] == ["B100", "BSDS100"]


def test_of_div2k_the_validation_images_are_taken(tmp_path: Path) -> None:
    for name in ("DIV2K_train_HR", "DIV2K_valid_HR", "DIV2K_valid_LR_bicubic"):
        (tmp_path / "DIV2K" / name).mkdir(parents=True)
    (found,) = find_benchmark_sets(tmp_path).sets
    assert found.folder == tmp_path / "DIV2K" / "DIV2K_valid_HR"


def test_a_folder_may_be_a_set_itself(tmp_path: Path) -> None:
    (tmp_path / "Set5" / "X4").mkdir(parents=True)
    (found,) = find_benchmark_sets(tmp_path / "Set5").sets
    assert (found.label, found.folder) == ("Set5", tmp_path / "Set5")


def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(ImageError, match="holds none of the folders Set5"):
        find_benchmark_sets(tmp_path)
    with pytest.raises(ImageError, match="is no folder"):
        find_benchmark_sets(tmp_path / "missing")
