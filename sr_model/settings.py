"""What determines a network and its training, and the presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from .blending import Blending


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of a ContinuousSR network and where it starts."""

    width: int
    """Channels of the encoder."""
    depth: int
    """Residual blocks of the encoder."""
    cells: int
    """k: Gaussians per LR pixel along each axis; the spacing of the Gaussians is 1/k LR pixel."""
    features: int
    """Channels of a cell's features."""
    latent: int
    """Dimensions in which features meet the embedded dictionary."""
    embedding: tuple[int, ...]
    """Hidden widths of the MLP that embeds the dictionary's kernels."""
    hidden: tuple[int, ...]
    """Hidden widths of the MLPs for offsets and for colours."""
    blending: Blending
    """The space in which kernels are averaged."""
    covariance: Literal["dictionary", "fixed"]
    """Kernels blended from the dictionary, or for ablations one round kernel of `start_sigma` everywhere."""
    interpolate: bool
    """Start as bicubic interpolation: prefiltered colours, no offsets, one round kernel."""
    start_sigma: float
    """Standard deviation of that kernel, in grid spacings."""
    margin: int
    """LR pixels of Gaussians beyond each border of the canvas."""

    def __post_init__(self) -> None:
        for name in ("width", "cells", "features", "start_sigma"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.latent <= 3:
            raise ValueError(f"latent must be more than 3, got {self.latent}")


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained."""

    batch: int
    """LR crops per step."""
    crop: int
    """Side of an LR crop in pixels; its HR crop has round(crop * s)."""
    scales: tuple[float, float]
    """Each batch's scale s is drawn uniformly from this range."""
    learning_rate: float
    """Adam's, at its highest."""
    schedule: Literal["cosine", "halving"]
    """Fall to zero along half a cosine, or halve ten times at equal intervals."""
    warmup: int
    """Steps over which the learning rate rises from zero."""
    ema: float
    """Decay of the averaged weights, which are the ones validated and used; lower during the first steps."""
    clip: float
    """Largest norm of the gradient; longer ones are shortened to it."""
    validate_every: int
    """Steps between validations; checkpoints are written as often."""
    steps: int
    """Length of a training for which the user gives none."""

    def __post_init__(self) -> None:
        low, high = self.scales
        if not 1 <= low <= high:
            raise ValueError(f"scales must be 1 <= low <= high, got {self.scales}")


@dataclass(frozen=True)
class Preset:
    """A network and its training."""

    network: NetworkSettings
    train: TrainSettings


PRESETS: dict[str, Preset] = {
    # For two CPU cores, 350,000 parameters; its widths have not been tuned yet.
    "demo": Preset(
        NetworkSettings(
            width=48,
            depth=6,
            cells=2,
            features=32,
            latent=32,
            embedding=(64, 64),
            hidden=(64,),
            blending="sqrt",
            covariance="dictionary",
            interpolate=True,
            start_sigma=0.65,
            margin=1,
        ),
        TrainSettings(
            batch=16,
            crop=28,
            scales=(2.0, 4.5),
            learning_rate=1e-3,
            schedule="cosine",
            warmup=50,
            ema=0.998,
            clip=1.0,
            validate_every=250,
            steps=2500,
        ),
    ),
    # The published widths (released code) and rates (ContinuousSR's text) on an EDSR-baseline encoder.
    # 125,000 steps are its 1000 epochs of 800 images, were each repeated 20 times an epoch, in batches of
    # 128; the paper does not state the repetition.
    "paper": Preset(
        NetworkSettings(
            width=64,
            depth=16,
            cells=2,
            features=256,
            latent=512,
            embedding=(256, 512, 512, 512),
            hidden=(512, 1024, 256, 128, 64),
            blending="cholesky",
            covariance="dictionary",
            interpolate=False,
            start_sigma=0.65,
            margin=0,
        ),
        TrainSettings(
            batch=128,
            crop=32,
            scales=(4.0, 8.0),
            learning_rate=1e-4,
            schedule="halving",
            warmup=0,
            ema=0.999,
            clip=1.0,
            validate_every=1000,
            steps=125_000,
        ),
    ),
}


def default_preset() -> str:
    """`paper` where there is a GPU, else `demo`."""
    return "paper" if torch.cuda.is_available() else "demo"
