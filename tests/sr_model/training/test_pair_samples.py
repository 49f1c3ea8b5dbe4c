"""LR and HR crops of a pair show the same place, whatever the scale, and depend on seed and step alone."""

import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from runs import assert_seed_and_step_decide

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError
from splat2d.matlab_imresize import imresize
from sr_model import Preset
from sr_model.training.pair_samples import DecodedPairs, PairSet, decode_pairs

SET5 = Path(__file__).parents[4] / "shared" / "images" / "set5"


def blocks(height: int, width: int, side: int, seed: int) -> np.ndarray:
    """A random colour for every block of side x side pixels, [height * side, width * side, 3]."""
    colours = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return colours.repeat(side, 0).repeat(side, 1)


def save_pair(
    folder: Path,
    name: str,
    scale: Fraction,
    size: tuple[int, int] = (20, 24),
    *,
    hr_crop: int = 0,
    lr_crop: int = 0,
) -> Path:
    """Save a pair whose blocks have the numerator's and the denominator's side; return the HR file.

    `hr_crop` rows and columns are missing at the end of the HR image, and `lr_crop` of the LR image.
    """
    hr, lr = (
        blocks(*size, side, seed=len(name) + ord(name[0])) for side in (scale.numerator, scale.denominator)
    )
    for part, image, crop in (("HR", hr, hr_crop), ("LR", lr, lr_crop)):
        (folder / part).mkdir(exist_ok=True)
        kept = image[: image.shape[0] - crop, : image.shape[1] - crop]
        Image.fromarray(kept).save(folder / part / f"{name}.png")
    return folder / "HR" / f"{name}.png"


def pair_set(folder: Path, cache: Path, crop: int = 8) -> PairSet:
    return PairSet(decode_pairs(sorted((folder / "HR").glob("*.png")), [folder / "LR"], cache), crop)


def enlarged(lr: torch.Tensor, scale: Fraction) -> torch.Tensor:
    """The HR crops of LR crops that consist of whole blocks."""
    small = lr[..., :: scale.denominator, :: scale.denominator]
    return small.repeat_interleave(scale.numerator, -1).repeat_interleave(scale.numerator, -2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_crops_of_the_benchmarks_own_pairs_are_reductions_of_each_other(scale, tiny: Preset, cache):
    """Away from their borders, at which the whole images were reduced with pixels beyond the crop."""
    if not SET5.is_dir():
        pytest.skip("no Set5 next to the repository")
    pairs = PairSet(decode_pairs(list_images(SET5 / "HR"), [SET5 / f"X{scale}"], cache), 16)
    assert len(pairs) == 5
    inside = (..., slice(3, -3), slice(3, -3))
    for step in range(20):
        batch = pairs.batch(tiny.train, 0, step)
        made = imresize((batch.hr[0] * 255).round().byte(), (16, 16))
        difference = made[inside].int() - (batch.lr * 255).round().int()[inside]
        assert difference.abs().max() <= 2  # MATLAB rounds after each axis, and crops are turned


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(2), Fraction(4), Fraction(5, 2), Fraction(7, 4)])
def test_both_crops_of_a_pair_show_the_same_place_in_all_orientations(scale, tiny: Preset, tmp_path, cache):
    save_pair(tmp_path, "a", scale)
    pairs = pair_set(tmp_path, cache)
    places = set()
    for step in range(30):
        batch = pairs.batch(tiny.train, 0, step)
        (hr,) = batch.hr
        assert batch.lr.shape == (2, 3, 8, 8)
        assert hr.shape[-1] == 8 * scale
        assert torch.equal(hr, enlarged(batch.lr, scale))
        assert batch.scales().tolist() == [float(scale)] * 2
        places |= {tuple(lr.flatten().tolist()) for lr in batch.lr}
    assert len(places) > 50


def test_all_crops_and_orientations_are_drawn(tiny: Preset, tmp_path, cache):
    save_pair(tmp_path, "a", Fraction(2), (9, 8))
    pairs = pair_set(tmp_path, cache)
    image = torch.from_numpy(np.array(Image.open(tmp_path / "LR" / "a.png"))).permute(2, 0, 1).float() / 255
    expected = {
        tuple(torch.rot90(turned, quarter, (1, 2)).flatten().tolist())
        for crop in (image[:, :8], image[:, 1:])
        for turned in (crop, crop.mT)
        for quarter in range(4)
    }
    seen = {tuple(lr.flatten().tolist()) for step in range(200) for lr in pairs.batch(tiny.train, 0, step).lr}
    assert seen == expected


