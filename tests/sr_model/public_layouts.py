"""Plain implementations of the published encoders: names and shapes of their checkpoints, and their features.

They follow the layouts of the public repositories, find tensors by those names and compute window by window.
They are oracles for the tests, and use nothing of sr_model.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
Shapes = dict[str, tuple[int, ...]]


def fabricate(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Weights of these shapes that keep signals at about their size; entries for buffers are zeros."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        fan = max(1, int(np.prod(shape[1:])))
        state[name] = torch.randn(shape, generator=generator) * (0.1 if len(shape) == 1 else 0.8 / fan**0.5)
        if "norm" in name and name.endswith("weight"):
            state[name] += 1
        if "index" in name or "mask" in name:
            state[name].zero_()
    return state


def conv(name: str, inputs: int, outputs: int, side: int = 3) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def upsampling(name: str, channels: int, scale: int) -> Shapes:
    """The upsampler of BasicSR, SwinIR, HAT and EDSR-PyTorch, for powers of two and for three."""
    if scale == 3:
        return conv(f"{name}.0", channels, 9 * channels)
    steps = {2: 1, 4: 2, 8: 3}[scale]
    return {k: v for i in range(steps) for k, v in conv(f"{name}.{2 * i}", channels, 4 * channels).items()}


def edsr_basicsr(width: int, depth: int, scale: int) -> Shapes:
    shapes = conv("conv_first", 3, width) | conv("conv_after_body", width, width)
    for i in range(depth):
        shapes |= conv(f"body.{i}.conv1", width, width) | conv(f"body.{i}.conv2", width, width)
    return shapes | upsampling("upsample", width, scale) | conv("conv_last", width, 3)


def edsr_pytorch(width: int, depth: int, scale: int) -> Shapes:
    shapes = conv("sub_mean", 3, 3, 1) | conv("add_mean", 3, 3, 1) | conv("head.0", 3, width)
    for i in range(depth):
        shapes |= conv(f"body.{i}.body.0", width, width) | conv(f"body.{i}.body.2", width, width)
    return (
        shapes
        | conv(f"body.{depth}", width, width)
        | upsampling("tail.0", width, scale)
        | conv("tail.1", width, 3)
    )


def rdn_liif(width: int, depth: int, prefix: str = "encoder.") -> Shapes:
    shapes = conv("SFENet1", 3, width) | conv("SFENet2", width, width)
    for i in range(depth):
        for j in range(8):
            shapes |= conv(f"RDBs.{i}.convs.{j}.conv.0", (j + 1) * width, width)
        shapes |= conv(f"RDBs.{i}.LFF", 9 * width, width, 1)
    shapes |= conv("GFF.0", depth * width, width, 1) | conv("GFF.1", width, width)
    return {prefix + name: shape for name, shape in shapes.items()}


def rdn_yjn870(width: int, depth: int, scale: int) -> Shapes:
    shapes = conv("sfe1", 3, width) | conv("sfe2", width, width)
    for i in range(depth):
        for j in range(8):
            shapes |= conv(f"rdbs.{i}.layers.{j}.conv", (j + 1) * width, width)
        shapes |= conv(f"rdbs.{i}.lff", 9 * width, width, 1)
    shapes |= conv("gff.0", depth * width, width, 1) | conv("gff.1", width, width)
    return shapes | upsampling("upscale", width, scale) | conv("output", width, 3)


def transformer(kind: str, width: int, depth: int, scale: int) -> Shapes:
    """SwinIR ("swinir") or HAT ("hat"), for classical super-resolution."""
    window = {"swinir": 8, "hat": 16}[kind]
    shapes = conv("conv_first", 3, width) | norm("patch_embed.norm", width)
    if kind == "hat":
        shapes |= {"relative_position_index_SA": (256, 256), "relative_position_index_OCA": (256, 576)}
    for i in range(depth):
        group = f"layers.{i}.residual_group."
        for j in range(6):
            block = f"{group}blocks.{j}."
            shapes |= attention_block(block, width, {f"{block}attn.": (2 * window - 1) ** 2})
            if kind == "swinir":
                shapes[f"{block}attn.relative_position_index"] = (64, 64)
                if j % 2:
                    shapes[f"{block}attn_mask"] = (64, 64, 64)
            else:
                shapes |= conv(f"{block}conv_block.cab.0", width, width // 3)
                shapes |= conv(f"{block}conv_block.cab.2", width // 3, width)
                shapes |= conv(f"{block}conv_block.cab.3.attention.1", width, width // 30, 1)
                shapes |= conv(f"{block}conv_block.cab.3.attention.3", width // 30, width, 1)
        if kind == "hat":
            shapes |= attention_block(f"{group}overlap_attn.", width, {f"{group}overlap_attn.": 39**2})
        shapes |= conv(f"layers.{i}.conv", width, width)
    shapes |= norm("norm", width) | conv("conv_after_body", width, width)
    shapes |= conv("conv_before_upsample.0", width, 64) | upsampling("upsample", 64, scale)
    return shapes | conv("conv_last", 64, 3)


def attention_block(block: str, width: int, attention: dict[str, int]) -> Shapes:
    ((attn, offsets),) = attention.items()
    shapes = norm(f"{block}norm1", width) | norm(f"{block}norm2", width)
    shapes |= {f"{attn}relative_position_bias_table": (offsets, 6)}
    shapes |= linear(f"{attn}qkv", width, 3 * width) | linear(f"{attn}proj", width, width)
    return shapes | linear(f"{block}mlp.fc1", width, 2 * width) | linear(f"{block}mlp.fc2", 2 * width, width)


class Named:
    """A state dict's layers, applied by name."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def conv(self, name: str, x: Tensor) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, self.state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def conv_tokens(self, name: str, x: Tensor) -> Tensor:  # [H, W, C]
        return self.conv(name, x.permute(2, 0, 1)[None])[0].permute(1, 2, 0)


