"""Layers that were trained as several parallel branches, added to the one convolution that they amount to."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SKIP, NARROW, KERNEL, WIDE, FUSED = "sk", "conv.0", "conv.1", "conv.2", "eval_conv"


def fuse_branches(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of SPAN with one 3x3 convolution, `eval_conv`, for the branches of each layer.

    A layer of SPAN (Wan et al. 2024; `Conv3XC` in its code) is trained as the sum of a 1x1 convolution `sk`
    and of the chain of `conv.0` (1x1), `conv.1` (3x3) and `conv.2` (1x1). The image is padded before the
    chain, so that the sum is exactly one 3x3 convolution, at the borders too. Files of a training also have
    an `eval_conv`, the sum at some earlier time: where there are branches, it is not used.

    Args:
        tensors: by name; layers without branches are returned as they are.

    Raises:
        ValueError: if a layer lacks part of its branches, or they do not fit together.
    """
    layers = [name.removesuffix(f".{SKIP}.weight") for name in tensors if name.endswith(f".{SKIP}.weight")]
    fused = dict(tensors)
    for layer in layers:
        parts = {}
        for part in (SKIP, NARROW, KERNEL, WIDE):
            for kind in ("weight", "bias"):
                name = f"{layer}.{part}.{kind}"
                if name not in tensors:
                    raise ValueError(f"it lacks {name}")
                parts[f"{part}.{kind}"] = fused.pop(name).double()
        try:
            weight, bias = _sum(parts)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"the branches of {layer} do not fit together") from error
        fused |= {f"{layer}.{FUSED}.weight": weight, f"{layer}.{FUSED}.bias": bias}
    return fused


def _sum(parts: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the (weight [o, i, 3, 3], bias [o]) of a layer from those of its branches, float64."""
    skip, before, kernel, after = (parts[f"{part}.weight"] for part in (SKIP, NARROW, KERNEL, WIDE))
    outputs, inputs, *_ = skip.shape
    wide, narrow, *_ = kernel.shape
    shapes = (
        (skip, (outputs, inputs, 1, 1)),
        (before, (narrow, inputs, 1, 1)),
        (kernel, (wide, narrow, 3, 3)),
        (after, (outputs, wide, 1, 1)),
    )
    if any(tensor.shape != shape for tensor, shape in shapes) or wide < outputs or narrow < inputs:
        raise ValueError  # the sum of narrower ones would be far larger than they are
    weight = torch.einsum("om, mnyx, ni -> oiyx", after[:, :, 0, 0], kernel, before[:, :, 0, 0])
    weight[:, :, 1, 1] += parts[f"{SKIP}.weight"][:, :, 0, 0]
    inner = kernel.sum((2, 3)) @ parts[f"{NARROW}.bias"] + parts[f"{KERNEL}.bias"]
    return weight, after[:, :, 0, 0] @ inner + parts[f"{WIDE}.bias"] + parts[f"{SKIP}.bias"]
