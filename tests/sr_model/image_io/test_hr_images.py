"""Of a test set only the high-resolution images are taken, in every layout in which such sets circulate."""

from pathlib import Path

import pytest

from dgp_mining.images.reader import ImageError
from sr_model.image_io.hr_images import find_hr_images


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"


def make(root: Path, names: str) -> None:
    for name in names.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        ("HR/baby.png X2/babyx2.png X3/babyx3.png X4/babyx4.png X8/babyx8.png", "HR/baby.png"),
        ("HR/baby.png LR_bicubic/X2/babyx2.png LR_bicubic/X4/babyx4.png", "HR/baby.png"),
        ("HR/img_001.png", "HR/img_001.png"),
        ("GTmod12/baby.png LRbicx2/baby.png LRbicx4/baby.png", "GTmod12/baby.png"),
        ("original/baby.png LRbicx2/baby.png", "original/baby.png"),
        ("Set5_HR/baby.png Set5_LR_x4/baby.png", "Set5_HR/baby.png"),
        (
            "DIV2K_valid_HR/0801.png DIV2K_valid_LR_bicubic/X4/0801x4.png "
            "DIV2K_valid_LR_unknown/X4/0801x4.png",
            "DIV2K_valid_HR/0801.png",
        ),
        (
            "image_SRF_4/img_001_SRF_4_HR.png image_SRF_4/img_001_SRF_4_LR.png "
            "image_SRF_4/img_001_SRF_4_bicubic.png",
            "image_SRF_4/img_001_SRF_4_HR.png",
        ),
        ("Canon/Test/4/Canon_001_HR.png Canon/Test/4/Canon_001_LR4.png", "Canon/Test/4/Canon_001_HR.png"),
        ("HR/Set5/x4/baby_HR_x4.png LR/LRBI/Set5/x4/baby_LRBI_x4.png", "HR/Set5/x4/baby_HR_x4.png"),
        ("test_HR/P1_x1.png test_LR/P1_x4.png", "test_HR/P1_x1.png"),
        ("HQ/a.png LQ/a.png", "HQ/a.png"),
        ("baby.png X4/babyx4.png", "baby.png"),
        ("HR/cars/a.png HR/faces/b.png LR/cars/a.png", "HR/cars/a.png HR/faces/b.png"),
        ("HR/a.png results/a.png", "HR/a.png"),
        ("a.png a_x4.png b.png b_x2_reference.png cars/c.png", "a.png b.png cars/c.png"),
    ],
)
def test_low_resolution_images_are_left_out(root: Path, names: str, taken: str) -> None:
    make(root, names)
    found = find_hr_images(root)
    assert [path.relative_to(root).as_posix() for path in found.paths] == taken.split()
    assert bool(found.note) == (len(names.split()) > len(taken.split()))


@pytest.mark.parametrize(
    "names", ["a.png b.png", "a.png cars/b.png faces/c.png", "1/a.png 2/a.png", "a_HR.png b_HR.png", "x2.png"]
)
def test_folders_whose_names_say_nothing_are_taken_whole(root: Path, names: str) -> None:
    make(root, names)
    found = find_hr_images(root)
    assert [path.relative_to(root).as_posix() for path in found.paths] == names.split()
    assert (found.folder, found.note) == (root, "")


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        ("GTmod12/baby.png LRbicx2/baby.png original/baby.png", "GTmod12 and original"),
        ("DIV2K_train_HR/0001.png DIV2K_valid_HR/0801.png", "DIV2K_train_HR and DIV2K_valid_HR"),
        ("HR/x2/a_HR_x2.png HR/x4/a_HR_x4.png LR/x2/a_LRBI_x2.png", "HR/x2 and HR/x4"),
        ("S2/i_SRF_2_HR.png S2/i_SRF_2_LR.png S4/i_SRF_4_HR.png S4/i_SRF_4_LR.png", "S2 and S4"),
        ("Set14/HR/b.png Set14/X2/bx2.png Set5/HR/a.png Set5/X2/ax2.png", "Set14/HR and Set5/HR"),
        ("cars/a.png faces/b.png X2/c.png", "cars and faces"),
    ],
)
def test_of_several_folders_none_is_guessed(root: Path, names: str, listed: str) -> None:
    make(root, names)
    with pytest.raises(ImageError, match=rf"several folders .*, {listed}: name one with images="):
        find_hr_images(root)


def test_a_set_without_hr_images_is_refused(root: Path) -> None:
    make(root, "X2/a.png X4/a.png")
    with pytest.raises(ImageError, match=r"only low-resolution images .* in X2 and X4: .*val="):
        find_hr_images(root, "val=")
    assert [path.name for path in find_hr_images(root / "X4").paths] == ["a.png"]


def test_many_folders_are_counted(root: Path) -> None:
    make(root, " ".join(f"HR/x{scale}/a.png" for scale in range(10, 30)))
    with pytest.raises(ImageError, match=r"HR/x17 and 12 more"):
        find_hr_images(root)


def test_a_link_to_itself_is_listed_like_any_image_that_cannot_be_read(root: Path) -> None:
    make(root, "a.png")
    (root / "self.png").symlink_to("self.png")
    assert len(find_hr_images(root, without=root.parent / "other").paths) == 2