def edsr_features(state: dict[str, Tensor], names: list[str], x: Tensor, residual_scale: float) -> Tensor:
    """`names`: the head, the two convolutions of each block in turn, the one after the blocks."""
    net = Named(state)
    shallow = x = net.conv(names[0], x)
    for first, second in zip(names[1:-1:2], names[2:-1:2], strict=True):
        x = x + residual_scale * net.conv(second, net.conv(first, x).relu())
    return net.conv(names[-1], x) + shallow


def rdn_features(state: dict[str, Tensor], x: Tensor, depth: int, layer: str, n: dict[str, str]) -> Tensor:
    """`n`: the names of sfe1, sfe2, rdbs, lff, gff; `layer`: of a convolution, {} its number."""
    net = Named(state)
    shallow = net.conv(n["sfe1"], x)
    x, blocks = net.conv(n["sfe2"], shallow), []
    for i in range(depth):
        dense = x
        for j in range(8):
            name = f"{n['rdbs']}.{i}.{layer.format(j)}"
            dense = torch.cat([dense, net.conv(name, dense).relu()], 1)
        x = x + net.conv(f"{n['rdbs']}.{i}.{n['lff']}", dense)
        blocks.append(x)
    gff = n["gff"]
    return net.conv(f"{gff}.1", net.conv(f"{gff}.0", torch.cat(blocks, 1))) + shallow


