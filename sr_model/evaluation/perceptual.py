"""LPIPS, DISTS and FID through their authors' packages: `pip install 'dgp-mining[perceptual]'`.

They need torchvision, and fetch the weights of their networks when first used. Where this was written there
was no torchvision: the calls follow the sources in the packages' repositories and were tested with stand-ins
of the same interfaces, not yet with the packages themselves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from .protocol import Comparison

Metric = Callable[[Tensor, Tensor], float]
"""Of two images [3, H, W] in [0, 1]."""


class MissingPackage(ValueError):
    """A metric whose package is not installed; the message says how to get it."""


class Perceptual:
    """The metrics asked for, of one image after another; FID of all of them at the end."""

    def __init__(self, names: Sequence[str]) -> None:
        """`names`: of METRICS. Raises MissingPackage."""
        self.single = {name: make() for name, make in _SINGLE.items() if name in names}
        self.fidelity = _package("torch_fidelity", "fid") if "fid" in names else None
        self.folder = tempfile.TemporaryDirectory() if self.fidelity else None
        self.count: dict[float, int] = {}

    def measure(self, images: Comparison, scale: float) -> dict[str, tuple[float, float]]:
        """(network, bicubic) by metric, of one image."""
        if self.folder:
            self.count[scale] = self.count.get(scale, 0) + 1
            for name, image in vars(images).items():
                _save(image, Path(self.folder.name, f"{scale:g}", name, f"{self.count[scale]}.png"))
        return {
            name: (metric(images.network, images.hr), metric(images.bicubic, images.hr))
            for name, metric in self.single.items()
        }

    def of_sets(self) -> dict[float, dict[str, tuple[float, float]]]:
        """By scale: (network, bicubic) by metric, of all images together."""
        return {
            scale: {"fid": (self._fid(scale, "network"), self._fid(scale, "bicubic"))} for scale in self.count
        }

    def _fid(self, scale: float, name: str) -> float:
        folder = Path(self.folder.name, f"{scale:g}")
        figures = self.fidelity.calculate_metrics(
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
"""Names of the metrics; of each, less is better."""


def _package(name: str, metric: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:  # torchvision may be there and not fit torch, which raises all kinds of things
        raise MissingPackage(
            f"The metric {metric} needs {name}, which cannot be imported ({error}): install it with "
            "pip install 'dgp-mining[perceptual]'."
        ) from error


def _save(image: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels.numpy())).save(path)
