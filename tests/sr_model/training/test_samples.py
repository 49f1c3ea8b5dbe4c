"""Training samples depend on the seed and the step alone; images that are left out are logged."""

import logging
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from runs import assert_seed_and_step_decide

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, read_rgb
from dgp_mining.prior.dictionary import Dictionary
from splat2d.matlab_imresize import imresize
from sr_model import Preset
from sr_model.scaling import scaled_extent
from sr_model.training.samples import (
    ImageSet,
    held_out_images,
    largest_crop,
    mined_from,
    prefetch,
)


def test_a_batch_depends_on_seed_and_step_alone(photographs: Path, tiny: Preset, cache: Path):
    first, second = (ImageSet(list_images(photographs), smallest=24, cache=cache) for _ in range(2))
    assert_seed_and_step_decide(first, second, tiny.train)


def test_scales_are_drawn_for_each_sample_where_asked_for(photographs: Path, tiny: Preset, cache: Path):
    images = ImageSet(list_images(photographs), smallest=24, cache=cache)
    mixed = replace(tiny.train, batch=12, scale_of="sample")
    batch = images.batch(mixed, 0, 0)
    sides = [hr.shape[2] for hr in batch.hr]
    assert len(sides) > 3
    assert sides == sorted(set(sides))
    assert sum(len(hr) for hr in batch.hr) == len(batch.lr) == 12
    assert batch.scales().tolist() == [hr.shape[2] / 8 for hr in batch.hr for _ in hr]
    start = 0
    for hr in batch.hr:
        lr = batch.lr[start : start + len(hr)]
        torch.testing.assert_close(lr, imresize(hr, (8, 8)).clamp(0, 1))
        start += len(hr)


def test_what_is_prepared_ahead_comes_in_order_and_no_more_is_made_than_needed():
    made = []
    with closing(prefetch(lambda step: made.append(step) or step * step, 3, ahead=2)) as ahead:
        assert [next(ahead) for _ in range(4)] == [9, 16, 25, 36]
    assert set(made) <= set(range(3, 9))


def test_a_sample_that_cannot_be_made_is_an_error_where_it_is_needed():
    def make(step: int) -> int:
        if step == 2:
            raise ImageError("no such image")
        return step

    with closing(prefetch(make, 0)) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
        with pytest.raises(ImageError, match="no such image"):
            next(ahead)


def test_low_resolution_crops_are_matlabs_bicubic_of_the_high_ones(
    photographs: Path, tiny: Preset, cache: Path
):
    images = ImageSet(list_images(photographs), smallest=24, cache=cache)
    sides = set()
    for step in range(20):
        batch = images.batch(tiny.train, 0, step)
        lr, (hr,) = batch.lr, batch.hr
        assert lr.shape == (2, 3, 8, 8)
        assert 16 <= hr.shape[2] == hr.shape[3] <= 24
        torch.testing.assert_close(lr, imresize(hr, (8, 8)).clamp(0, 1))
        sides.add(hr.shape[2])
    assert len(sides) > 4  # any ratio, not whole ones only


def test_crops_are_pixels_of_the_images_in_all_eight_orientations(tmp_path: Path, tiny: Preset, cache: Path):
    picture = torch.arange(16 * 16, dtype=torch.uint8).view(16, 16)
    Image.fromarray(picture.numpy()).save(tmp_path / "a.png")
    images = ImageSet(list_images(tmp_path), smallest=16, cache=cache)
    whole = replace(tiny.train, scales=(2.0, 2.0))
    seen = {
        tuple((crop[0] * 255).round().byte().flatten().tolist())
        for step in range(40)
        for crop in images.batch(whole, 0, step).hr[0]
    }
    turned = [torch.rot90(t, k) for t in (picture, picture.T) for k in range(4)]
    assert seen == {tuple(t.flatten().tolist()) for t in turned}


