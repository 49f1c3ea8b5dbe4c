"""Layouts of public weights: each project's names of the layers, for encoders with ours.

To add an encoder: a `Layout` in `LAYOUTS`, and a file of its names in `tests/sr_model/public_layouts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ..encoders import EDSR, HAT, RDN, RLFN, SAFMN, SPAN, SwinIR
from .layout import Layout, Signature
from .ncnn_file import MEAN, RANGE
from .parallel_branches import fuse_branches

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K, which most of these networks subtract from an image."""


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


_EDSR_BASICSR = (
    (r"conv_first\.(.*)", r"head.\1"),
    (r"body\.(\d+)\.conv1\.(.*)", r"blocks.\1.first.\2"),
    (r"body\.(\d+)\.conv2\.(.*)", r"blocks.\1.second.\2"),
    (r"conv_after_body\.(.*)", r"tail.\1"),
)


_EDSR = (
    (r"head\.0\.(.*)", r"head.\1"),
    (r"body\.(\d+)\.body\.0\.(.*)", r"blocks.\1.first.\2"),
    (r"body\.(\d+)\.body\.2\.(.*)", r"blocks.\1.second.\2"),
    (r"body\.\d+\.(weight|bias)", r"tail.\1"),
)


_CONVOLUTIONS = {"c1_r": "first", "c2_r": "second", "c3_r": "third"}
"""The convolutions of a block of SPAN and RLFN."""


