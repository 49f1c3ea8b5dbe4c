"""A training takes images or pairs, and holds some of them out."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from runs import StopAfter
from safetensors.torch import load_file

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError
from dgp_mining.prior.dictionary import Dictionary
from splat2d.matlab_imresize import imresize
from sr_model import Budget, Checkpoint, Preset, train
from sr_model.degradation import Degradation, Noise
from sr_model.image_io.pairs import find_pairs
from sr_model.networks.base import Network
from sr_model.training.data import held_out_pairs, hr_images, load_images, load_pairs
from sr_model.training.errors import TrainingError
from sr_model.training.pair_samples import PairSet, decode_pairs
from sr_model.training.samples import held_out_images
from sr_model.training.validation import Validation


def reduce_all(images: Path, scale: int, folder: Path) -> Path:
    """Save MATLAB's reductions of the images of a folder, named as those of DIV2K."""
    folder.mkdir(parents=True)
    for path in list_images(images):
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
        reduced = imresize(pixels, scale=1 / scale).permute(1, 2, 0)
        Image.fromarray(reduced.numpy()).save(folder / f"{path.stem}x{scale}.png")
    return folder


@pytest.fixture
def lr(photographs: Path, tmp_path: Path) -> Path:
    return reduce_all(photographs, 2, tmp_path / "X2")


def test_pairs_give_the_scales_and_the_held_out_images_their_own(
    photographs: Path, lr: Path, tiny: Preset, cache
):
    four = reduce_all(photographs, 4, lr.parent / "X4")
    for index in range(4, 16):
        Image.open(photographs / "0.png").save(photographs / f"{index:02d}.png")
        for scale, folder in ((2, lr), (4, four)):
            Image.open(folder / f"0x{scale}.png").save(folder / f"{index:02d}x{scale}.png")
    data = load_pairs(tiny.train, list_images(photographs), [], [lr, four], True, cache)
    assert data.settings == replace(tiny.train, scales=(2.0, 4.0))
    assert isinstance(data.samples, PairSet)
    assert len(data.held_out) == 2
    assert not set(data.held_out) & {pair.files.hr for pair in data.samples.pairs}
    assert len(data.samples.pairs) == 28
    assert data.validation is not None
    assert sorted(example.scale for example in data.validation.examples) == [2, 2, 4, 4]
    assert data.validation.scales == "x2 to x4"
    assert data.skipped == ()


def test_validation_measures_pairs_as_it_measures_images(
    photographs: Path, network: Network, tmp_path: Path, cache
):
    lr = reduce_all(photographs, 4, tmp_path / "X4")
    images = list_images(photographs)
    pairs = Validation.of_pairs(decode_pairs(images, [lr], cache)).measure(network)
    made = Validation.of_images(images, Degradation(), cache).measure(network)
    assert pairs == made


def test_a_held_out_pair_is_not_the_last_that_can_be_trained_on(photographs: Path, lr: Path, cache):
    for index in range(4, 9):
        Image.open(photographs / "0.png").save(photographs / f"{index}.png")
        Image.open(lr / "0x2.png").save(lr / f"{index}x2.png")
    big = Image.open(photographs / "4.png").resize((96, 80))
    big.save(photographs / "4.png")
    big.resize((48, 40)).save(lr / "4x2.png")
    pairs = decode_pairs(list_images(photographs), [lr], cache)
    assert [path.name for path in held_out_pairs(pairs, 8)] == ["4.png"]
    (chosen,) = held_out_pairs(pairs, 30)  # for which only number 4 is large enough
    assert chosen.name != "4.png"


def test_a_folder_of_no_use_is_an_error(photographs: Path, lr: Path, tiny: Preset, tmp_path: Path, cache):
    (tmp_path / "others").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "others" / "z.png")
    images = list_images(photographs)
    with pytest.raises(ImageError, match=r"others has no LR image.*lr="):
        load_pairs(tiny.train, images, [], [lr, tmp_path / "others"], False, cache)
    with pytest.raises(ImageError, match=r"No pair can be trained on.*0\.png has no LR image"):
        load_pairs(tiny.train, images, [], [tmp_path / "others"], False, cache)
    with pytest.raises(ImageError, match=r"nowhere.*lr="):
        load_pairs(tiny.train, images, [], [tmp_path / "nowhere"], False, cache)


def test_validation_images_may_have_their_lr_images_in_another_folder(
    photographs: Path, lr: Path, tiny: Preset, tmp_path: Path, cache
):
    (tmp_path / "val" / "HR").mkdir(parents=True)
    Image.open(photographs / "0.png").save(tmp_path / "val" / "HR" / "v.png")
    reduce_all(tmp_path / "val" / "HR", 3, tmp_path / "val" / "X3")
    data = load_pairs(
        tiny.train,
        list_images(photographs),
        list_images(tmp_path / "val" / "HR"),
        [lr, tmp_path / "val" / "X3"],
        False,
        cache,
    )
    assert data.validation is not None
    assert data.validation.scales == "x3"
    assert data.settings.scales == (2, 2)
    assert data.skipped == ()