def test_small_and_broken_images_are_skipped_with_a_line_each(photographs: Path, cache: Path, caplog):
    Image.new("RGB", (20, 50)).save(photographs / "small.png")
    (photographs / "text.png").write_text("not an image")
    whole = (photographs / "0.png").read_bytes()
    (photographs / "truncated.png").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        images = ImageSet(list_images(photographs), smallest=24, cache=cache)
    assert len(images) == 4
    for name in ("small.png", "text.png", "truncated.png"):
        assert sum(name in line for line in caplog.messages) == 1


def test_a_size_that_is_needed_says_where_it_comes_from(photographs: Path, tiny: Preset, cache: Path, caplog):
    wide = replace(tiny.train, crop=28, scales=(2.0, 4.5))
    side, reason = largest_crop(wide)
    with pytest.raises(
        ImageError, match=r"126 pixels on each side \(training\.crop 28 at scale 4\.5"
    ) as error:
        ImageSet(list_images(photographs), smallest=side, reason=reason, cache=cache)
    assert "lower" in str(error.value)
    assert "0.png has 48x40 pixels, and 126 on each side are needed (training.crop 28 at" in caplog.text


def test_a_folder_without_a_usable_image_is_one_sentence(photographs: Path, cache: Path):
    with pytest.raises(ImageError, match=r"images=") as error:
        ImageSet(list_images(photographs), smallest=100, cache=cache)
    assert str(photographs) in str(error.value)


def test_images_keep_their_pixels(photographs: Path, cache: Path):
    paths = list_images(photographs)
    images = ImageSet(paths, smallest=24, cache=cache)
    for path, image in zip(paths, images.images, strict=True):
        assert (abs(image / 255 - read_rgb(path)) < 1e-6).all()


def squares(folder: Path, *sides: int) -> list[Path]:
    """Grey images with so many pixels on each side; a file of text for 0."""
    folder.mkdir()
    for index, side in enumerate(sides):
        path = folder / f"{index:02}.png"
        picture = Image.linear_gradient("L").resize((side or 1, side or 1))
        picture.save(path) if side else path.write_text("not an image")
    return list_images(folder)


def test_images_are_held_out_after_decoding_one_in_eight_of_the_usable(tmp_path: Path, cache: Path):
    paths = squares(tmp_path / "mixed", 40, 0, *[40] * 3, 0, 10, *[40] * 12)  # sixteen can be validated
    chosen = held_out_images(paths, smallest=24, cache=cache)
    assert [path.name for path in chosen] == ["07.png", "15.png"]
    assert chosen == held_out_images(paths, smallest=24, cache=cache)
    images = ImageSet(paths, smallest=24, cache=cache, held_out=chosen)
    assert len(images) == 14
    assert not set(images.paths) & set(chosen)
    assert held_out_images(paths[:7], smallest=24, cache=cache) == []


def test_what_is_too_small_to_train_on_may_be_held_out_but_not_the_last_to_train_on(
    tmp_path: Path, cache: Path
):
    small = squares(tmp_path / "small", *[40] * 4, 36, *[40] * 4)
    assert held_out_images(small, smallest=40, cache=cache) == [small[4]]
    large = squares(tmp_path / "large", *[36] * 4, 40, *[36] * 4)
    assert held_out_images(large, smallest=40, cache=cache) not in ([], [large[4]])


def test_enlarged_sizes_are_rounded():
    assert [scaled_extent(57, 2.5), scaled_extent(10, 3.7), scaled_extent(1, 0.2)] == [143, 37, 1]


def test_a_dictionary_without_its_images_says_to_name_others(dictionary: Dictionary, tmp_path: Path):
    gone = Dictionary(dictionary.cholesky, {"images": str(tmp_path / "DIV2K")})
    path = tmp_path / "dict.npz"
    gone.save(path)
    with pytest.raises(ImageError, match=r"DIV2K.* gone.*images="):
        mined_from(gone, path)
    with pytest.raises(ImageError, match=r"images="):
        mined_from(Dictionary(dictionary.cholesky, {"images": None}), path)
    (tmp_path / "DIV2K").mkdir()
    assert mined_from(gone, path) == tmp_path / "DIV2K"