def _in_blocks(names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Renames of layers in SPAN's and RLFN's six blocks, which they count from 1 and we from 0."""
    return [
        (rf"block_{block + 1}\.{theirs}\.(.*)", rf"blocks.{block}.{ours}.\1")
        for block in range(6)
        for theirs, ours in names.items()
    ]


_SPAN = (
    (r"conv_1\.eval_conv\.(.*)", r"first.\1"),
    *_in_blocks({rf"{theirs}\.eval_conv": ours for theirs, ours in _CONVOLUTIONS.items()}),
    (r"conv_2\.eval_conv\.(.*)", r"tail.\1"),
    (r"conv_cat\.(.*)", r"fuse.\1"),
)


_RLFN = (
    (r"conv_1\.(.*)", r"first.\1"),
    *_in_blocks(
        _CONVOLUTIONS
        | {
            "c5": "fuse",
            r"esa\.conv1": "attention.narrow",
            r"esa\.conv_f": "attention.skip",
            r"esa\.conv2": "attention.shrink",
            r"esa\.conv3": "attention.coarse",
            r"esa\.conv4": "attention.widen",
        }
    ),
    (r"conv_2\.(.*)", r"tail.\1"),
)


_SAFMN = (
    (r"to_feat\.(.*)", r"first.\1"),
    (r"feats\.(\d+)\.norm1\.(.*)", r"blocks.\1.norm_modulation.\2"),
    (r"feats\.(\d+)\.safm\.mfr\.(\d+)\.(.*)", r"blocks.\1.modulation.levels.\2.\3"),
    (r"feats\.(\d+)\.safm\.aggr\.(.*)", r"blocks.\1.modulation.fuse.\2"),
    (r"feats\.(\d+)\.norm2\.(.*)", r"blocks.\1.norm_mixing.\2"),
    (r"feats\.(\d+)\.ccm\.ccm\.0\.(.*)", r"blocks.\1.widen.\2"),
    (r"feats\.(\d+)\.ccm\.ccm\.2\.(.*)", r"blocks.\1.narrow.\2"),
)


_UNNORMALISED = "no_norm"
"""A tensor in files of SPAN whose images lost no mean and were not multiplied by 255, as others train it."""


def _of_span(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    fused = fuse_branches(tensors)
    if _UNNORMALISED in fused:
        fused |= {MEAN: torch.zeros(3), RANGE: torch.ones(())}
    return fused


def _within(prefix: str, renames: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((re.escape(prefix) + pattern, ours) for pattern, ours in renames)


_BUFFERS = (r"conv_last\..*", r".*attn_mask", r".*relative_position_index.*")
"""Tensors of SwinIR and HAT that belong to no layer of the encoder."""


_BEHIND_LIIF = (r"imnet\..*",)
"""The layers behind LIIF's encoders, which its files also hold; its encoders read images from -1 to 1."""


EDSR_PYTORCH = Layout(
    "EDSR (EDSR-PyTorch)",
    ("head.0.weight", "body.0.body.0.weight"),
    (r"(?:tail|sub_mean|add_mean)\..*",),
    encoder=EDSR,
    renames=_EDSR,
    mean=DIV2K_MEAN,
    range=255.0,
)


LAYOUTS = (
    Layout(
        "HAT (XPixelGroup/HAT)",
        (
            "conv_first.weight",
            "layers.0.residual_group.overlap_attn.qkv.weight",
            "conv_before_upsample.0.weight",
        ),
        _BUFFERS,
        encoder=HAT,
        renames=_TRANSFORMER + _HYBRID,
        mean=DIV2K_MEAN,
    ),
    Layout(
        "SwinIR (JingyunLiang/SwinIR)",
        ("conv_first.weight", "layers.0.residual_group.blocks.0.attn.qkv.weight", "layers.0.conv.weight"),
        _BUFFERS,
        ("layers.0.residual_group.overlap_attn.qkv.weight",),
        encoder=SwinIR,
        renames=_TRANSFORMER,
        mean=DIV2K_MEAN,
    ),
    Layout(
        "EDSR (GSASR)",
        ("conv_first.weight", "body.0.conv1.weight", "conv_after_body.weight"),
        lacks=("conv_last.weight",),
        encoder=EDSR,
        renames=_EDSR_BASICSR,
        mean=(0.0, 0.0, 0.0),
        long_skip=False,
    ),
    Layout(
        "EDSR (BasicSR)",
        ("conv_first.weight", "body.0.conv1.weight", "conv_after_body.weight"),
        (r"(?:upsample|conv_last)\..*",),
        encoder=EDSR,
        renames=_EDSR_BASICSR,
        mean=DIV2K_MEAN,
        range=255.0,
    ),
    EDSR_PYTORCH,
    Layout(
        "SPAN (hongyuanyu/SPAN)",
        ("conv_1.sk.weight", "block_1.c1_r.sk.weight", "block_1.c1_r.conv.1.weight", "conv_cat.weight"),
        (r"upsampler\..*", r".*\.(?:sk|conv\.\d)\.(?:weight|bias)", _UNNORMALISED),
        prepare=_of_span,
        encoder=SPAN,
        renames=_SPAN,
        mean=DIV2K_MEAN,
        range=255.0,
        first="first",
        behind=".*",
        upsampler="upsampler.0",
    ),
    Layout(
        "SPAN (hongyuanyu/SPAN, fused)",
        ("conv_1.eval_conv.weight", "block_1.c1_r.eval_conv.weight", "conv_cat.weight"),
        (r"upsampler\..*", _UNNORMALISED),
        ("conv_1.sk.weight",),
        prepare=_of_span,
        encoder=SPAN,
        renames=_SPAN,
        mean=DIV2K_MEAN,
        range=255.0,
        first="first",
        behind=".*",
        upsampler="upsampler.0",
    ),
    Layout(
        "RLFN (bytedance/RLFN)",
        ("conv_1.weight", "block_1.c1_r.weight", "block_1.esa.conv1.weight", "conv_2.weight"),
        (r"upsampler\..*",),
        encoder=RLFN,
        renames=_RLFN,
        mean=(0.0, 0.0, 0.0),
        range=255.0,
        upsampler="upsampler.0",
        first=r"blocks\.\d+\.attention\.narrow",
        behind=r"blocks\.\d+\.attention\..*",
    ),
    Layout(
        "SAFMN (sunny2109/SAFMN)",
        ("to_feat.weight", "feats.0.safm.aggr.weight", "feats.0.ccm.ccm.0.weight"),
        (r"to_img\..*",),
        encoder=SAFMN,
        renames=_SAFMN,
        mean=(0.0, 0.0, 0.0),
        upsampler="to_img.0",
    ),
    Layout(
        "EDSR (LIIF)",
        ("encoder.head.0.weight", "encoder.body.0.body.0.weight"),
        (*_BEHIND_LIIF, r"encoder\.(?:sub|add)_mean\..*"),  # not called
        encoder=EDSR,
        renames=_within("encoder.", _EDSR),
        mean=(0.5, 0.5, 0.5),
        range=2.0,
    ),
    Layout(
        "RDN (LIIF)",
        ("encoder.SFENet1.weight", "encoder.RDBs.0.LFF.weight"),
        _BEHIND_LIIF,
        encoder=RDN,
        renames=_within("encoder.", _RDN),
        mean=(0.5, 0.5, 0.5),
        range=2.0,
    ),
    Layout(
        "RDN (GSASR)",
        ("SFENet1.weight", "RDBs.0.LFF.weight"),
        encoder=RDN,
        renames=_RDN,
        mean=(0.0, 0.0, 0.0),
    ),
    Layout(
        "RDN (yjn870/RDN-pytorch)",
        ("sfe1.weight", "rdbs.0.lff.weight", "gff.0.weight"),
        (r"(?:upscale|output)\..*",),
        encoder=RDN,
        renames=(
            (r"sfe1\.(.*)", r"first.\1"),
            (r"sfe2\.(.*)", r"second.\1"),
            (r"rdbs\.(\d+)\.layers\.(\d+)\.conv\.(.*)", r"blocks.\1.layers.\2.\3"),
            (r"rdbs\.(\d+)\.lff\.(.*)", r"blocks.\1.fuse.\2"),
            (r"gff\.0\.(.*)", r"fuse.\1"),
            (r"gff\.1\.(.*)", r"tail.\1"),
        ),
        mean=(0.0, 0.0, 0.0),
    ),
)
"""The encoders."""


CONTINUOUSSR = Signature(
    "ContinuousSR",
    (
        "encoder.conv_first.weight",
        "conv1.weight",
        "mlp_vector.layers.0.weight",
        "mlp.layers.0.weight",
        "mlp_offset.layers.0.weight",
    ),
    (r"encoder\..*", r"(?:conv1|mlp_vector|mlp|mlp_offset)\..*"),
)
_OF_GSASR = r"(?:window_crossattn|gs_selfattn)_blocks\.\d+\.blocks\.\d+\."


GSASR_DECODER = Signature(
    "the decoder of GSASR",
    ("gs_embedding", "img_feat_proj.0.weight", "scale_mlp.0.weight", "UPNet.0.weight"),
    (
        r"pos_embedding",
        r"(?:mlp_block_\w+|img_feat_proj|scale_mlp|UPNet)\..*",
        r"(?:window_crossattn|gs_selfattn)_blocks\.\d+\.(?:norm|mlp)\..*",
        rf"{_OF_GSASR}(?:norm\d|mlp_\w+\.fc\d|gs_cross_attn_scale\.out_proj)\.\w+",
        rf"{_OF_GSASR}gs_cross_attn_scale\.in_proj_\w+",
        rf"{_OF_GSASR}\w+_attn\.(?:relative_position_\w+|(?:[qkv]head|proj)\.\w+)",
    ),
)
RELEASED = (CONTINUOUSSR, GSASR_DECODER)
"""Released networks, which sr-convert takes."""
