"""Layouts of public encoders' weights: each project's names of the layers, and ours.

To add one: a `Layout` in `LAYOUTS`, and a file of its names in `tests/sr_model/public_layouts.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..encoders import EDSR, HAT, RDN, Encoder, SwinIR

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K, which most of these networks subtract from an image."""


@dataclass(frozen=True)
class Layout:
    """A repository's names of an encoder's weights, and the units in which that encoder reads images."""

    name: str
    """The network and the repository."""
    encoder: type[Encoder]
    """Our encoder of the same structure."""
    marks: tuple[str, ...]
    """Names of tensors that identify the layout: a file has the first of LAYOUTS whose marks it has all."""
    renames: tuple[tuple[str, str], ...]
    """Regular expressions that match a whole name, each with our name for it."""
    mean: tuple[float, float, float]
    """Subtracted from an image."""
    range: float = 1.0
    """Difference between white and black in the layout's images."""


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
