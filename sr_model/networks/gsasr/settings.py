"""`GSASRSettings`: the shape of a GSASR network and its initialisation."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Literal

from ...checks import check_most, check_positive
from ..base import NetworkSettings

WIDEST = 1 / 1.2
"""Upper bound of a Gaussian's standard deviation, in LR pixels (released code: a sigmoid times the scale /
1.2)."""

MOST_WINDOW = 32
"""Largest side of a window: its attention takes memory with the fourth power of it, in every layer."""


@dataclass(frozen=True, kw_only=True)
class GSASRSettings(NetworkSettings):
    """The settings of a GSASR network.

    Raises ValueError, in a sentence that names the setting, for values that do not fit together.

    >>> from sr_model import PRESETS
    >>> PRESETS["gsasr-paper"].network.window
    12
    """

    encoder: Literal["edsr", "rdn", "span", "rlfn", "safmn", "swinir"] = "edsr"
    """Network that extracts features from the LR image, without upsampling."""
    channels: int
    """C: channels of a Gaussian's embedding, 180 as published."""
    heads: int
    """Heads of all attention, 6 as published."""
    window: int
    """Side of the windows in LR pixels, 12 as published; a window has as many embeddings as LR pixels."""
    injection: tuple[int, int]
    """Condition injection: number of blocks, and of layers in each, (1, 2) as published."""
    interaction: tuple[int, int]
    """Gaussian interaction: number of blocks, and of layers in each, (6, 6) as published."""
    head_hidden: tuple[int, ...]
    """Hidden widths of the MLPs of the five heads, (C, 4C) as published."""
    cells: int
    """k: Gaussians per LR pixel along each axis, 1 to 4; 4 as published."""
    positions: Literal["reference", "free"] = "reference"
    """Position of a Gaussian: the centre of its cell plus an offset (`reference`); or, for the ablation
    (Figure 10), an offset alone, which can put it anywhere on the canvas (`free`)."""
    compat: bool = False
    """Shift windows as the released code does, so that they see across to the opposite border of the image,
    and make colours as bright as in its renderer, which has no cut-off. On in converted networks."""
    interpolate: bool = False
    """Start as bicubic interpolation: the network adds a residual to prefiltered colours, which may leave [0,
    1]."""
    start: tuple[float, float, float] | None = None
    """Kernel of all Gaussians at the start: Cholesky factor (l11, l21, l22) in grid spacings, round if
    `interpolate` is set; "none" leaves the kernels that random weights give."""
    near: bool = False
    """Start with local attention: each Gaussian looks at the features of its own pixel and its neighbours.
    From random weights it looks at all of its window alike, and needs thousands of steps to learn its
    position."""
    margin: int = 0
    """LR pixels beyond each border of the canvas that get Gaussians too; more of them fill the last
    windows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "channels", "heads", "window")
        check_most(self, window=MOST_WINDOW)
        counts = (*self.injection, *self.interaction, *self.head_hidden)
        if len(self.injection) != 2 or len(self.interaction) != 2 or min(counts) < 1:
            raise ValueError(
                "injection and interaction must each be two positive numbers, blocks and layers, and "
                f"head_hidden positive widths; got {self.injection}, {self.interaction}, {self.head_hidden}"
            )
        if self.channels % self.heads:
            raise ValueError(f"channels must be a multiple of heads, {self.heads}, got {self.channels}")
        if self.window % 2:
            raise ValueError(f"window must be even, because windows shift by half of it; got {self.window}")
        if self.cells not in (1, 2, 3, 4):
            raise ValueError(f"cells must be 1, 2, 3 or 4, got {self.cells}")
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
            raise ValueError(f"start must be a round kernel if interpolate is set, got {self.start}")
