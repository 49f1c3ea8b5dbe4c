"""`ContinuousSRSettings`: the shape of a ContinuousSR network, its initialisation and its ablations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...checks import check_most, check_positive
from ..base import MOST_FACTOR, NetworkSettings
from .blending import Blending

MOST_KERNELS = 1_000_000
"""Largest dictionary to draw."""


@dataclass(frozen=True, kw_only=True)
class ContinuousSRSettings(NetworkSettings):
    """The settings of a ContinuousSR network; every ablation of the paper is one of them.

    Raises ValueError, in a sentence that names the setting, for values that do not fit together.

    >>> from sr_model import PRESETS
    >>> PRESETS["paper"].network.latent
    512
    """

    encoder: Literal["edsr", "rdn", "span", "rlfn", "safmn", "swinir", "hat"] = "edsr"
    """Network that extracts features from the LR image (`sr_model/encoders` has one file for each)."""
    features: int
    """Channels of a cell's features: 256 as published, which SwinIR and HAT provide without a projection."""
    neck: tuple[int, ...] = ()
    """Widths of 3x3 convolutions, each with a GELU, between an encoder that does not upsample and the cells.
    They cost less than as many layers of the heads, which there are for each cell."""
    trunk: tuple[int, ...] = ()
    """Widths of an MLP shared by the heads for covariance, offset and colour; empty as published."""
    latent: int
    """Dimensions of the space in which features are compared with the embedded dictionary."""
    keys: Literal["tilted", "plain"] = "tilted"
    """Embedding of the dictionary: `plain`, as published, an MLP of the kernels in pixels at x4; or `tilted`,
    the standardised kernels themselves as three latent dimensions, next to an MLP of them."""
    query_size: int = 3
    """Side of the convolution that maps features to that space: 3 as published, or 1, which costs a ninth."""
    embedding: tuple[int, ...]
    """Hidden widths of the MLP that embeds the dictionary."""
    hidden: tuple[int, ...]
    """Hidden widths of the MLPs for colours, for offsets, and for covariances if these are regressed."""
    offset_hidden: tuple[int, ...] | None = None
    """Hidden widths of the MLP for offsets, if they differ from `hidden`."""
    blending: Blending
    """Space in which kernels are averaged: Cholesky factors (released code), covariances, or their symmetric
    square roots."""
    covariance: Literal["dictionary", "learned", "direct", "bounded", "fixed"]
    """Source of a Gaussian's covariance: `dictionary` blends the dictionary's kernels; `learned` blends
    kernels that are trained too, from the dictionary on. Ablations without a dictionary: `direct` regresses
    the three Cholesky entries, unbounded as published; `bounded` regresses them within the dictionary's
    range; `fixed` uses one round kernel of `start_sigma` everywhere."""
    dictionary: Literal["mined", "released", "corners", "uniform"] = "mined"
    """Kernels to blend: those of the prior (`mined`); the ContinuousSR table, 9 x 9 x 9 + 1 kernels
    (`released`); the eight corners of the prior's bounding box (`corners`); or kernels drawn uniformly from
    `dictionary_range`, as the paper's K1 and K2 (`uniform`)."""
    dictionary_size: int | None = None
    """Number of kernels to take from the prior, if it has more, or to draw uniformly; "none" takes all of the
    prior's."""
    dictionary_range: tuple[float, ...] | None = None
    """Range of uniform kernels: lowest and highest l11, l21 and l22, six numbers in the unit of the released
    code, pixels at x4 (two to a grid spacing)."""
    positions: Literal["both", "initial", "offsets"] = "both"
    """Position of a Gaussian: its cell plus an offset, the paper's adaptive position drifting (`both`); its
    cell (`initial`); or an offset alone, which can put it anywhere on the canvas (`offsets`)."""
    drift: float = 1.0
    """Largest offset along each axis, in LR pixels."""
    activated_offsets: bool = False
    """Whether offsets are computed from the LeakyReLU of the features, as covariances are, and not from the
    features themselves, as colours are: what the released code does."""
    phase: Literal["centre", "corner"] = "centre"
    """Point of its cell at which a Gaussian starts: the centre, or the top left corner as in the released
    code."""
    contrast: float = 0.0
    """Difference between neighbouring LR pixels, of white's 1, up to which less is added to the interpolated
    colours, down to nothing where all are equal, and no tint where all are grey; where far more is added,
    next to the contrast around, than on the training images, as in patterns of pixels that no photograph has,
    interpolation remains. 0 adds everything everywhere."""
    upsampler: bool = False
    """Whether a 3x3 convolution of the encoder's features adds to the colours, too. It starts at nothing, or,
    with the encoder's public weights, as the upsampler that was published with them, if that is for k times
    the size: the network then starts with its picture, rather than as interpolation."""
    start_sigma: float
    """Standard deviation of the round start kernel, in grid spacings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "features", "start_sigma", "drift")
        check_most(self, start_sigma=MOST_FACTOR, drift=MOST_FACTOR)
        for name in ("neck", "trunk", "embedding", "hidden", "offset_hidden"):
            if any(width <= 0 for width in getattr(self, name) or ()):
                raise ValueError(f"{name} must be a list of positive widths, got {list(getattr(self, name))}")
        if self.query_size not in (1, 3):
            raise ValueError(f"query_size must be 1 or 3, got {self.query_size}")
        if not 0 <= self.contrast <= 1:
            raise ValueError(f"contrast must be from 0 to 1, got {self.contrast}")
        if self.contrast and not self.interpolate:
            raise ValueError("contrast needs interpolate, whose colours it keeps")
        if self.upsampler and not self.interpolate:
            raise ValueError("upsampler needs interpolate, to whose colours it adds")
        if self.upsampler and self.encoder in ("swinir", "hat"):
            raise ValueError(f"upsampler needs an encoder that does not upsample, not {self.encoder}")
        if self.latent < 3:
            raise ValueError(f"latent must be 3 or more, got {self.latent}")
        if self.encoder in ("swinir", "hat") and self.cells > 3:
            raise ValueError(f"cells must be 1, 2 or 3 for encoder {self.encoder}, got {self.cells}")
        self._check_dictionary()
        if self.interpolate:
            self._check_start()

    def _check_dictionary(self) -> None:
        size, limits = self.dictionary_size, self.dictionary_range
        if size is not None and size < 1:
            raise ValueError(f"dictionary_size must be positive, got {size}")
        if size is not None:
            check_most(self, dictionary_size=MOST_KERNELS)
        if size is not None and self.dictionary in ("released", "corners"):
            raise ValueError(f"dictionary_size needs dictionary mined or uniform, not {self.dictionary}")
        if (limits is not None) != (self.dictionary == "uniform"):
            raise ValueError("dictionary_range must be set if dictionary is uniform, and only then")
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
