"""Networks as TensorFlow.js keeps them (`model.json` of Keras layers, and files of weights), run by torch.

The layers of the ESRGAN packages of UpscalerJS only; others are refused.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class KerasNetwork:
    """A graph of layers with its weights: maps images [1, 3, h, w] in [0, 1] to [1, 3, s * h, s * w]."""

    def __init__(self, model: Path) -> None:
        """Read a `model.json`. Raises ValueError for layers that are not known here."""
        held = json.loads(model.read_text())
        graph = held["modelTopology"]["model_config"]["config"]
        self.layers: list[dict[str, Any]] = graph["layers"]
        self.output: str = graph["output_layers"][0][0]
        self.weights: dict[str, Tensor] = {}
        for group in held["weightsManifest"]:
            data = b"".join((model.parent / name).read_bytes() for name in group["paths"])
            values = torch.from_numpy(np.frombuffer(data, "<f4").copy())
            start = 0
            for one in group["weights"]:
                shape = one["shape"]
                held_here = values[start : start + prod(shape)].view(shape)
                start += prod(shape)
                if len(shape) == 4:  # rows, columns, inputs, outputs
                    held_here = held_here.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
                self.weights[one["name"]] = held_here
        unknown = {layer["class_name"] for layer in self.layers} - {*KNOWN, *SHUFFLES}
        if unknown:
            raise ValueError(f"{model} has layers that cannot be run here: {', '.join(sorted(unknown))}.")

    @property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.weights.values())

    def __call__(self, image: Tensor) -> Tensor:
        made: dict[str, Tensor] = {}
        last_use = {source: index for index, layer in enumerate(self.layers) for source in sources(layer)} | {
            self.output: len(self.layers)
        }
        for index, layer in enumerate(self.layers):
            inputs = [made[name] for name in sources(layer)]
            made[layer["config"]["name"]] = self.run(layer, inputs or [image])
            for name in sources(layer):
                if last_use[name] == index:
                    made.pop(name, None)
        return made[self.output]

    def run(self, layer: dict[str, Any], inputs: list[Tensor]) -> Tensor:
        kind, settings, (first, *others) = layer["class_name"], layer["config"], inputs
        if kind == "Conv2D":
            name = settings["name"]
            features = F.conv2d(
                first, self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"], padding="same"
            )
            return F.relu(features) if settings["activation"] == "relu" else features
        if kind == "Activation":
            return F.relu(first)
        if kind == "Concatenate":
            return torch.cat(inputs, 1)
        if kind == "Add":
            return first + sum(others)
        if kind == "MultiplyBeta":
            return first * settings["beta"]
        if kind == "UpSampling2D":
            return F.interpolate(first, scale_factor=settings["size"][0], mode="nearest")
        if kind in SHUFFLES:  # depth_to_space: rows, columns, then channels
            scale, (batch, _, height, width) = settings["scale"], first.shape
            parts = first.reshape(batch, scale, scale, -1, height, width).permute(0, 3, 4, 1, 5, 2)
            return parts.reshape(batch, -1, scale * height, scale * width)
        return first


KNOWN = ("InputLayer", "Conv2D", "Activation", "Concatenate", "Add", "MultiplyBeta", "UpSampling2D")
SHUFFLES = tuple(f"PixelShuffle{scale}x" for scale in (2, 3, 4, 8))


def sources(layer: dict[str, Any]) -> list[str]:
    """Names of the layers that a layer takes."""
    return [one[0] for node in layer["inbound_nodes"] for one in node]
