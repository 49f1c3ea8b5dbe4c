"""JPEG is what Pillow writes to a file and reads back."""

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model.degradation import Jpeg
from sr_model.degradation.jpeg import BLOCK, compressed


@pytest.fixture
def picture() -> np.ndarray:
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8))
    return np.array(small.resize((45, 37), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("quality", [10, 75, 95])
def test_compression_is_the_round_trip_through_a_file(picture, quality, subsampling, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture).save(path, quality=quality, subsampling=subsampling)
    with Image.open(path) as image:
        sampling = {"4:2:0": (2, 2), "4:2:2": (2, 1), "4:4:4": (1, 1)}[subsampling]
        assert image.layer[0][1:3] == sampling  # of luma; chroma has 1, 1
        expected = np.asarray(image)
    assert np.array_equal(compressed(picture, quality, subsampling), expected)


def test_an_image_is_compressed_by_one_of_the_qualities_with_blocks_that_begin_anywhere(picture):
    tensor = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    jpeg, found = Jpeg(quality=(20, 21), subsampling=("4:4:4", "4:2:0")), set()
    for seed in range(12):
        random = np.random.default_rng(seed)
        ours = (jpeg(tensor, random) * 255).round().byte().permute(1, 2, 0).numpy()
        for top, left in np.ndindex(BLOCK, BLOCK):
            padded = np.pad(picture, ((top, 0), (left, 0), (0, 0)), "symmetric")
            for quality in (20, 21):
                for subsampling in jpeg.subsampling:
                    if np.array_equal(compressed(padded, quality, subsampling)[top:, left:], ours):
                        found.add((seed, top, left, quality, subsampling))
    assert {seed for seed, *_ in found} == set(range(12))
    assert {quality for *_, quality, _ in found} == {20, 21}
    assert {subsampling for *_, subsampling in found} == {"4:4:4", "4:2:0"}
    assert len({(top, left) for _, top, left, *_ in found}) > 8


def test_values_outside_the_range_are_clamped():
    white = torch.full((3, 16, 16), 1.7)
    assert torch.equal(Jpeg()(white, np.random.default_rng(0)), torch.ones(3, 16, 16))


def test_compression_is_as_frequent_as_asked_for():
    image = torch.rand(3, 8, 8)
    often = Jpeg(probability=0.3)
    changed = sum(not torch.equal(often(image, np.random.default_rng(seed)), image) for seed in range(400))
    assert 90 < changed < 150


@pytest.mark.parametrize(
    ("name", "value"),
    [("quality", (0, 50)), ("quality", (60, 50)), ("quality", (60, 101)), ("subsampling", ()),
     ("subsampling", ("4:1:1",)), ("probability", 2)],
)  # fmt: skip
def test_wrong_settings_are_named(name, value):
    with pytest.raises(ValueError, match=rf"{name} of jpeg"):
        Jpeg(**{name: value})
