"""Pretrained encoders: weights in the layouts of the public repositories that publish them.

A file is recognised by the names of its tensors. What networks for super-resolution have beyond an encoder
(the last convolution, an upsampler to another scale) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .checkpoint import CheckpointError
from .encoders import EDSR, HAT, RDN, Encoder, SwinIR

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""What most of these networks subtract from an image: the mean colour of DIV2K."""
CONTAINERS = ("params_ema", "params", "state_dict")
"""Keys under which files hold their tensors, the averaged weights first."""


@dataclass(frozen=True)
class Layout:
    """How a repository names the weights of an encoder, and in which units the encoder reads images."""

    name: str
    """The network and the repository."""
    encoder: type[Encoder]
    """Our encoder of the same structure."""
    marks: tuple[str, ...]
    """Names of tensors that every such file has, and no file of another layout has all of."""
    renames: tuple[tuple[str, str], ...]
    """Patterns of its names, each to be matched entire, and our names for them."""
    mean: tuple[float, float, float]
    """Subtracted from an image."""
    range: float = 1.0
    """How far apart black and white are in the layout's images."""


_BLOCK = r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\."
_OVERLAP = r"layers\.(\d+)\.residual_group\.overlap_attn\."
_TRANSFORMER = (
    (r"conv_first\.(.*)", r"shallow.\1"),
    (r"patch_embed\.norm\.(.*)", r"norm_before.\1"),
    (rf"{_BLOCK}norm1\.(.*)", r"groups.\1.blocks.\2.norm_attention.\3"),
    (rf"{_BLOCK}attn\.relative_position_bias_table", r"groups.\1.blocks.\2.attention.bias"),
    (rf"{_BLOCK}attn\.qkv\.(.*)", r"groups.\1.blocks.\2.attention.qkv.\3"),
    (rf"{_BLOCK}attn\.proj\.(.*)", r"groups.\1.blocks.\2.attention.project.\3"),
    (rf"{_BLOCK}norm2\.(.*)", r"groups.\1.blocks.\2.norm_mlp.\3"),
    (rf"{_BLOCK}mlp\.fc1\.(.*)", r"groups.\1.blocks.\2.mlp.0.\3"),
    (rf"{_BLOCK}mlp\.fc2\.(.*)", r"groups.\1.blocks.\2.mlp.2.\3"),
    (r"layers\.(\d+)\.conv\.(.*)", r"groups.\1.convolution.\2"),
    (r"norm\.(.*)", r"norm_after.\1"),
    (r"conv_after_body\.(.*)", r"deep.\1"),
    (r"conv_before_upsample\.0\.(.*)", r"narrow.\1"),
    (r"upsample\.(\d+)\.(.*)", r"upsample.\1.\2"),
)
_HYBRID = (
    (rf"{_BLOCK}conv_block\.cab\.0\.(.*)", r"groups.\1.blocks.\2.channels.narrow.\3"),
    (rf"{_BLOCK}conv_block\.cab\.2\.(.*)", r"groups.\1.blocks.\2.channels.widen.\3"),
    (rf"{_BLOCK}conv_block\.cab\.3\.attention\.1\.(.*)", r"groups.\1.blocks.\2.channels.squeeze.\3"),
    (rf"{_BLOCK}conv_block\.cab\.3\.attention\.3\.(.*)", r"groups.\1.blocks.\2.channels.excite.\3"),
    (rf"{_OVERLAP}norm1\.(.*)", r"groups.\1.blocks.6.norm_attention.\2"),
    (rf"{_OVERLAP}relative_position_bias_table", r"groups.\1.blocks.6.bias"),
    (rf"{_OVERLAP}qkv\.(.*)", r"groups.\1.blocks.6.qkv.\2"),
    (rf"{_OVERLAP}proj\.(.*)", r"groups.\1.blocks.6.project.\2"),
    (rf"{_OVERLAP}norm2\.(.*)", r"groups.\1.blocks.6.norm_mlp.\2"),
    (rf"{_OVERLAP}mlp\.fc1\.(.*)", r"groups.\1.blocks.6.mlp.0.\2"),
    (rf"{_OVERLAP}mlp\.fc2\.(.*)", r"groups.\1.blocks.6.mlp.2.\2"),
)
_RDN = (
    (r"SFENet1\.(.*)", r"first.\1"),
    (r"SFENet2\.(.*)", r"second.\1"),
    (r"RDBs\.(\d+)\.convs\.(\d+)\.conv\.0\.(.*)", r"blocks.\1.layers.\2.\3"),
    (r"RDBs\.(\d+)\.LFF\.(.*)", r"blocks.\1.fuse.\2"),
    (r"GFF\.0\.(.*)", r"fuse.\1"),
    (r"GFF\.1\.(.*)", r"tail.\1"),
)
_EDSR = (
    (r"head\.0\.(.*)", r"head.\1"),
    (r"body\.(\d+)\.body\.0\.(.*)", r"blocks.\1.first.\2"),
    (r"body\.(\d+)\.body\.2\.(.*)", r"blocks.\1.second.\2"),
    (r"body\.\d+\.((?:weight|bias))", r"tail.\1"),
)


