"""A plain implementation of the released GSASR: names and shapes of its checkpoint, and its decoder.

It computes window by window and head by head, with the published attention to the scale, on tensors found by
their released names. It is an oracle for the tests, and uses nothing of sr_model.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from public_layouts import Named, Shapes, conv, fabricate, linear, norm
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


def gaussians(
    state: dict[str, Tensor], features: Tensor, scale: float, masked: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """(means [N, 2], covariances [N, 2, 2], amplitudes [N, 3]) in LR pixels, of features [1, 64, H, W]."""
    net = Named(state)
    heads = next(t for n, t in state.items() if n.endswith("bias_table")).shape[1]
    height, width = features.shape[2:]
    window = math.isqrt(len(state["gs_embedding"]))
    tiles = (height // window, width // window, 1)
    tokens = state["gs_embedding"].view(window, window, -1).repeat(tiles)
    place = state["pos_embedding"].view(window, window, -1).repeat(tiles)
    scale_key = net.linear("scale_mlp.2", net.linear("scale_mlp.0", torch.tensor([1 / scale])).relu())
    projected = net.conv("img_feat_proj.2", net.conv("img_feat_proj.0", features).relu())[0].permute(1, 2, 0)

    for name in blocks(state, "window_crossattn_blocks"):
        start, tokens = tokens, net.norm(f"{name}norm", tokens)
        for index, layer in enumerate(blocks(state, f"{name}blocks")):
            shift = window // 2 if index % 2 else 0
            tokens = attended_scale(
                net, layer, tokens, place, scale_key, heads, "norm1", "norm2", "mlp_crossattn_scale"
            )
            asked = net.norm(f"{layer}norm3", tokens) + place
            tokens = tokens + windows(
                net, f"{layer}window_cross_attn.", asked, projected, window, 0, shift, heads, masked
            )
            tokens = tokens + perceptron(
                net, f"{layer}mlp_crossattn_feature", net.norm(f"{layer}norm4", tokens)
            )
        tokens = start + net.linear(f"{name}mlp.2", net.linear(f"{name}mlp.0", tokens).relu())
    injected = tokens
    for name in blocks(state, "gs_selfattn_blocks"):
        start, tokens = tokens, net.norm(f"{name}norm", tokens)
        for index, layer in enumerate(blocks(state, f"{name}blocks")):
            shift = window // 2 if index % 2 else 0
            tokens = attended_scale(
                net, layer, tokens, place, scale_key, heads, "norm3", "norm4", "mlp_crossattn"
            )
            normed = net.norm(f"{layer}norm1", tokens)
            tokens = tokens + windows(
                net, f"{layer}gs_self_attn.", normed, normed, window, shift, shift, heads, masked
            )
            tokens = tokens + perceptron(net, f"{layer}mlp_selfattn", net.norm(f"{layer}norm2", tokens))
        tokens = start + net.linear(f"{name}mlp.2", net.linear(f"{name}mlp.0", tokens).relu())
    cells = (tokens + injected).permute(2, 0, 1)[None]
    for step in (0, 2):
        cells = F.pixel_shuffle(net.conv(f"UPNet.{step}", cells), 2)
    cells = cells[0].permute(1, 2, 0)

    out = {}
    for head in HEADS:
        x = net.linear(f"mlp_block_{head}.0", cells).relu()
        x = net.linear(f"mlp_block_{head}.2", x).relu()
        out[head] = net.linear(f"mlp_block_{head}.4", x).flatten(0, 1)
    sigma = (0.99999 * torch.sigmoid(out["sigma"]) + 1e-6) / 1.2
    sigma_y, sigma_x = sigma.unbind(-1)  # the released renderer gives them to the axes in this order
    rho = 0.999999 * torch.tanh(out["rho"][:, 0])
    covariance = torch.stack(
        [torch.stack([sigma_x**2, rho * sigma_x * sigma_y], -1),
         torch.stack([rho * sigma_x * sigma_y, sigma_y**2], -1)], -2
    )  # fmt: skip
    amplitude = torch.sigmoid(out["alpha"]) * torch.sigmoid(out["rgb"])
    rows, columns = 4 * height, 4 * width
    reference = torch.tensor(
        [[(j + 0.5) / columns, (i + 0.5) / rows] for i in range(rows) for j in range(columns)]
    )
    extent = torch.tensor([columns, rows])
    mean = (reference + out["mean"] / extent) * torch.tensor([width, height])
    return mean, covariance, amplitude


def blocks(state: dict[str, Tensor], prefix: str) -> list[str]:
    at = prefix.count(".") + 1
    numbers = {int(name.split(".")[at]) for name in state if name.startswith(f"{prefix}.")}
    return [f"{prefix}.{number}." for number in sorted(numbers)]


def attended_scale(
    net: Named, layer: str, tokens: Tensor, place: Tensor, scale_key: Tensor, heads: int,
    norm_before: str, norm_after: str, mlp: str,
) -> Tensor:  # fmt: skip
    """The attention to the scale in full: queries, and as many equal keys as a window has tokens."""
    name = f"{layer}gs_cross_attn_scale."
    queries = (net.norm(f"{layer}{norm_before}", tokens) + place).flatten(0, 1)
    weights, biases = (net.state[f"{name}in_proj_{part}"].chunk(3) for part in ("weight", "bias"))
    q, k, v = (
        x @ weight.T + bias
        for x, weight, bias in zip(
            (queries, scale_key.expand(9, -1), scale_key.expand(9, -1)),
            weights,
            biases,
            strict=True,
        )
    )
    attended = attention(q, k, v, torch.zeros(heads, 1, 1))
    tokens = tokens + net.linear(f"{name}out_proj", attended).view_as(tokens)
    return tokens + perceptron(net, f"{layer}{mlp}", net.norm(f"{layer}{norm_after}", tokens))


def perceptron(net: Named, name: str, x: Tensor) -> Tensor:
    return net.linear(f"{name}.fc2", net.linear(f"{name}.fc1", x).relu())


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """q [n, C], k and v [m, C], bias [heads, n, m]; head by head."""
    parts = zip(*(t.chunk(len(bias), -1) for t in (q, k, v)), bias, strict=True)
    return torch.cat(
        [torch.softmax(a @ b.T / a.shape[1] ** 0.5 + more, -1) @ c for a, b, c, more in parts], -1
    )


def windows(
    net: Named, name: str, asking: Tensor, asked: Tensor, window: int, shift_q: int, shift_k: int, heads: int,
    masked: bool,
) -> Tensor:  # fmt: skip
    """Each window's tokens attend to those of a window, both moved along by their shifts, around the border.

    If masked, no token attends to one on the other side of that border.
    """
    height, width = asking.shape[:2]
    table, index = (
        net.state[f"{name}relative_position_bias_table"],
        net.state[f"{name}relative_position_index"],
    )
    bias = table[index].permute(2, 0, 1)
    out = torch.empty_like(asking)
    for top in range(0, height, window):
        for left in range(0, width, window):
            places_q, places_k = (
                [(top + i + shift, left + j + shift) for i in range(window) for j in range(window)]
                for shift in (shift_q, shift_k)
            )
            q = net.linear(f"{name}qhead", torch.stack([asking[y % height, x % width] for y, x in places_q]))
            other = torch.stack([asked[y % height, x % width] for y, x in places_k])
            across = torch.zeros(len(places_q), len(places_k))
            if masked:
                sides_q, sides_k = ([(y >= height, x >= width) for y, x in p] for p in (places_q, places_k))
                across = torch.tensor([[-math.inf if a != b else 0.0 for b in sides_k] for a in sides_q])
            k, v = (net.linear(f"{name}{which}", other) for which in ("khead", "vhead"))
            attended = net.linear(f"{name}proj", attention(q, k, v, bias + across))
            for (y, x), token in zip(places_q, attended, strict=True):
                out[y % height, x % width] = token
    return out
