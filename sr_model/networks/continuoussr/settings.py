"""What determines a ContinuousSR network, and a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...checks import check_choices
from .blending import Blending


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The shape of a ContinuousSR network and where it starts; every ablation of the paper is a field of it.

    Fields with a default came later than checkpoints without them, which mean the default.
    """

    encoder: Literal["edsr", "rdn", "swinir", "hat"] = "edsr"
    """What makes features of the LR image; `encoders` has one file for each."""
    width: int
    """Channels of the encoder: 64 in EDSR-baseline and RDN, 256 in EDSR, 180 in SwinIR and HAT."""
    depth: int
    """Residual blocks of EDSR (EDSR-baseline 16, EDSR 32), dense blocks of RDN (16), or groups of blocks of
    SwinIR (6) and HAT (6; HAT-L 12)."""
    residual_scale: float = 1.0
    """What EDSR multiplies a block's result by: 1 in EDSR-baseline, 0.1 in EDSR."""
    cells: int
    """k: Gaussians per LR pixel along each axis; the spacing of the Gaussians is 1/k LR pixel."""
    features: int
    """Channels of a cell's features: 256 as published, which SwinIR and HAT provide without a projection."""
    trunk: tuple[int, ...] = ()
    """Widths of an MLP that covariance, offset and colour share; none as published."""
    latent: int
    """Dimensions in which features meet the embedded dictionary."""
    keys: Literal["tilted", "plain"] = "tilted"
    """How the dictionary is embedded: `plain`, as published, by an MLP of the kernels in pixels at x4; or
    `tilted`, by the kernels themselves, standardised, as three latent dimensions beside an MLP of them."""
    embedding: tuple[int, ...]
    """Hidden widths of that MLP."""
    hidden: tuple[int, ...]
    """Hidden widths of the MLPs for colours, offsets, and covariances where these are regressed."""
    offset_hidden: tuple[int, ...] | None = None
    """Hidden widths of the MLP for offsets where they are others."""
    blending: Blending
    """The space in which kernels are averaged."""
    covariance: Literal["dictionary", "learned", "direct", "bounded", "fixed"]
    """Kernels blended from the dictionary, or from one that is `learned`, starting as the dictionary; or for
    ablations without one: the three Cholesky entries regressed, `direct`ly and unbounded as published or
    `bounded` to the dictionary's range; or one round kernel of `start_sigma` everywhere, `fixed`."""
    dictionary: Literal["mined", "released", "corners", "uniform"] = "mined"
    """The kernels themselves: the prior's; the released code's 9 x 9 x 9 + 1; the eight corners of the box
    around the prior's; or drawn uniformly from `dictionary_range` (the paper's K1 and K2)."""
    dictionary_size: int | None = None
    """How many kernels to draw, uniformly or from the prior; None for all of the prior's."""
    dictionary_range: tuple[float, ...] | None = None
    """Of uniform kernels: lowest and highest l11, l21 and l22, six numbers in the released code's unit,
    pixels at x4, of which there are two to a grid spacing."""
    positions: Literal["both", "initial", "offsets"] = "both"
    """Gaussians stand at their cells displaced by offsets (adaptive position drifting), at their cells, or
    where an unaided offset puts them on the canvas."""
    drift: float = 1.0
    """Largest offset along each axis, in LR pixels."""
    phase: Literal["centre", "corner"] = "centre"
    """Where in its cell a Gaussian starts: its centre, or as in the released code its top left corner."""
    interpolate: bool
    """Start as bicubic interpolation: prefiltered colours, no offsets, one round kernel."""
    start_sigma: float
    """Standard deviation of that kernel, in grid spacings."""
    margin: int
    """LR pixels of Gaussians beyond each border of the canvas."""

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("width", "depth", "cells", "features", "start_sigma", "drift", "residual_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("trunk", "embedding", "hidden", "offset_hidden"):
            if any(width <= 0 for width in getattr(self, name) or ()):
                raise ValueError(f"{name} must be a list of positive widths, got {list(getattr(self, name))}")
        if self.latent < 3:
            raise ValueError(f"latent must be 3 or more, got {self.latent}")
        if self.margin < 0:
            raise ValueError(f"margin must not be negative, got {self.margin}")
        self._check_encoder()
        self._check_dictionary()
        if self.interpolate:
            self._check_start()

    def _check_encoder(self) -> None:
        multiple = {"swinir": 6, "hat": 30}.get(self.encoder, 1)
        if self.width % multiple:
            raise ValueError(
                f"width must be a multiple of {multiple} for encoder {self.encoder}, got {self.width}"
            )
        if self.encoder in ("swinir", "hat") and self.cells > 3:
            raise ValueError(f"cells must be 1, 2 or 3 for encoder {self.encoder}, got {self.cells}")
        if self.encoder != "edsr" and self.residual_scale != 1:
            raise ValueError(f"residual_scale is for encoder edsr, not for {self.encoder}")

    def _check_dictionary(self) -> None:
        size, limits = self.dictionary_size, self.dictionary_range
        if size is not None and size < 1:
            raise ValueError(f"dictionary_size must be positive, got {size}")
        if size is not None and self.dictionary in ("released", "corners"):
            raise ValueError(f"dictionary_size is for dictionary mined or uniform, not {self.dictionary}")
        if (limits is not None) != (self.dictionary == "uniform"):
            raise ValueError("dictionary_range is needed for dictionary uniform, and only there")
        if limits is None:
            return
        if size is None:
            raise ValueError("dictionary uniform needs a dictionary_size, such as 730")
        if len(limits) != 6 or not all(low <= high for low, high in zip(*(iter(limits),) * 2, strict=True)):
            raise ValueError(
                "dictionary_range must be six numbers, lowest and highest l11, l21 and l22, "
                f"got {list(limits)}"
            )
        if min(limits[0], limits[4]) < 0 or min(limits[1], limits[5]) <= 0:
            raise ValueError(f"dictionary_range must have l11 and l22 of 0 or more, got {list(limits)}")

    def _check_start(self) -> None:
        if self.phase != "centre" or self.positions == "offsets":
            raise ValueError("interpolate needs phase centre and positions both or initial")
        if self.covariance in ("dictionary", "learned") and self.keys != "tilted":
            raise ValueError("interpolate needs keys tilted, which can blend to the start kernel")