def _within(prefix: str, renames: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((re.escape(prefix) + pattern, ours) for pattern, ours in renames)


LAYOUTS = (
    Layout(
        "HAT (XPixelGroup/HAT)",
        HAT,
        (
            "conv_first.weight",
            "layers.0.residual_group.overlap_attn.qkv.weight",
            "conv_before_upsample.0.weight",
        ),
        _TRANSFORMER + _HYBRID,
        DIV2K_MEAN,
    ),
    Layout(
        "SwinIR (JingyunLiang/SwinIR)",
        SwinIR,
        ("conv_first.weight", "layers.0.residual_group.blocks.0.attn.qkv.weight", "layers.0.conv.weight"),
        _TRANSFORMER,
        DIV2K_MEAN,
    ),
    Layout(
        "EDSR (BasicSR)",
        EDSR,
        ("conv_first.weight", "body.0.conv1.weight", "conv_after_body.weight"),
        (
            (r"conv_first\.(.*)", r"head.\1"),
            (r"body\.(\d+)\.conv1\.(.*)", r"blocks.\1.first.\2"),
            (r"body\.(\d+)\.conv2\.(.*)", r"blocks.\1.second.\2"),
            (r"conv_after_body\.(.*)", r"tail.\1"),
        ),
        DIV2K_MEAN,
        255.0,
    ),
    Layout("EDSR (EDSR-PyTorch)", EDSR, ("head.0.weight", "body.0.body.0.weight"), _EDSR, DIV2K_MEAN, 255.0),
    # LIIF, whose encoders read images from -1 to 1.
    Layout(
        "EDSR (LIIF)",
        EDSR,
        ("encoder.head.0.weight", "encoder.body.0.body.0.weight"),
        _within("encoder.", _EDSR),
        (0.5, 0.5, 0.5),
        2.0,
    ),
    Layout(
        "RDN (LIIF)",
        RDN,
        ("encoder.SFENet1.weight", "encoder.RDBs.0.LFF.weight"),
        _within("encoder.", _RDN),
        (0.5, 0.5, 0.5),
        2.0,
    ),
    Layout(
        "RDN (yjn870/RDN-pytorch)",
        RDN,
        ("sfe1.weight", "rdbs.0.lff.weight", "gff.0.weight"),
        (
            (r"sfe1\.(.*)", r"first.\1"),
            (r"sfe2\.(.*)", r"second.\1"),
            (r"rdbs\.(\d+)\.layers\.(\d+)\.conv\.(.*)", r"blocks.\1.layers.\2.\3"),
            (r"rdbs\.(\d+)\.lff\.(.*)", r"blocks.\1.fuse.\2"),
            (r"gff\.0\.(.*)", r"fuse.\1"),
            (r"gff\.1\.(.*)", r"tail.\1"),
        ),
        (0.0, 0.0, 0.0),
    ),
)


def load_encoder_weights(encoder: Encoder, path: str | Path) -> str:
    """Load the weights of a public file into `encoder`, and say in a few words what they are.

    The encoder then computes the published features, and subtracts the published mean from its images. Those
    of networks that read images up to 255 (or from -1 to 1) come out in the image's own unit: such networks
    are piecewise linear, and dividing their biases divides their features. Upsamplers to another scale than
    the encoder's are left out, which keeps its own.

    Raises CheckpointError, one sentence, for a file that is none of `LAYOUTS` or does not fit the encoder.
    """
    tensors, holder = read_public(path)
    layout = recognise(tensors, path)
    if not isinstance(encoder, layout.encoder):
        raise CheckpointError(
            f"{path} holds the weights of {layout.name}, which do not fit {type(encoder).__name__}."
        )
    weights = in_our_names(tensors, layout)
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


def read_public(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """(tensors by name, the key that held them or "") of a file that torch.save wrote. CheckpointError."""
    content = read_torch(path)
    if isinstance(content.get("model"), Mapping) and isinstance(content["model"].get("sd"), Mapping):
        content, holder = content["model"]["sd"], "model"  # as LIIF and ContinuousSR write it
    else:
        holder = next((key for key in CONTAINERS if isinstance(content.get(key), Mapping)), "")
        content = content[holder] if holder else content
    named = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    return named, holder


def read_torch(path: str | Path) -> dict[str, Any]:
    """The dictionary in a file of torch.save, of plain values and tensors only. Raises CheckpointError."""
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


def recognise(tensors: Mapping[str, Tensor], path: str | Path) -> Layout:
    """The layout of which a file has all marks. Raises CheckpointError."""
    for layout in LAYOUTS:  # HAT before SwinIR, whose marks it has too
        if all(mark in tensors for mark in layout.marks):
            return layout
    known = ", ".join(layout.name for layout in LAYOUTS)
    raise CheckpointError(f"{path} holds no encoder in a layout known here: {known}.")


def in_our_names(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The encoder's weights under our names, the mean among them, in the image's unit."""
    weights = {"mean": torch.tensor(layout.mean).view(3, 1, 1)}
    for name, tensor in tensors.items():
        for pattern, ours in layout.renames:
            if match := re.fullmatch(pattern, name):
                scale = layout.range if name.endswith("bias") else 1.0
                weights[match.expand(ours)] = tensor.float() / scale
                break
    return weights


def extent(weights: Mapping[str, Tensor]) -> tuple[int, int]:
    """(width, depth) of the encoder that `in_our_names` gave these weights of."""
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
    theirs, ours = extent(weights), extent(own)
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
