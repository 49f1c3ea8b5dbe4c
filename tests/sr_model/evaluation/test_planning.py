"""What is measured is known before any pixels are read."""

import logging
from pathlib import Path

import pytest
from PIL import Image

from dgp_mining.images.reader import ImageError
from sr_model.evaluation.planning import plan_evaluation


def image(path: Path, width: int, height: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height)).save(path)
    return path


def test_names_are_unique_below_the_common_folder(tmp_path):
    for name in ("HR/cars/a.png", "HR/cars/a.bmp", "HR/faces/a.png", "LR/cars/a.png"):
        image(tmp_path / name, 24, 16)
    plan = plan_evaluation(tmp_path, 2)
    assert [one.name for one in plan.measurements] == ["cars/a.bmp", "cars/a.png", "faces/a"]


def test_images_may_be_listed_from_several_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_evaluation(["a/x.png", tmp_path / "b" / "x.png"], [2.0])
    assert [one.name for one in plan.measurements] == ["a/x", "b/x"]


def test_a_scale_that_the_sizes_leave_open_can_be_stated(tmp_path):
    """512 to 204 pixels is x2.5 of 510 pixels as well as x2.5098."""
    hr = image(tmp_path / "HR" / "a.png", 512, 512)
    image(tmp_path / "LR" / "a.png", 204, 204)
    (sizes,) = plan_evaluation([hr], None, tmp_path / "LR").measurements
    (stated,) = plan_evaluation([hr], [2, 2.5], tmp_path / "LR").measurements
    assert (sizes.scale, stated.scale) == (pytest.approx(2.5098, abs=1e-4), 2.5)
    assert stated.pair.covered == (510, 510)


def test_a_folder_without_lr_images_of_the_set_is_named(tmp_path):
    hr = image(tmp_path / "HR" / "a.png", 24, 16)
    image(tmp_path / "X2" / "a.png", 12, 8)
    image(tmp_path / "X4" / "b.png", 6, 4)
    with pytest.raises(ImageError, match="X4 has no LR image of any of the HR images"):
        plan_evaluation([hr], None, [tmp_path / "X2", tmp_path / "X4"])
    with pytest.raises(ImageError, match=r"No image in .*X4 belongs to an HR image: "):
        plan_evaluation([hr], None, tmp_path / "X4")


def test_results_are_not_searched(tmp_path, caplog):
    image(tmp_path / "a.png", 24, 16)
    image(tmp_path / "sr" / "a_x2_net.png", 24, 16)
    with caplog.at_level(logging.INFO, "sr_model"):
        assert plan_evaluation(tmp_path, 2, without=tmp_path / "sr").images == 1
    assert not caplog.messages
    with pytest.raises(ImageError, match="All images of "):
        plan_evaluation(tmp_path, 2, without=tmp_path)


def test_scales_at_which_lr_images_are_far_larger_than_hr_images_are_refused(tmp_path: Path):
    Image.new("L", (48, 40)).save(tmp_path / "a.png")
    assert plan_evaluation(tmp_path, 0.5).measurements
    with pytest.raises(ValueError, match=r"scales= must be 0\.25 or more, got 0\.01"):
        plan_evaluation(tmp_path, [2, 0.01])
