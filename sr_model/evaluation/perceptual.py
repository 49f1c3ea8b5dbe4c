"""LPIPS, DISTS and FID through their authors' packages: `pip install 'dgp-mining[perceptual]'`.

They need torchvision, and download the weights of their networks when first used. torchvision was not
available when this was written: the calls follow the packages' sources and are tested with stand-ins of the
same interfaces, not yet with the packages themselves.
"""

from __future__ import annotations

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

    def measure(self, images: Comparison, scale: float) -> dict[str, tuple[float, float]]:
        """Metrics of one image, each as (of the network, of bicubic interpolation)."""
        if self.fid:
            self.fid.add(images, scale)
        return {
            name: (metric(images.network, images.hr), metric(images.bicubic, images.hr))
            for name, metric in self.single.items()
        }

    def measure_sets(self) -> dict[float, dict[str, tuple[float, float]]]:
        """Metrics of all images of a scale together: by scale and metric, (network, bicubic)."""
        if self.fid is None:
            return {}
        return {
            scale: {"fid": (self.fid.measure(scale, "network"), self.fid.measure(scale, "bicubic"))}
            for scale in self.fid.count
        }


class _FID:
    """The Frechet inception distance (Heusel et al. 2017), which is measured on folders of images."""

    def __init__(self) -> None:
        self.package = _package("torch_fidelity", "fid")
        self.folder = tempfile.TemporaryDirectory()
        self.count: dict[float, int] = {}

    def add(self, images: Comparison, scale: float) -> None:
        self.count[scale] = self.count.get(scale, 0) + 1
        for name, image in vars(images).items():
            _save(image, Path(self.folder.name, f"{scale:g}", name, f"{self.count[scale]}.png"))

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
    return lambda image, hr: _one(network, image * 2 - 1, hr * 2 - 1)  # it takes [-1, 1]


def _dists() -> Metric:
    network = _package("DISTS_pytorch", "dists").DISTS().eval()
    return lambda image, hr: _one(network, image, hr)


@torch.no_grad()
def _one(network: Callable[[Tensor, Tensor], Tensor], image: Tensor, hr: Tensor) -> float:
    return float(network(image[None].float(), hr[None].float()))


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
