"""Names and shapes of the checkpoints of public encoders, at any width, and weights for them.

`checkpoints/test_pretrained.py` compares them with those of the encoders' own code.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

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


def span(width: int, scale: int) -> Shapes:
    """As trained: each layer has a 1x1 convolution, a chain of three, and the sum of both at some time."""
    widths = {"conv_1": 3} | {f"block_{i}.c{j}_r": width for i in range(1, 7) for j in (1, 2, 3)}
    shapes = {}
    for layer, inputs in (widths | {"conv_2": width}).items():
        shapes |= conv(f"{layer}.sk", inputs, width, 1) | conv(f"{layer}.conv.0", inputs, 2 * inputs, 1)
        shapes |= conv(f"{layer}.conv.1", 2 * inputs, 2 * width) | conv(
            f"{layer}.conv.2", 2 * width, width, 1
        )
        shapes |= conv(f"{layer}.eval_conv", inputs, width)
    return shapes | conv("conv_cat", 4 * width, width, 1) | conv("upsampler.0", width, 3 * scale**2)


def rlfn(width: int, scale: int) -> Shapes:
    shapes = conv("conv_1", 3, width) | conv("conv_2", width, width)
    for block in (f"block_{i}" for i in range(1, 7)):
        for layer in ("c1_r", "c2_r", "c3_r"):
            shapes |= conv(f"{block}.{layer}", width, width)
        shapes |= conv(f"{block}.c5", width, width, 1) | conv(f"{block}.esa.conv1", width, 16, 1)
        shapes |= conv(f"{block}.esa.conv_f", 16, 16, 1) | conv(f"{block}.esa.conv4", 16, width, 1)
        shapes |= conv(f"{block}.esa.conv2", 16, 16) | conv(f"{block}.esa.conv3", 16, 16)
    return shapes | conv("upsampler.0", width, 3 * scale**2)


def safmn(width: int, depth: int, scale: int) -> Shapes:
    shapes = conv("to_feat", 3, width)
    for block in (f"feats.{i}" for i in range(depth)):
        shapes |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
        for level in range(4):
            shapes |= conv(f"{block}.safm.mfr.{level}", 1, width // 4)
        shapes |= conv(f"{block}.safm.aggr", width, width, 1)
        shapes |= conv(f"{block}.ccm.ccm.0", width, 2 * width) | conv(
            f"{block}.ccm.ccm.2", 2 * width, width, 1
        )
    return shapes | conv("to_img.0", width, 3 * scale**2)


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
