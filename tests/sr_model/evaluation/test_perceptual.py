"""LPIPS, DISTS and FID are called correctly; a missing package is named.

The packages themselves cannot be installed everywhere; stand-ins with their interfaces replace them here.
"""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model.evaluation.perceptual import METRICS, MissingPackage, Perceptual
from sr_model.evaluation.protocol import Comparison


@pytest.fixture
def images() -> Comparison:
    hr = torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(0))
    return Comparison(hr, (hr + 0.1).clamp(0, 1), (hr + 0.2).clamp(0, 1))


def distance(half_range: float, *, low: float) -> type:
    """A metric that insists on a batch of one in its range, and measures the mean distance."""

    class Distance(torch.nn.Module):
        def __init__(self, **settings) -> None:
            super().__init__()
            self.settings = settings

        def forward(self, image: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            assert image.shape == hr.shape == (1, 3, 20, 24)
            assert low <= hr.min() < low + 0.1 * half_range < 1 - 0.1 * half_range < hr.max() <= 1
            return (image - hr).abs().mean()[None, None, None, None]

    return Distance


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    def calculate_metrics(input1, input2, cuda, batch_size, fid, verbose):
        assert fid
        assert batch_size == 1, "images of several sizes"
        ours, theirs = (
            [np.asarray(Image.open(path), float) for path in sorted(Path(folder).iterdir())]
            for folder in (input1, input2)
        )
        assert len(ours) == len(theirs)
        gaps = [abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]
        return {"frechet_inception_distance": sum(gaps)}

    for name, content in (
        ("lpips", {"LPIPS": distance(1.0, low=-1)}),
        ("DISTS_pytorch", {"DISTS": distance(0.5, low=0)}),
        ("torch_fidelity", {"calculate_metrics": calculate_metrics}),
    ):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def test_each_metric_gets_images_in_its_own_range(images):
    measured, failures = Perceptual(["lpips", "dists"]).measure(images, 2.0)
    assert failures == {}
    gap = (images.network - images.hr).abs().mean().item()
    assert measured["dists"][0] == pytest.approx(gap, rel=1e-5)
    assert measured["lpips"][0] == pytest.approx(2 * gap, rel=1e-5)
    assert measured["lpips"][1] > measured["lpips"][0]


def test_dists_is_computed_in_float64(images, monkeypatch):
    """In float32 DISTS_pytorch 0.1 gives a flat picture a distance below 0 from itself."""

    class Dtypes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, image: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            assert image.dtype == hr.dtype == self.weight.dtype == torch.float64
            return torch.zeros(())

    monkeypatch.setattr(sys.modules["DISTS_pytorch"], "DISTS", Dtypes)
    assert Perceptual(["dists"]).measure(images, 2.0) == ({"dists": (0.0, 0.0)}, {})


def test_fid_is_of_all_images_of_a_scale(images):
    perceptual = Perceptual(["fid"])
    for scale in (2.0, 2.0, 3.5):
        assert perceptual.measure(images, scale) == ({}, {})
    sets, failures = perceptual.measure_sets()
    assert failures == {}
    assert sets.keys() == {2.0, 3.5}
    assert sets[2.0]["fid"] == pytest.approx([2 * figure for figure in sets[3.5]["fid"]])
    assert sets[2.0]["fid"][0] < sets[2.0]["fid"][1]


def test_a_figure_that_is_no_number_is_named_and_left_out(images, monkeypatch):
    class Undefined(torch.nn.Module):
        def forward(self, image: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            return torch.tensor(float("nan"))

    class TooSmall(torch.nn.Module):
        def __init__(self, **settings) -> None:
            super().__init__()

        def forward(self, image: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.max_pool2d(image, 64)

    monkeypatch.setattr(sys.modules["DISTS_pytorch"], "DISTS", Undefined)
    monkeypatch.setattr(sys.modules["lpips"], "LPIPS", TooSmall)
    measured, failures = Perceptual(["lpips", "dists"]).measure(images, 2.0)
    assert measured == {}
    assert "nan" in failures["dists"]
    assert "Output size is too small" in failures["lpips"]


def test_a_fid_that_cannot_be_measured_is_named(images, monkeypatch):
    def calculate_metrics(**settings):
        raise ValueError("array must not contain infs or NaNs\nmore")

    monkeypatch.setattr(sys.modules["torch_fidelity"], "calculate_metrics", calculate_metrics)
    perceptual = Perceptual(["fid"])
    perceptual.measure(images, 2.0)
    assert perceptual.measure_sets() == ({}, {2.0: "array must not contain infs or NaNs"})


def test_an_image_that_cannot_be_kept_for_fid_is_not_counted(images, monkeypatch):
    perceptual = Perceptual(["fid"])
    perceptual.measure(images, 2.0)
    save = Image.Image.save

    def full(image, path):
        if "network" in str(path):
            raise OSError(28, "No space left on device")
        save(image, path)

    monkeypatch.setattr(Image.Image, "save", full)
    assert "No space left" in perceptual.measure(images, 2.0)[1]["fid"]
    assert perceptual.fid.count == {2.0: 1}
    assert len(list(Path(perceptual.fid.folder.name).rglob("*.png"))) == 3


@pytest.mark.parametrize(
    ("metric", "package"), [("lpips", "lpips"), ("dists", "DISTS_pytorch"), ("fid", "torch_fidelity")]
)
def test_a_missing_package_is_one_sentence(monkeypatch, metric, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingPackage, match=rf"{metric} needs {package}.*pip install 'dgp-mining\[perceptual\]'"
    ):
        Perceptual([metric])
    assert metric in METRICS
