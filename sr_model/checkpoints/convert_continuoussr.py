"""Conversion of released ContinuousSR checkpoints to ours.

Everything that the released code does around the weights is a setting here: SwinIR or HAT without
normalisation of images, four Gaussians per LR pixel that start at the corner of their cells, a dictionary
whose kernels an MLP embeds in pixels at x4, blending of Cholesky entries, offsets from activated features.
Its division by 4 and multiplication by the scale amount to our unit, the grid spacing. Two faults of the
released code are not reproduced: its renderer drops Gaussians beyond 256 per tile, and it scrambles the
offsets in batches of several images. `sr_model/README.md` compares all conventions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from dgp_mining.prior.continuoussr_table import continuoussr_kernels

from ..config.presets import PAPER_NETWORK
from ..encoders import HAT, Encoder, SwinIR
from .checkpoint import Checkpoint
from .conversion import Converted, check_target, read_released
from .layouts import CONTINUOUSSR
from .pretrained import recognise_layout, rename_weights, width_and_depth
from .recognition import name_unused
from .tensor_file import CheckpointError

LICENCE = "CC BY-NC 4.0"
"""Licence of the released weights, and so of the converted ones."""
HEADS = {
    "conv1.": "kernels.query.",
    "mlp_vector.layers.": "kernels.embedding.",
    "mlp.layers.": "colour.",
    "mlp_offset.layers.": "offset.",
}
"""Prefixes of the released names and of ours for the layers that follow the encoder."""
ENCODERS: dict[type[Encoder], Literal["swinir", "hat"]] = {SwinIR: "swinir", HAT: "hat"}
"""The released encoders, and their names in the settings."""
_NOT_RELEASED = "is not a released ContinuousSR checkpoint"


def convert_continuoussr(
    source: str | Path, target: str | Path, *, overwrite: bool = False, key: str = ""
) -> Converted:
    """Write the released ContinuousSR checkpoint `source` (.pth) as one of ours, `target` (.safetensors).

    The ContinuousSR table, which such files do not hold, is added unchanged: 154 of its kernels are singular,
    and the network only makes sure that their blends are not.

    `key` says where in the file the weights are, such as `params`; by default they are found.

    Raises:
        CheckpointError: if `source` is not one, or `target` exists already or cannot be written.
    """
    source, target = Path(source), Path(target)
    check_target(target, overwrite)
    tensors = read_released(source, CONTINUOUSSR, key)
    encoder = {n.removeprefix("encoder."): t for n, t in tensors.items() if n.startswith("encoder.")}
    layout = recognise_layout(encoder, source)
    if layout.encoder not in ENCODERS:
        raise CheckpointError(f"{source} {_NOT_RELEASED}: its encoder is {layout.name}, not SwinIR or HAT.")
    name_unused(source, layout, encoder)
    weights = rename_weights(encoder, replace(layout, mean=(0.0, 0.0, 0.0)))
    try:
        width, depth = width_and_depth(weights)
        settings = replace(
            PAPER_NETWORK,
            encoder=ENCODERS[layout.encoder],
            width=width,
            depth=depth,
            dictionary="released",
            latent=len(tensors["conv1.weight"]),
            features=tensors["conv1.weight"].shape[1],
            embedding=hidden_widths(tensors, "mlp_vector.layers."),
            hidden=hidden_widths(tensors, "mlp.layers."),
            offset_hidden=hidden_widths(tensors, "mlp_offset.layers."),
        )
        checkpoint = Checkpoint(
            settings,
            torch.from_numpy(continuoussr_kernels()),
            {f"encoder.{name}": t for name, t in weights.items()} | head_weights(tensors),
            {"converted": {"from": source.name, "encoder": layout.name, "license": LICENCE}},
        )
        model = checkpoint.build()
    except ValueError as error:
        raise CheckpointError(f"{source} {_NOT_RELEASED} ({error}).") from error
    except (IndexError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{source} {_NOT_RELEASED}: its tensors have other shapes.") from error
    checkpoint.save(target)
    return Converted("ContinuousSR", layout.name, sum(p.numel() for p in model.parameters()), LICENCE)


def hidden_widths(tensors: Mapping[str, Tensor], prefix: str) -> tuple[int, ...]:
    """Return the widths of all layers but the last of the MLP under `prefix`."""
    layers = {
        int(match[1]): len(tensor)
        for name, tensor in tensors.items()
        if (match := re.fullmatch(re.escape(prefix) + r"(\d+)\.weight", name))
    }
    return tuple(layers[index] for index in sorted(layers))[:-1]


def head_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights after the encoder under our names; MLPs over cells are 1x1 convolutions here."""
    weights = {}
    for theirs, ours in HEADS.items():
        for name, tensor in tensors.items():
            if name.startswith(theirs):
                per_cell = ours in ("colour.", "offset.") and tensor.ndim == 2
                weights[ours + name.removeprefix(theirs)] = tensor[..., None, None] if per_cell else tensor
    return weights
