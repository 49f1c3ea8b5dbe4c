"""Pretrained encoders: weights in the layouts of the public repositories that publish them.

A file is recognised by the names of its tensors. Layers beyond the encoder (the last convolution, an
upsampler to another scale) are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..encoders import EDSR, Encoder
from .layout import Layout, depth
from .ncnn_file import MEAN, RANGE
from .recognition import advice, layout_of, read_public_weights
from .tensor_file import CheckpointError

WIDE_EDSR = 256
"""Width from which EDSR is trained with a residual scale, which its weights do not tell."""


def load_encoder_weights(encoder: Encoder, path: str | Path, key: str = "") -> str:
    """Load the weights of a public file into `encoder`, and return a short description of them.

    The encoder then computes the published features, and subtracts the published mean from its images.
    Features of networks that read images up to 255 (or from -1 to 1) are converted to the unit of images in
    [0, 1]: piecewise linear networks by dividing their biases, which divides their features; others, and
    layers that make factors of features, by multiplying the weights of the first layer. An upsampler to
    another scale is left out, and the encoder keeps its own.

    Args:
        encoder: of the same kind, width and depth.
        path: a file of torch.save or safetensors, whatever wraps the weights in it (`container`), or one of
            the two of ncnn.
        key: where in the file to take them from, such as `params`; default: wherever they are.

    Raises:
        CheckpointError: if the file has none of the `LAYOUTS`, or does not fit the encoder.
    """
    found = read_public_weights(path, key)
    layout = found.layout
    if not isinstance(layout, Layout):
        raise CheckpointError(
            f"{path} holds {layout.name}, not an encoder alone: {advice(layout)} with init=."
        )
    if not isinstance(encoder, layout.encoder):
        raise CheckpointError(
            f"{path} holds the weights of {layout.name}, which do not fit {type(encoder).__name__}."
        )
    try:
        weights = rename_weights(found.tensors, layout)
    except ValueError as error:
        raise CheckpointError(
            f"{path} holds {layout.name} of another structure than ours ({error})."
        ) from error
    own = encoder.state_dict()
    own_upsampler, upsampler = (_upsampler(state) for state in (own, weights))
    left_out = own_upsampler.keys() != upsampler.keys() or any(
        own_upsampler[name].shape != upsampler[name].shape for name in upsampler
    )
    if left_out:
        weights = {name: t for name, t in weights.items() if name not in upsampler} | own_upsampler
    _check_fit(weights, own, path, layout)
    encoder.load_state_dict(weights)
    remarks = [found.key] if found.key else []
    remarks += ["without its upsampler"] if left_out else []
    if isinstance(encoder, EDSR) and encoder.long_skip != layout.long_skip:
        remarks.append(
            "trained without the long skip that network.long_skip=true adds"
            if encoder.long_skip
            else "trained with the long skip that network.long_skip=false leaves out"
        )
    if isinstance(encoder, EDSR) and encoder.channels >= WIDE_EDSR and encoder.residual_scale == 1:
        remarks.append("which of this width was published with network.residual_scale=0.1")
    return ", ".join([layout.name, *remarks])


def published_upsampler(
    path: str | Path, key: str, channels: int, cells: int
) -> tuple[Tensor, Tensor] | None:
    """Return the weights [3 k^2, C, 3, 3] and biases [3 k^2] that make the picture of an encoder's features.

    Those of the sub-pixel convolution in a public file, for the features that `load_encoder_weights` gives
    and pictures in [0, 1]. None if the file has none for C `channels` and k = `cells`.

    Args:
        path: the file of the encoder's weights.
        key: where in the file to take them from, as for `load_encoder_weights`.
        channels: C, of the encoder's features.
        cells: k, how many times larger its picture is to be.
    """
    found = read_public_weights(path, key)
    layout = found.layout
    if not isinstance(layout, Layout) or not layout.upsampler:
        return None
    tensors = layout.prepare(found.tensors)
    scale = _range(tensors, layout)
    weight, bias = (tensors.get(f"{layout.upsampler}.{part}") for part in ("weight", "bias"))
    if weight is None or bias is None or weight.shape != (3 * cells**2, channels, 3, 3):
        return None
    if bias.shape != weight.shape[:1]:
        raise CheckpointError(
            f"{path} holds {layout.name} with {_sides(bias)} biases for {len(weight)} outputs of "
            f"{layout.upsampler}."
        )
    return weight.float(), (bias * _factor("upsampler.bias", layout, scale)).float()


def recognise_layout(tensors: Mapping[str, Tensor], path: str | Path) -> Layout:
    """Return the layout of an encoder's tensors. Raises CheckpointError if it is not known here."""
    layout = layout_of(tensors)
    if not isinstance(layout, Layout):
        raise CheckpointError(f"{path} holds no encoder in a layout known here.")
    return layout


def rename_weights(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Return the encoder's weights and mean under our names, in the unit of images in [0, 1].

    Mean and range are the layout's, unless the file brings its own (`ncnn_file.MEAN`, `RANGE`). Raises
    ValueError, with what is wrong, if the layout's tensors do not belong together.
    """
    tensors = layout.prepare(tensors)
    mean, scale = tensors.get(MEAN, torch.tensor(layout.mean)), _range(tensors, layout)
    if mean.numel() != 3 or not mean.is_floating_point() or not torch.isfinite(mean).all():
        raise ValueError(f"{MEAN} is not three finite numbers")
    weights = {"mean": mean.view(3, 1, 1)}
    for name, tensor in tensors.items():
        if ours := layout.rename(name):
            weights[ours] = (tensor * _factor(ours, layout, scale)).float()
    return weights


def _range(tensors: Mapping[str, Tensor], layout: Layout) -> float:
    """Return the difference of white and black in the images of a file's network. Raises ValueError."""
    if RANGE not in tensors:
        return layout.range
    values = tensors[RANGE].flatten().tolist()
    if len(values) != 1 or isinstance(values[0], complex) or not 0 < values[0] < math.inf:
        raise ValueError(f"{RANGE} is not one number above 0")
    return float(values[0])


def _factor(ours: str, layout: Layout, scale: float) -> float:
    """Return the factor that converts a tensor of this name from a range of `scale` to images in [0, 1]."""
    if re.fullmatch(rf"{layout.first}\.weight", ours):
        return scale
    in_units_of_range = ours.endswith("bias") and not re.fullmatch(layout.behind, ours)
    return 1 / scale if in_units_of_range else 1.0


def width_and_depth(weights: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return the (width, depth) of an encoder from its weights under our names."""
    first = next(w for name, w in weights.items() if re.fullmatch(r"(head|first|shallow)\.weight", name))
    return (*first.shape, 0)[0], depth(weights)


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
    lacking = [layout.public_name(name) for name in own if name not in weights]
    surplus = [layout.public_name(name) for name in weights if name not in own]
    shapes = [
        f"{layout.public_name(name)} is {_sides(weights[name])} and not {_sides(tensor)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    differences = [f"it lacks {name}" for name in lacking] + [f"it adds {name}" for name in surplus] + shapes
    more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    raise CheckpointError(
        f"{path} holds {layout.name} of another structure than ours ({differences[0]}{more})."
    )


def _sides(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
