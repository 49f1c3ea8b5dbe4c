"""What holds for every format: a slice that is not there is refused, never another read in its place."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.reader import ImageError, image_size
from dgp_mining.images.reading import Reading

PILLOW = ("bmp", "dib", "tga", "png", "jpg", "webp", "gif", "ppm", "tif", "jp2", "avif")


@pytest.mark.parametrize("suffix", [*PILLOW, "qoi", "jxl"])
def test_a_slice_that_a_file_lacks_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "qoi":
        path.write_bytes(imagecodecs.qoi_encode(np.zeros((4, 5, 3), np.uint8)))
    elif suffix == "jxl":
        path.write_bytes(imagecodecs.jpegxl_encode(np.zeros((4, 5, 3), np.uint8)))
    else:
        Image.new("RGB", (5, 4)).save(path)
    assert image_size(path, Reading(slice=0)) == (4, 5)
    with pytest.raises(
        ImageError, match=r"(has 1 (frame|page|image), so|only the first image is read, not) slice=3"
    ):
        image_size(path, Reading(slice=3))


def test_one_of_anything_is_singular(tmp_path: Path) -> None:
    nib = pytest.importorskip("nibabel")
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(ImageError, match="has 1 volume, so slice=1 is not among them"):
        image_size(tmp_path / "a.nii", Reading(axis="t", slice=1))
