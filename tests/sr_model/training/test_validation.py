"""Validation degrades its images as the training does, and logs its progress."""

import itertools
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Checkpoint, Preset, train
from sr_model.degradation import Blur, Degradation, Noise
from sr_model.networks.base import Network
from sr_model.training.validation import Validation


def test_a_long_validation_says_how_far_it_is(
    photographs: Path, network: Network, cache, monkeypatch, caplog
):
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 6.0).__next__)
    monkeypatch.setattr("sr_model.training.validation.time", clock)
    validation = Validation.of_images(list_images(photographs), Degradation(), cache)
    with caplog.at_level(logging.INFO, "sr_model"):
        validation.measure(network)
    said = [message for message in caplog.messages if "validated" in message]
    assert said == ["validated 1 of 4 images", "validated 3 of 4 images"]


def test_validation_images_suffer_what_the_training_images_do(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    images = list_images(photographs)
    bicubic = []
    for degradation in (
        Degradation(),
        Degradation(noise=Noise(sigma=(50, 50))),
        Degradation(blur=Blur(sigma=(1.5, 1.5))),
    ):
        preset = replace(tiny, train=replace(tiny.train, degradation=degradation))
        out = tmp_path / str(len(bicubic))
        path = train(dictionary, images, preset, out, val=images, budget=Budget(steps=1))
        bicubic.append(Checkpoint.load(path).notes["validation"]["bicubic_psnr"])
    assert bicubic[1] < bicubic[0] - 3
    assert bicubic[2] < bicubic[0] - 1
