"""Released checkpoints of ContinuousSR, converted to ours.

Everything that the released code does around the weights has a setting here: SwinIR or HAT without their
normalisation of images, four Gaussians per LR pixel that start at the corner of their cells, a dictionary
that its MLP reads in pixels at x4, blending of Cholesky entries. Its "/4" and multiplication by the scale are
our unit, the grid spacing. Not taken over are the faults of its renderer: Gaussians dropped beyond 256 per
tile, and offsets scrambled in batches of several images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..config.presets import PRESETS
from ..encoders import HAT
from ..networks.continuoussr.dictionary_choice import released_kernels
from .checkpoint import Checkpoint
from .pretrained import extent, in_our_names, read_public, recognise
from .tensor_file import CheckpointError

LICENCE = "CC BY-NC 4.0"
"""Of the released weights, and so of what is made of them."""
HEADS = {
    "conv1.": "kernels.query.",
    "mlp_vector.layers.": "kernels.embedding.",
    "mlp.layers.": "colour.",
    "mlp_offset.layers.": "offset.",
}
"""Prefixes of its names and of ours for what follows the encoder."""
_NOT_RELEASED = "is not a released ContinuousSR checkpoint"


@dataclass(frozen=True)
class Converted:
    """What a conversion made, for a message."""

    architecture: str
    """Its name."""
    encoder: str
    """As the layout of its weights is called."""
    parameters: int
    """Of the whole network."""
    licence: str
    """Of the released weights."""


def convert(source: str | Path, target: str | Path, *, overwrite: bool = False) -> Converted:
    """Write the released ContinuousSR checkpoint `source` (.pth) as one of ours, `target` (.safetensors).

    The released dictionary, which such files do not hold, is put in as it was released: 154 of its kernels
    are singular, and the network keeps only what it blends of them from being so. Raises CheckpointError.
    """
    source, target = Path(source), Path(target)
    check_target(target, overwrite)
    tensors, _ = read_public(source)
    lacking = [prefix for prefix in ("encoder.", *HEADS) if not any(n.startswith(prefix) for n in tensors)]
    if lacking:
        raise CheckpointError(f"{source} {_NOT_RELEASED}: it has no tensors {lacking[0]}*.")
    encoder = {n.removeprefix("encoder."): t for n, t in tensors.items() if n.startswith("encoder.")}
    layout = recognise(encoder, source)
    weights = in_our_names(encoder, replace(layout, mean=(0.0, 0.0, 0.0)))
    width, depth = extent(weights)
    try:
        settings = replace(
            PRESETS["paper"].network,
            encoder="hat" if layout.encoder is HAT else "swinir",
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
            torch.from_numpy(released_kernels()),
            {f"encoder.{name}": t for name, t in weights.items()} | head_weights(tensors),
            {"converted": {"from": source.name, "encoder": layout.name, "license": LICENCE}},
        )
        model = checkpoint.build()
    except ValueError as error:
        raise CheckpointError(f"{source} {_NOT_RELEASED} ({error}).") from error
    checkpoint.save(target)
    return Converted("ContinuousSR", layout.name, sum(p.numel() for p in model.parameters()), LICENCE)


def check_target(target: Path, overwrite: bool) -> None:
    """Raise CheckpointError where a file must not be written."""
    if target.exists() and not overwrite:
        raise CheckpointError(f"{target} exists already: name another file, or replace it with --overwrite.")


def hidden_widths(tensors: Mapping[str, Tensor], prefix: str) -> tuple[int, ...]:
    """Outputs of all layers but the last of the MLP under `prefix`."""
    layers = {
        int(match[1]): len(tensor)
        for name, tensor in tensors.items()
        if (match := re.fullmatch(re.escape(prefix) + r"(\d+)\.weight", name))
    }
    return tuple(layers[index] for index in sorted(layers))[:-1]


def head_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What follows the encoder, under our names; MLPs over cells are 1x1 convolutions here."""
    weights = {}
    for theirs, ours in HEADS.items():
        for name, tensor in tensors.items():
            if name.startswith(theirs):
                per_cell = ours in ("colour.", "offset.") and tensor.ndim == 2
                weights[ours + name.removeprefix(theirs)] = tensor[..., None, None] if per_cell else tensor
    return weights
