"""Pretrained encoders: weights in the layouts of the public repositories that publish them.

A file is recognised by the names of its tensors. Layers beyond the encoder (the last convolution, an
upsampler to another scale) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..encoders import Encoder
from .layouts import LAYOUTS, Layout
from .tensor_file import CheckpointError

CONTAINERS = ("params_ema", "params", "state_dict")
"""Keys under which files hold their tensors; averaged weights come first."""


def load_encoder_weights(encoder: Encoder, path: str | Path) -> str:
    """Load the weights of a public file into `encoder`, and return a short description of them.

    The encoder then computes the published features, and subtracts the published mean from its images.
    Features of networks that read images up to 255 (or from -1 to 1) are converted to the unit of images in
    [0, 1]: such networks are piecewise linear, so that dividing their biases divides their features. An
    upsampler to another scale is left out, and the encoder keeps its own.

    Raises:
        CheckpointError: if the file has none of the `LAYOUTS`, or does not fit the encoder.
    """
    tensors, holder = read_weights(path)
    layout = recognise_layout(tensors, path)
    if not isinstance(encoder, layout.encoder):
        raise CheckpointError(
            f"{path} holds the weights of {layout.name}, which do not fit {type(encoder).__name__}."
        )
    weights = rename_weights(tensors, layout)
    own = encoder.state_dict()
    own_upsampler, upsampler = (_upsampler(state) for state in (own, weights))
    left_out = own_upsampler.keys() != upsampler.keys() or any(
        own_upsampler[name].shape != upsampler[name].shape for name in upsampler
    )
    if left_out:
        weights = {name: t for name, t in weights.items() if name not in upsampler} | own_upsampler
    _check_fit(weights, own, path, layout)
    encoder.load_state_dict(weights)
    return layout.name + (f", {holder}" if holder else "") + (", without its upsampler" if left_out else "")


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """Read a file of torch.save: (tensors by name, the key that held them or ""). Raises CheckpointError."""
    content = read_torch(path)
    if isinstance(content.get("model"), Mapping) and isinstance(content["model"].get("sd"), Mapping):
        content, holder = content["model"]["sd"], "model"  # as LIIF and ContinuousSR write it
    else:
        holder = next((key for key in CONTAINERS if isinstance(content.get(key), Mapping)), "")
        content = content[holder] if holder else content
    named = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    return named, holder


def read_torch(path: str | Path) -> dict[str, Any]:
    """Return the dictionary in a file of torch.save, of plain values and tensors. Raises CheckpointError."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is not a file: name a .pth or .pt file of weights.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # other bytes, read as a pickle, can fail in any way
        raise CheckpointError(f"{path} is not a file of plain tensors that torch wrote.") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no weights by name, but a {type(content).__name__}.")
    return dict(content)


def recognise_layout(tensors: Mapping[str, Tensor], path: str | Path) -> Layout:
    """Return the first layout of which a file has all marks. Raises CheckpointError if there is none."""
    for layout in LAYOUTS:  # HAT before SwinIR, because it has SwinIR's marks too
        if all(mark in tensors for mark in layout.marks):
            return layout
    known = ", ".join(layout.name for layout in LAYOUTS)
    raise CheckpointError(f"{path} holds no encoder in a layout known here: {known}.")


def rename_weights(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Return the encoder's weights and mean under our names, in the unit of images in [0, 1]."""
    weights = {"mean": torch.tensor(layout.mean).view(3, 1, 1)}
    for name, tensor in tensors.items():
        for pattern, ours in layout.renames:
            if match := re.fullmatch(pattern, name):
                scale = layout.range if name.endswith("bias") else 1.0
                weights[match.expand(ours)] = tensor.float() / scale
                break
    return weights


def width_and_depth(weights: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return the (width, depth) of an encoder from its weights under our names."""
    first = next(w for name, w in weights.items() if re.fullmatch(r"(head|first|shallow)\.weight", name))
    stacked = {match[1] for name in weights if (match := re.match(r"(?:blocks|groups)\.(\d+)\.", name))}
    return first.shape[0], len(stacked)


def _upsampler(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t for name, t in weights.items() if name.startswith("upsample.")}


def _check_fit(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], path: str | Path, layout: Layout
) -> None:
    if {name: t.shape for name, t in weights.items()} == {name: t.shape for name, t in own.items()}:
        return
    theirs, ours = width_and_depth(weights), width_and_depth(own)
    if theirs != ours:
        raise CheckpointError(
            f"{path} holds {layout.name} {theirs[0]} wide and {theirs[1]} deep, but the network's encoder is "
            f"{ours[0]} wide and {ours[1]} deep: give it the same width and depth."
        )
    differing = next(
        name for name in sorted({*weights, *own})
        if name not in weights or name not in own or weights[name].shape != own[name].shape
    )  # fmt: skip
    raise CheckpointError(f"{path} holds {layout.name} of another structure than ours (at {differing}).")
