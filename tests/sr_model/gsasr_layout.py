"""Names and shapes of the checkpoints that GSASR is released as, and weights for small ones."""

from __future__ import annotations

import numpy as np
import torch
from public_layouts import Shapes, conv, fabricate, linear, norm
from torch import Tensor

HEADS = {"sigma": 2, "rho": 1, "alpha": 1, "rgb": 3, "mean": 2}


def decoder(
    c: int,
    heads: int,
    window: int,
    injection: tuple[int, int],
    interaction: tuple[int, int],
    inputs: int = 64,
) -> Shapes:
    """Names and shapes of the decoder of the paper's models: `c` channels, (blocks, layers) of each kind."""
    seeds = window**2
    shapes = {"gs_embedding": (seeds, c), "pos_embedding": (seeds, c)}
    shapes |= conv("img_feat_proj.0", inputs, c) | conv("img_feat_proj.2", c, c)
    for block in range(injection[0]):
        name = f"window_crossattn_blocks.{block}."
        shapes |= block_of(name, c) | layers_of(
            name,
            c,
            heads,
            window,
            injection[1],
            "window_cross_attn",
            "mlp_crossattn_scale",
            "mlp_crossattn_feature",
        )
    for block in range(interaction[0]):
        name = f"gs_selfattn_blocks.{block}."
        shapes |= block_of(name, c) | layers_of(
            name, c, heads, window, interaction[1], "gs_self_attn", "mlp_crossattn", "mlp_selfattn"
        )
    for name, outputs in HEADS.items():
        mlp = f"mlp_block_{name}."
        shapes |= linear(f"{mlp}0", c, c) | linear(f"{mlp}2", c, 4 * c) | linear(f"{mlp}4", 4 * c, outputs)
    shapes |= linear("scale_mlp.0", 1, 4 * c) | linear("scale_mlp.2", 4 * c, c)
    return shapes | conv("UPNet.0", c, 4 * c) | conv("UPNet.2", c, 4 * c)


def block_of(name: str, c: int) -> Shapes:
    return linear(f"{name}mlp.0", c, c) | linear(f"{name}mlp.2", c, c) | norm(f"{name}norm", c)


def layers_of(name: str, c: int, heads: int, window: int, layers: int, attention: str, *mlps: str) -> Shapes:
    shapes: Shapes = {}
    for layer in range(layers):
        of = f"{name}blocks.{layer}."
        scale = f"{of}gs_cross_attn_scale."
        shapes |= {f"{scale}in_proj_weight": (3 * c, c), f"{scale}in_proj_bias": (3 * c,)}
        shapes |= linear(f"{scale}out_proj", c, c)
        for index in range(1, 5):
            shapes |= norm(f"{of}norm{index}", c)
        for projection in ("qhead", "khead", "vhead", "proj"):
            shapes |= linear(f"{of}{attention}.{projection}", c, c)
        shapes[f"{of}{attention}.relative_position_bias_table"] = ((2 * window - 1) ** 2, heads)
        shapes[f"{of}{attention}.relative_position_index"] = (window**2, window**2)
        for mlp in mlps:
            shapes |= linear(f"{of}{mlp}.fc1", c, c) | linear(f"{of}{mlp}.fc2", c, c)
    return shapes


def fabricated(shapes: Shapes, window: int) -> dict[str, Tensor]:
    """Weights of a decoder, with the released kinds of index: of self-attention as in Swin, of
    cross-attention in an arbitrary order, with entries shared by two offsets."""
    state = fabricate(shapes)
    row, column = (a.flatten() for a in np.mgrid[:window, :window])
    dy, dx = (a[:, None] - a + window - 1 for a in (row, column))
    order = np.random.default_rng(0).permutation(2 * window - 1)
    for name in shapes:
        if name.endswith("gs_self_attn.relative_position_index"):
            state[name] = torch.from_numpy(dy * (2 * window - 1) + dx)
        if name.endswith("window_cross_attn.relative_position_index"):
            state[name] = torch.from_numpy(order[dy] * (2 * window - 2) + order[dx])
        if name.endswith("bias_table"):
            state[name] = state[name] * 20  # otherwise they would have hardly any effect
    return state
