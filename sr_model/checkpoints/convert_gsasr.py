"""Conversion of released GSASR checkpoints to ours.

A released checkpoint is a folder of two files, `encoder.pth` and `decoder.pth`. The checkpoints of the paper
can be converted; later ones ("enhanced", "ultra performance") have rotary embeddings and another
architecture.

Weights without effect are left out: the queries and keys of the attention to the scale, and the norm before
it (`networks.gsasr.attention.ScaleAttention`). The released tables of relative positions are in the order of
a Python set, and two offsets may share an entry. The files also hold the index of the entry for each pair of
tokens, by which the entries are put into our order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..encoders import HAT, RDN, SwinIR
from ..encoders.windows import relative_offsets
from ..networks.gsasr.settings import GSASRSettings
from .checkpoint import Checkpoint
from .conversion import Converted, check_target, part_file, read_released
from .layout import Layout
from .layouts import GSASR_DECODER
from .pretrained import rename_weights, width_and_depth
from .recognition import read_public_weights
from .tensor_file import CheckpointError

LICENCE = "Apache-2.0"
"""Licence of the repository that released them."""
HEADS = {"alpha": "opacity", "mean": "offset", "sigma": "deviation", "rho": "correlation", "rgb": "colour"}
"""The released names of the five heads, and ours."""


def convert_gsasr(
    folder: str | Path, target: str | Path, *, overwrite: bool = False, key: str = ""
) -> Converted:
    """Write the released GSASR checkpoint in `folder` as one of ours, `target` (.safetensors).

    The network computes the released field: `GSASRSettings.compat`, and EDSR without its `long_skip`.

    A folder of the released training code is taken, too: `net_g_*.pth` and `net_fea2gs_*.pth`. `key` says
    where in the files the weights are, such as `params`; by default they are found.

    Raises:
        CheckpointError: if `folder` is not one, or `target` exists already or cannot be written.
    """
    folder, target = Path(folder), Path(target)
    check_target(target, overwrite)
    decoder = part_file(folder, "decoder", "net_fea2gs")
    tensors = read_released(decoder, GSASR_DECODER, key)
    if any("rope_freqs" in name for name in tensors):
        raise CheckpointError(
            f"{decoder} has rotary embeddings, as enhanced GSASR models do: only the paper's models "
            "can be converted."
        )
    layout, encoder = encoder_weights(part_file(folder, "encoder", "net_g"), key)
    try:
        weights = {f"encoder.{name}": t for name, t in encoder.items()} | decoder_weights(tensors)
        settings = settings_from_weights(weights, layout)
        origin = {"from": folder.name, "encoder": layout.name, "license": LICENCE}
        checkpoint = Checkpoint(settings, None, weights, {"converted": origin})
        model = checkpoint.build()
    except KeyError as error:
        raise CheckpointError(
            f"{decoder} is not the decoder of a released GSASR: it has no tensor {error.args[0]}."
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{folder} is not a released GSASR checkpoint ({error}).") from error
    except (IndexError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{decoder} is not the decoder of a released GSASR: its tensors have other shapes."
        ) from error
    checkpoint.save(target)
    return Converted("GSASR", layout.name, sum(p.numel() for p in model.parameters()), LICENCE)


def encoder_weights(path: Path, key: str) -> tuple[Layout, dict[str, Tensor]]:
    """Return the encoder's layout, and its weights under our names. Raises CheckpointError.

    The encoder reads images in [0, 1] without a mean, and has no upsampler.
    """
    found = read_public_weights(path, key)
    layout = found.layout
    if not isinstance(layout, Layout) or layout.encoder is HAT:
        raise CheckpointError(
            f"{path} holds {layout.name}: only GSASR models with EDSR, RDN or SwinIR can be converted."
        )
    return layout, rename_weights(found.tensors, replace(layout, mean=(0.0, 0.0, 0.0), range=1.0))


def decoder_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the decoder's weights under our names. Raises KeyError with the name of a missing tensor."""
    side = math.isqrt(len(tensors["gs_embedding"]))
    made = {
        ours: tensors[theirs].reshape(side, side, -1)
        for ours, theirs in (("embedding", "gs_embedding"), ("place", "pos_embedding"))
    }
    for theirs, ours in {"img_feat_proj": "features", "scale_mlp": "condition", "UPNet": "upsample"}.items():
        made |= with_prefix(tensors, f"{theirs}.", f"{ours}.")
    for theirs, ours in HEADS.items():
        head = with_prefix(tensors, f"mlp_block_{theirs}.", f"heads.{ours}.")
        made |= {name: t[..., None, None] if t.ndim == 2 else t for name, t in head.items()}
    for end in ("weight", "bias"):
        name = f"heads.deviation.4.{end}"
        made[name] = made[name].flip(0)  # the released renderer has y first
    for theirs, ours in {"window_crossattn_blocks": "injection", "gs_selfattn_blocks": "interaction"}.items():
        for block in range(count_modules(tensors, f"{theirs}.")):
            for part in ("norm", "mlp"):
                made |= with_prefix(tensors, f"{theirs}.{block}.{part}.", f"{ours}.{block}.{part}.")
            for layer in range(count_modules(tensors, f"{theirs}.{block}.blocks.")):
                of_layer = layer_weights(tensors, f"{theirs}.{block}.blocks.{layer}.", side)
                made |= {f"{ours}.{block}.layers.{layer}.{name}": t for name, t in of_layer.items()}
    return made


