"""LPIPS, DISTS and FID through their authors' packages: `pip install 'dgp-mining[perceptual]'`.

They need torchvision, and download the weights of their networks when first used. The tests need neither:
they replace the packages by stand-ins of the same interfaces. lpips 0.1.4 and DISTS_pytorch 0.1 themselves
were run with random weights: LPIPS needs 31 pixels on a side, and is skipped for smaller images.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .protocol import Comparison

Metric = Callable[[Tensor, Tensor], float]
"""From two images [3, H, W] in [0, 1] to a distance."""


class MissingPackage(ValueError):
    """The package of a metric is not installed; the message says how to install it."""


class Perceptual:
    """Perceptual metrics of one image after another, and FID of all of them at the end."""

    def __init__(self, names: Sequence[str]) -> None:
        """Prepare the metrics `names`, out of METRICS. Raises MissingPackage."""
        self.single = {name: make() for name, make in _SINGLE.items() if name in names}
        self.fid = _FID() if "fid" in names else None

    def measure(
        self, images: Comparison, scale: float
    ) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
        """Measure one image.

        Returns:
            Metrics by name, each as (of the network, of bicubic interpolation), and, by name, why another is
            missing: the image is too small for its network, say, or it is no number, which would spoil the
            mean of all images.
        """
        measured: dict[str, tuple[float, float]] = {}
        failures: dict[str, str] = {}
        if self.fid:
            try:
                self.fid.add(images, scale)
            except OSError as error:
                failures["fid"] = f"its pixels cannot be written ({error.strerror or error})"
        for name, metric in self.single.items():
            try:
                pair = metric(images.network, images.hr), metric(images.bicubic, images.hr)
            except (ValueError, RuntimeError, AssertionError, MemoryError) as error:
                failures[name] = _reason(error)
                continue
            if all(map(math.isfinite, pair)):
                measured[name] = pair
            else:
                failures[name] = f"it is {pair[0]:g}, and that of bicubic interpolation {pair[1]:g}"
        return measured, failures

    def measure_sets(self) -> tuple[dict[float, dict[str, tuple[float, float]]], dict[float, str]]:
        """Measure all images of each scale together.

        Returns:
            By scale and metric, (network, bicubic), and, by scale, why FID is missing.
        """
        measured: dict[float, dict[str, tuple[float, float]]] = {}
        failures: dict[float, str] = {}
        for scale in self.fid.count if self.fid else ():
            assert self.fid is not None
            try:
                pair = self.fid.measure(scale, "network"), self.fid.measure(scale, "bicubic")
            except (ValueError, RuntimeError, AssertionError, OSError, MemoryError) as error:
                failures[scale] = _reason(error)
                continue
            if all(map(math.isfinite, pair)):
                measured[scale] = {"fid": pair}
            else:
                failures[scale] = f"it is {pair[0]:g}, and that of bicubic interpolation {pair[1]:g}"
        return measured, failures


def _reason(error: BaseException) -> str:
    """The first line of an error of a metric's package, as the end of a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


class _FID:
    """The Frechet inception distance (Heusel et al. 2017), which is measured on folders of images."""

    def __init__(self) -> None:
        self.package = _package("torch_fidelity", "fid")
        self.folder = tempfile.TemporaryDirectory()
        self.count: dict[float, int] = {}

    def add(self, images: Comparison, scale: float) -> None:
        index = self.count.get(scale, 0) + 1
        files = {Path(self.folder.name, f"{scale:g}", name, f"{index}.png"): name for name in vars(images)}
        try:
            for path, name in files.items():
                _save(getattr(images, name), path)
        except OSError:  # an image without its partners would be compared with nothing
            for path in files:
                path.unlink(missing_ok=True)
            raise
        self.count[scale] = index

    def measure(self, scale: float, name: str) -> float:
        folder = Path(self.folder.name, f"{scale:g}")
        figures = self.package.calculate_metrics(
            input1=str(folder / name),
            input2=str(folder / "hr"),
            cuda=torch.cuda.is_available(),
            batch_size=1,  # images differ in size
            fid=True,
            verbose=False,
        )
        return float(figures["frechet_inception_distance"])


def _lpips() -> Metric:
    network = _package("lpips", "lpips").LPIPS(net="alex", verbose=False).eval()
    return lambda image, hr: _one(network, image.float() * 2 - 1, hr.float() * 2 - 1)  # it takes [-1, 1]


def _dists() -> Metric:
    # In float32, variances that cancel give flat pictures distances below 0, even from themselves.
    network = _package("DISTS_pytorch", "dists").DISTS().eval().double()
    return lambda image, hr: _one(network, image.double(), hr.double())


@torch.no_grad()
def _one(network: Callable[[Tensor, Tensor], Tensor], image: Tensor, hr: Tensor) -> float:
    return float(network(image[None], hr[None]))


_SINGLE = {"lpips": _lpips, "dists": _dists}
METRICS = (*_SINGLE, "fid")
"""Names of the metrics; for each, lower is better."""


def _package(name: str, metric: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:  # a torchvision that does not fit torch raises all kinds of errors
        raise MissingPackage(
            f"The metric {metric} needs {name}, which cannot be imported ({error}): install it with "
            "pip install 'dgp-mining[perceptual]'."
        ) from error


def _save(image: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels.numpy())).save(path)
