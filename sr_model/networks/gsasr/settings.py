"""What determines a GSASR network, and its presets."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Literal

from ...checks import check_choices

WIDEST = 1 / 1.2
"""Largest standard deviation of a Gaussian, in LR pixels (released code: a sigmoid times the scale / 1.2)."""


@dataclass(frozen=True, kw_only=True)
class GSASRSettings:
    """The shape of a GSASR network and where it starts.

    Fields with a default came later than checkpoints without them, which mean the default.
    """

    encoder: Literal["edsr", "rdn", "swinir"] = "edsr"
    """What makes features of the LR image, without upsampling."""
    width: int
    """Channels of the encoder: 64 in EDSR-baseline and RDN, 180 in SwinIR."""
    depth: int
    """Residual blocks of EDSR (EDSR-baseline 16), dense blocks of RDN (16) or groups of SwinIR (6)."""
    residual_scale: float = 1.0
    """What EDSR multiplies a block's result by: 1 in EDSR-baseline."""
    channels: int
    """C: of a Gaussian's embedding, 180 as published."""
    heads: int
    """Of all attention, 6 as published."""
    window: int
    """Side of the windows in LR pixels, 12 as published; a window has as many embeddings as LR pixels."""
    injection: tuple[int, int]
    """Condition injection blocks, and layers of each: (1, 2) as published."""
    interaction: tuple[int, int]
    """Gaussian interaction blocks, and layers of each: (6, 6) as published."""
    head_hidden: tuple[int, ...]
    """Hidden widths of the MLPs of the five heads: (C, 4C) as published."""
    cells: int
    """k: Gaussians per LR pixel along each axis, 1 to 4; 4 as published."""
    positions: Literal["reference", "free"] = "reference"
    """A Gaussian's place is its cell's centre and an offset; or, for the ablation (Figure 10), an offset
    alone puts it anywhere on the canvas."""
    compat: bool = False
    """Shift windows as the released code does, which lets them look across opposite borders of the image."""
    interpolate: bool = False
    """Start as bicubic interpolation: colours are prefiltered ones and a residual, and not kept to [0, 1]."""
    start: tuple[float, float, float] | None = None
    """The kernel of all Gaussians at the start: Cholesky factor (l11, l21, l22) in grid spacings, round where
    `interpolate`; None for what random weights give."""
    near: bool = False
    """Start with each Gaussian looking at its own pixel's features and those around, rather than at all of
    its window alike, from which a network takes thousands of steps to learn where it is."""
    margin: int = 0
    """LR pixels of Gaussians beyond each border of the canvas; further ones fill windows beyond the last."""

    def __post_init__(self) -> None:
        check_choices(self)
        counts = (*self.injection, *self.interaction, *self.head_hidden)
        for name in ("width", "depth", "channels", "heads", "window", "residual_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if len(self.injection) != 2 or len(self.interaction) != 2 or min(counts) < 1:
            raise ValueError(
                "injection and interaction must each be two positive numbers, blocks and layers, and "
                f"head_hidden positive widths; got {self.injection}, {self.interaction}, {self.head_hidden}"
            )
        if self.channels % self.heads:
            raise ValueError(f"channels must be a multiple of heads, {self.heads}, got {self.channels}")
        if self.window % 2:
            raise ValueError(f"window must be even, for windows shift by half of it; got {self.window}")
        if self.cells not in (1, 2, 3, 4):
            raise ValueError(f"cells must be 1, 2, 3 or 4, got {self.cells}")
        if self.encoder == "swinir" and self.width % 6:
            raise ValueError(f"width must be a multiple of 6 for encoder swinir, got {self.width}")
        if self.encoder != "edsr" and self.residual_scale != 1:
            raise ValueError(f"residual_scale is for encoder edsr, not for {self.encoder}")
        if self.margin < 0:
            raise ValueError(f"margin must not be negative, got {self.margin}")
        self._check_start()

    def _check_start(self) -> None:
        if self.interpolate and (self.start is None or self.positions != "reference"):
            raise ValueError("interpolate needs a start kernel and positions reference")
        if self.start is None:
            return
        l11, l21, l22 = self.start
        if not (min(l11, l22) > 0 and max(l11, hypot(l21, l22)) < WIDEST * self.cells):
            raise ValueError(
                f"start must be a kernel with standard deviations of 0 to {WIDEST * self.cells:.2f} grid "
                f"spacings, got {self.start}"
            )
        if self.interpolate and (l21 != 0 or l11 != l22):
            raise ValueError(f"start must be round where interpolate is set, got {self.start}")
