"""Figures that the released code printed, and the weights with which it did (networks/released/README.md)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent / "networks" / "released"


class Released:
    """A file of figures."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f"{name}.npz") as file:
            self.content = dict(file)

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.content[name])

    def json(self, name: str) -> dict | list:
        return json.loads(str(self.content[name]))

    def image(self, case: int) -> Tensor:  # [1, 3, h, w]
        height, width = self.content[f"{case}/size"][:2]
        pixels = np.random.RandomState(100 + case).random_sample((1, 3, height, width))
        return torch.from_numpy(pixels).float()

    def save_continuoussr(self, path: Path) -> Path:
        """Write a checkpoint as ContinuousSR is released."""
        model = {**self.json("args"), "sd": weights(self.json("layout"))}
        torch.save({"model": model}, path)
        return path

    def save_gsasr(self, folder: Path) -> Path:
        """Write a folder as GSASR is released."""
        folder.mkdir()
        for part in ("encoder", "decoder"):
            state = weights(self.json(f"{part}_layout"), f"{part}.")
            for name, number in self.json("buffers").items():
                if name.startswith(f"{part}/"):
                    state[name.removeprefix(f"{part}/")] = self[f"buffer_value/{number}"]
            torch.save({"params_ema": state}, folder / f"{part}.pth")
        return folder


def weights(layout: Iterable[tuple[str, list[int]]], prefix: str = "") -> dict[str, Tensor]:
    """Weights of these names and shapes, by the rule."""
    return {name: torch.from_numpy(weight(prefix + name, shape)).float() for name, shape in layout}


def weight(name: str, shape: list[int]) -> np.ndarray:
    x = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if "relative_position_bias_table" in name:
        return 0.5 * x
    if x.ndim > 1:
        return x / np.sqrt(np.prod(shape[1:]))
    return 1 + 0.2 * x if "norm" in name and name.endswith("weight") else 0.05 * x