def layer_weights(tensors: Mapping[str, Tensor], prefix: str, side: int) -> dict[str, Tensor]:
    """Return the weights of one layer of either kind, under our names, without prefix."""
    if crosses := f"{prefix}window_cross_attn.proj.weight" in tensors:
        attention, norms = "window_cross_attn", ("norm2", "norm3", "norm4")
        mlps = ("mlp_crossattn_scale", "mlp_crossattn_feature")
    else:
        attention, norms, mlps = (
            "gs_self_attn",
            ("norm4", "norm1", "norm2"),
            ("mlp_crossattn", "mlp_selfattn"),
        )
    made: dict[str, Tensor] = {}
    for end in ("weight", "bias"):

        def theirs(name: str, end: str = end) -> Tensor:
            return tensors[f"{prefix}{name}{end}"]

        query, key, value = (theirs(f"{attention}.{which}head.") for which in "qkv")
        projections = (
            {"query": [query], "key_value": [key, value]} if crosses else {"qkv": [query, key, value]}
        )
        of_end = {f"attention.{name}": torch.cat(parts) for name, parts in projections.items()}
        of_end["attention.project"] = theirs(f"{attention}.proj.")
        of_end["scale.value"] = theirs("gs_cross_attn_scale.in_proj_").chunk(3)[2]
        of_end["scale.project"] = theirs("gs_cross_attn_scale.out_proj.")
        for ours, norm in zip(("norm_scale", "norm_attention", "norm_mlp"), norms, strict=True):
            of_end[ours] = theirs(f"{norm}.")
        for ours, mlp in zip(("mlp_scale", "mlp"), mlps, strict=True):
            of_end |= {f"{ours}.0": theirs(f"{mlp}.fc1."), f"{ours}.2": theirs(f"{mlp}.fc2.")}
        made |= {f"{name}.{end}": tensor for name, tensor in of_end.items()}
    table, index = (
        tensors[f"{prefix}{attention}.relative_position_{what}"] for what in ("bias_table", "index")
    )
    made["attention.bias"] = torch.empty((2 * side - 1) ** 2, table.shape[1])
    made["attention.bias"][relative_offsets(side)] = table[whole_numbers(index)]
    return made


def whole_numbers(index: Tensor) -> Tensor:
    """Return an index as whole numbers, if it was cast with all other tensors of a file.

    Raises ValueError if the type that it was cast to does not hold all of them, as bfloat16 does not.

    >>> whole_numbers(torch.tensor([528.0], dtype=torch.float16))
    tensor([528])
    """
    if index.is_floating_point() and index.max() > 2 / torch.finfo(index.dtype).eps:
        kind = str(index.dtype).removeprefix("torch.")
        raise ValueError(f"relative_position_index was rounded to {kind}; save it as int64")
    return index.long()


def settings_from_weights(weights: Mapping[str, Tensor], layout: Layout) -> GSASRSettings:
    """Return the settings of the network that has these weights. Raises KeyError or ValueError."""
    width, depth = width_and_depth(
        {n.removeprefix("encoder."): t for n, t in weights.items() if "encoder." in n}
    )
    side, _, channels = weights["embedding"].shape
    injection, interaction = (
        (count_modules(weights, f"{kind}."), count_modules(weights, f"{kind}.0.layers."))
        for kind in ("injection", "interaction")
    )
    growth = [len(t) // channels for n, t in weights.items() if re.fullmatch(r"upsample\.\d+\.weight", n)]
    encoder: Literal["edsr", "rdn", "swinir"] = "edsr"
    if layout.encoder is RDN:
        encoder = "rdn"
    elif layout.encoder is SwinIR:
        encoder = "swinir"
    return GSASRSettings(
        encoder=encoder,
        width=width,
        depth=depth,
        long_skip=encoder != "edsr",
        channels=channels,
        heads=weights["interaction.0.layers.0.attention.bias"].shape[1],
        window=side,
        injection=injection,
        interaction=interaction,
        head_hidden=tuple(len(weights[f"heads.colour.{layer}.weight"]) for layer in (0, 2)),
        cells=math.isqrt(math.prod(growth)),
        compat=True,
    )


def with_prefix(tensors: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """Return the tensors under the prefix `theirs`, under `ours`. Raises KeyError if there are none."""
    found = {ours + n.removeprefix(theirs): t for n, t in tensors.items() if n.startswith(theirs)}
    if not found:
        raise KeyError(f"{theirs}*")
    return found


def count_modules(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of numbered modules under a prefix."""
    return len({match[1] for n in tensors if (match := re.match(re.escape(prefix) + r"(\d+)\.", n))})
