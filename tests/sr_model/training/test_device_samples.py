"""Samples made on a device are those that the CPU makes, whatever their sizes and turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgp_mining.images.paths import list_images
from sr_model import Preset
from sr_model.degradation import Degradation, Noise
from sr_model.training.device_samples import DeviceImages, on_device
from sr_model.training.samples import ImageSet

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("scale_of", ["batch", "sample"])
@pytest.mark.parametrize("eight_bit", [False, True])
def test_a_device_makes_the_samples_of_the_cpu(
    photographs: Path, tiny: Preset, cache: Path, device: str, scale_of: str, eight_bit: bool
) -> None:
    settings = replace(tiny.train, batch=24, scale_of=scale_of, degradation=Degradation(eight_bit=eight_bit))
    images = ImageSet(list_images(photographs), smallest=24, cache=cache)
    there = DeviceImages(images, settings, torch.device(device))
    assert len(there) == len(images)
    for step in range(3):
        ours, theirs = there.batch(settings, 5, step), images.batch(settings, 5, step)
        assert ours.lr.device.type == device
        assert [hr.shape for hr in ours.hr] == [hr.shape for hr in theirs.hr]
        for one, other in zip(ours.hr, theirs.hr, strict=True):
            torch.testing.assert_close(one.cpu(), other, rtol=0, atol=1e-7)
        torch.testing.assert_close(ours.lr.cpu(), theirs.lr, rtol=0, atol=1e-6)


def test_parts_of_a_batch_are_its_parts(photographs: Path, tiny: Preset, cache: Path) -> None:
    settings = replace(tiny.train, batch=12)
    there = DeviceImages(
        ImageSet(list_images(photographs), smallest=24, cache=cache), settings, torch.device("cpu")
    )
    whole = there.batch(settings, 0, 3)
    shares = [there.batch(settings, 0, 3, part, 3) for part in range(3)]
    torch.testing.assert_close(torch.cat([share.lr for share in shares]), whole.lr)


def test_images_stay_where_effects_are_computed(
    photographs: Path, tiny: Preset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ImageSet(list_images(photographs), smallest=24, cache=cache)
    noisy = replace(tiny.train, degradation=Degradation(noise=Noise()))
    gpu = torch.device("cuda")
    assert on_device(images, tiny.train, torch.device("cpu")) is images
    assert on_device(images, noisy, gpu) is images
    monkeypatch.setattr("sr_model.training.device_samples.free_memory", lambda device: 1000)
    assert on_device(images, tiny.train, gpu) is images