@pytest.mark.parametrize(("hr_crop", "lr_crop"), [(1, 0), (3, 0), (1, 1), (3, 1)])
def test_rounded_sizes_keep_the_corner_and_lose_the_end(hr_crop, lr_crop, tiny: Preset, tmp_path, cache):
    """As of LR images that were rounded up, and of HR images that were cropped to a multiple before."""
    save_pair(tmp_path, "a", Fraction(4), hr_crop=hr_crop, lr_crop=lr_crop)
    pairs = pair_set(tmp_path, cache)
    assert pairs.pairs[0].shared == (19, 23)
    for step in range(100):
        batch = pairs.batch(tiny.train, 0, step)
        assert torch.equal(batch.hr[0], enlarged(batch.lr, Fraction(4)))


def test_a_batch_depends_on_seed_and_step_alone(tiny: Preset, tmp_path, cache):
    for name in "abc":
        save_pair(tmp_path, name, Fraction(2))
    first, second = pair_set(tmp_path, cache), pair_set(tmp_path, cache)
    assert_seed_and_step_decide(first, second, tiny.train)


@pytest.mark.parametrize("scale_of", ["batch", "sample"])
def test_several_processes_draw_the_samples_of_one(scale_of, tiny: Preset, tmp_path, cache):
    for name, scale in (("a", 2), ("b", 3), ("c", 4)):
        save_pair(tmp_path, name, Fraction(scale))
    pairs = pair_set(tmp_path, cache)
    settings = replace(tiny.train, batch=12, scale_of=scale_of)
    for step in range(5):
        whole = pairs.batch(settings, 0, step)
        parts = [pairs.batch(settings, 0, step, part, 3) for part in range(3)]
        samples = [{tuple(lr.flatten().tolist()) for lr in batch.lr} for batch in (whole, *parts)]
        assert samples[0] == set().union(*samples[1:])


def test_scales_are_mixed_in_a_batch_or_from_batch_to_batch(tiny: Preset, tmp_path, cache):
    for name, scale in (("a", 2), ("b", 3), ("c", 4)):
        save_pair(tmp_path, name, Fraction(scale))
    pairs = pair_set(tmp_path, cache)
    assert pairs.scales == (2, 4)
    settings = replace(tiny.train, batch=12)
    mixed = pairs.batch(replace(settings, scale_of="sample"), 0, 0)
    assert [hr.shape[-1] for hr in mixed.hr] == [16, 24, 32]
    assert len(mixed.scales()) == len(mixed.lr) == 12
    start = 0
    for hr in mixed.hr:
        lr = mixed.lr[start : start + len(hr)]
        assert torch.equal(hr, enlarged(lr, Fraction(hr.shape[-1], 8)))
        start += len(hr)
    batches = [pairs.batch(settings, 0, step) for step in range(20)]
    assert {len(batch.hr) for batch in batches} == {1}
    assert {batch.hr[0].shape[-1] for batch in batches} == {16, 24, 32}


def test_unusable_pairs_are_named_and_the_others_used(tiny: Preset, tmp_path, cache, caplog):
    save_pair(tmp_path, "good", Fraction(2))
    save_pair(tmp_path, "small", Fraction(2), (7, 20))
    save_pair(tmp_path, "thirds", Fraction(7, 3))
    broken = save_pair(tmp_path, "broken", Fraction(2))
    broken.write_bytes(broken.read_bytes()[:-300])
    (tmp_path / "LR" / save_pair(tmp_path, "alone", Fraction(2)).name).unlink()
    with caplog.at_level(logging.WARNING):
        pairs = pair_set(tmp_path, cache)
    assert [pair.files.hr.stem for pair in pairs.pairs] == ["good"]
    assert [path.name for path in pairs.paths] == ["good.png"] * 2
    assert len(pairs.skipped) == 4
    for name, phrase in (
        ("small", "training.crop needs 8"),
        ("thirds", "set training.crop=6"),
        ("broken", "cannot be decoded"),
        ("alone", "has no LR image"),
    ):
        (sentence,) = [said for said in pairs.skipped if f"{name}.png" in said]
        assert phrase in sentence
        assert sum(sentence in line for line in caplog.messages) == 1


def test_no_usable_pair_is_one_sentence_with_a_reason(tmp_path, cache):
    save_pair(tmp_path, "small", Fraction(2), (7, 20))
    with pytest.raises(ImageError, match=r"No pair can be trained on.*lr=.*small\.png"):
        pair_set(tmp_path, cache)
    with pytest.raises(ImageError, match=r"No pair"):
        PairSet(DecodedPairs([], []), 8)


def test_a_cut_between_pixels_is_refused(tmp_path, cache):
    save_pair(tmp_path, "a", Fraction(5, 2))
    (pair,) = pair_set(tmp_path, cache).pairs
    with pytest.raises(ValueError, match="scale 5/2"):
        pair.cut(1, 0, 8, 8)