def test_lr_images_below_the_folder_of_images_are_not_taken_for_hr_images(photographs: Path, caplog):
    """As of Set5 with HR, X2 and X4, or of the cameras of RealSR."""
    reduce_all(photographs, 2, photographs.parent / "Set5" / "X2")
    reduce_all(photographs, 4, photographs.parent / "Set5" / "X4")
    moved = photographs.rename(photographs.parent / "Set5" / "HR")
    with caplog.at_level(logging.INFO, "sr_model"):
        assert hr_images(moved.parent, "images=") == list_images(moved)
    assert any("X2 and X4" in line for line in caplog.messages)
    assert hr_images(list_images(moved.parent), "images=") == list_images(moved.parent)
    for camera in ("Canon", "Nikon"):
        for name in ("1_HR", "1_LR4"):
            path = photographs.parent / "RealSR" / camera / f"{camera}_{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8)).save(path)
    root = photographs.parent / "RealSR"
    found = find_pairs(hr_images(root, "images="), [root])
    assert [(pair.hr.stem, pair.lr.stem) for pair in found.pairs] == [
        (f"{camera}_1_HR", f"{camera}_1_LR4") for camera in ("Canon", "Nikon")
    ]
    assert not found.refused


def test_a_training_without_pairs_takes_the_hr_images_of_a_test_set(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, caplog
):
    root = photographs.parent / "Set5"
    reduce_all(photographs, 2, root / "X2")
    photographs.rename(root / "HR")
    with caplog.at_level(logging.INFO, "sr_model"):
        train(dictionary, root, tiny, tmp_path / "run", val=root, budget=Budget(steps=1))
    assert len([line for line in caplog.messages if "left out: X2" in line]) == 2  # to train on, to validate
    assert [line for line in caplog.messages if "on 4 images" in line]
    assert not [line for line in caplog.messages if "skipped" in line]


def test_folders_of_photographs_are_taken_whole_and_hr_folders_without_their_lr_images(tmp_path: Path):
    def listed(name: str, *files: str) -> list[str]:
        for file in files:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        found = hr_images(tmp_path / name, "images=")
        return [path.relative_to(tmp_path / name).as_posix() for path in found]

    photographs = ["holiday/a.png", "originals/b.png"]
    assert listed("photographs", *photographs) == photographs
    sets = ["a_train_HR/1.png", "a_train_LR_bicubic/X4/1x4.png", "a_valid_HR/2.png", "a_valid_LR/2x4.png"]
    assert listed("both", *sets) == ["a_train_HR/1.png", "a_valid_HR/2.png"]
    assert listed("low", "LR/1.png") == ["LR/1.png"]


def test_an_image_of_one_colour_leaves_validation_a_number(
    photographs: Path, network: Network, cache, caplog
):
    Image.new("RGB", (64, 64), "white").save(photographs / "blank.png")
    images = list_images(photographs)
    with caplog.at_level(logging.INFO, "sr_model"):
        validation = Validation.of_images(images, Degradation(), cache)
    assert len(validation.examples) == len(images) - 1
    assert [line for line in caplog.messages if "of one colour" in line and "blank.png" in line]
    assert np.isfinite(validation.measure(network).bicubic_psnr)
    with pytest.raises(ImageError, match="of one colour"):
        Validation.of_images([photographs / "blank.png"], Degradation(), cache)


def test_an_image_of_one_colour_is_not_held_out(photographs: Path, cache):
    for index in range(4, 16):
        Image.new("RGB", (64, 64), "white").save(photographs / f"{index:02d}.png")
    assert held_out_images(list_images(photographs), smallest=32, cache=cache) == []
    for index in range(4):
        Image.open(photographs / f"{index}.png").save(photographs / f"{16 + index}.png")
    (chosen,) = held_out_images(list_images(photographs), smallest=32, cache=cache)
    assert int(chosen.stem) not in range(4, 16)


def test_effects_on_pairs_are_refused(photographs: Path, lr: Path, tiny: Preset, cache):
    noisy = replace(tiny.train, degradation=Degradation(noise=Noise()))
    with pytest.raises(TrainingError, match=r"lr=.*training\.degradation"):
        load_pairs(noisy, list_images(photographs), [], [lr], False, cache)
    assert load_images(noisy, list_images(photographs), [], False, cache).settings == noisy


def test_a_training_on_pairs_resumes_to_the_bit_and_records_their_scale(
    photographs: Path, lr: Path, dictionary, tiny: Preset, tmp_path: Path
):
    arguments = {"lr": lr, "val": photographs, "budget": Budget(steps=4)}
    whole = train(dictionary, photographs, tiny, tmp_path / "a", **arguments)
    train(dictionary, photographs, tiny, tmp_path / "b", callbacks=[StopAfter(2)], **arguments)
    train(dictionary, photographs, tiny, tmp_path / "b", resume=True, **arguments)
    for name in ("state.safetensors", "last.safetensors", "best.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in "ab")
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name
    assert Checkpoint.load(whole).notes["training"]["scales"] == [2.0, 2.0]
    with pytest.raises(TrainingError, match="other settings"):
        train(dictionary, photographs, tiny, tmp_path / "b", resume=True, val=photographs)