def transformer_features(state: dict[str, Tensor], kind: str, x: Tensor) -> Tensor:
    """SwinIR or HAT up to before conv_last, of one image [1, 3, H, W] that its windows fill."""
    net, window = Named(state), {"swinir": 8, "hat": 16}[kind]
    shallow = net.conv("conv_first", x)
    tokens = net.norm("patch_embed.norm", shallow[0].permute(1, 2, 0))
    for i in range(len({name.split(".")[1] for name in state if name.startswith("layers.")})):
        start = tokens
        for j in range(6):
            block = f"layers.{i}.residual_group.blocks.{j}."
            normed = net.norm(f"{block}norm1", tokens)
            tokens = tokens + windowed_attention(net, f"{block}attn.", normed, window, window // 2 * (j % 2))
            if kind == "hat":
                tokens = tokens + 0.01 * channel_attention(net, f"{block}conv_block.cab.", normed)
            tokens = tokens + perceptron(net, block, tokens)
        if kind == "hat":
            block = f"layers.{i}.residual_group.overlap_attn."
            tokens = tokens + overlapping_attention(net, block, net.norm(f"{block}norm1", tokens))
            tokens = tokens + perceptron(net, block, tokens)
        tokens = start + net.conv_tokens(f"layers.{i}.conv", tokens)
    deep = net.conv("conv_after_body", net.norm("norm", tokens).permute(2, 0, 1)[None]) + shallow
    features = F.leaky_relu(net.conv("conv_before_upsample.0", deep), 0.01)
    for index in range(0, 6, 2):
        if f"upsample.{index}.weight" in state:
            features = net.conv(f"upsample.{index}", features)
            features = F.pixel_shuffle(features, round((features.shape[1] / 64) ** 0.5))
    return features


def perceptron(net: Named, block: str, tokens: Tensor) -> Tensor:
    return net.linear(
        f"{block}mlp.fc2", F.gelu(net.linear(f"{block}mlp.fc1", net.norm(f"{block}norm2", tokens)))
    )


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """q [n, C], k and v [m, C], bias [6, n, m]; head by head."""
    heads = []
    for h, (a, b, c) in enumerate(zip(q.chunk(6, -1), k.chunk(6, -1), v.chunk(6, -1), strict=True)):
        heads.append(torch.softmax(a @ b.T / a.shape[1] ** 0.5 + bias[h], -1) @ c)
    return torch.cat(heads, -1)


def windowed_attention(net: Named, name: str, x: Tensor, window: int, shift: int) -> Tensor:
    height, width = x.shape[:2]
    row, column = (a.flatten() for a in np.mgrid[:window, :window])
    index = (row[:, None] - row + window - 1) * (2 * window - 1) + column[:, None] - column + window - 1
    bias = net.state[f"{name}relative_position_bias_table"][torch.from_numpy(index)].permute(2, 0, 1)
    x = x.roll((-shift, -shift), (0, 1))
    # Three bands along each axis; tokens of different ones do not attend to each other.
    band = [np.digitize(np.arange(n), [n - window, n - shift] if shift else [n]) for n in (height, width)]
    region = torch.from_numpy(3 * band[0][:, None] + band[1])
    out = torch.empty_like(x)
    for top in range(0, height, window):
        for left in range(0, width, window):
            part = np.s_[top : top + window, left : left + window]
            q, k, v = net.linear(f"{name}qkv", x[part].flatten(0, 1)).chunk(3, -1)
            label = region[part].flatten()
            apart = -100.0 * (label[:, None] != label).float()
            out[part] = softmax_attention(q, k, v, bias + apart).view(window, window, -1)
    return net.linear(f"{name}proj", out.roll((shift, shift), (0, 1)))


def channel_attention(net: Named, name: str, x: Tensor) -> Tensor:
    x = net.conv(f"{name}2", F.gelu(net.conv(f"{name}0", x.permute(2, 0, 1)[None])))
    squeezed = net.conv(f"{name}3.attention.1", x.mean((2, 3), keepdim=True)).relu()
    return (x * torch.sigmoid(net.conv(f"{name}3.attention.3", squeezed)))[0].permute(1, 2, 0)


def overlapping_attention(net: Named, name: str, x: Tensor) -> Tensor:
    q, k, v = net.linear(f"{name}qkv", x).chunk(3, -1)
    k, v = (F.pad(t, (0, 0, 4, 4, 4, 4)) for t in (k, v))
    qy, qx = (a.flatten() for a in np.mgrid[:16, :16])
    ky, kx = (a.flatten() for a in np.mgrid[:24, :24])
    index = (ky - qy[:, None] - 7) * 39 + kx - qx[:, None] - 7  # negative ones count from the end
    bias = net.state[f"{name}relative_position_bias_table"][torch.from_numpy(index)].permute(2, 0, 1)
    out = torch.empty_like(x)
    for top in range(0, x.shape[0], 16):
        for left in range(0, x.shape[1], 16):
            wide = np.s_[top : top + 24, left : left + 24]
            part = np.s_[top : top + 16, left : left + 16]
            attended = softmax_attention(
                q[part].flatten(0, 1), k[wide].flatten(0, 1), v[wide].flatten(0, 1), bias
            )
            out[part] = attended.view(16, 16, -1)
    return net.linear(f"{name}proj", out)
