"""Networks and their trainings that have a name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..networks.continuoussr.settings import NetworkSettings
from ..networks.gsasr.settings import GSASRSettings
from ..networks.registry import ARCHITECTURES, Settings
from .training_settings import TrainSettings


@dataclass(frozen=True)
class Preset:
    """A network and its training."""

    network: Settings
    train: TrainSettings


# As published (released code; rates of the paper's text). 125,000 steps are its 1000 epochs of 800 images,
# were each repeated 20 times an epoch, in batches of 128; the paper does not state the repetition.
PAPER = Preset(
    NetworkSettings(
        encoder="swinir",
        width=180,
        depth=6,
        cells=2,
        features=256,
        latent=512,
        keys="plain",
        embedding=(256, 512, 512, 512),
        hidden=(512, 1024, 256, 128, 64),
        blending="cholesky",
        covariance="dictionary",
        phase="corner",
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
)

# As published; the paper has no margin, and the released code masks no windows, nor clips gradients.
GSASR_PAPER = Preset(
    GSASRSettings(
        width=64,
        depth=16,
        channels=180,
        heads=6,
        window=12,
        injection=(1, 2),
        interaction=(6, 6),
        head_hidden=(180, 720),
        cells=4,
    ),
    TrainSettings(
        batch=64,
        crop=48,
        scales=(1.0, 4.0),
        scale_of="sample",
        learning_rate=2e-4,
        betas=(0.9, 0.99),
        schedule="halving",
        milestones=(0.5, 0.8, 0.9, 0.95),
        warmup=2000,
        ema=0.999,
        clip=1e9,
        validate_every=5000,
        steps=500_000,
    ),
)

# For two CPU cores, 350,000 parameters; its widths have not been tuned yet.
DEMO = Preset(
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
)

PRESETS: dict[str, Preset] = {
    "demo": DEMO,
    # By benchmarks/choices.py: of the kernels the 64 farthest apart, which span all but a hundredth of what
    # all do, halve the time of a step; the encoder, that of EDSR-baseline, has what they save.
    "fast": Preset(
        replace(DEMO.network, width=64, depth=16, latent=16, dictionary_size=64),
        replace(DEMO.train, validate_every=500, steps=20_000),
    ),
    "paper": PAPER,
    # Its stronger variant, which the paper trains on DF2K. It does not state the weight of the frequency
    # loss; 0.05 is that of SAFMN (Sun et al. 2023).
    "paper-plus": Preset(
        replace(PAPER.network, encoder="hat"), replace(PAPER.train, batch=64, frequency_loss=0.05)
    ),
    # For two CPU cores, 500,000 parameters; a crop and its margins fill whole windows.
    "gsasr-demo": Preset(
        GSASRSettings(
            width=48,
            depth=6,
            channels=48,
            heads=3,
            window=8,
            injection=(1, 1),
            interaction=(1, 2),
            head_hidden=(48,),
            cells=2,
            interpolate=True,
            start=(0.65, 0.0, 0.65),
            near=True,
            margin=1,
        ),
        TrainSettings(
            batch=16,
            crop=22,
            scales=(1.0, 4.0),
            scale_of="sample",
            learning_rate=5e-4,
            schedule="cosine",
            warmup=50,
            ema=0.998,
            clip=1.0,
            validate_every=250,
            steps=2500,
        ),
    ),
    "gsasr-paper": GSASR_PAPER,
}


def default_preset(arch: str) -> str:
    """That of an architecture for the device here: the paper's where there is a GPU, else the demo."""
    name = "paper" if torch.cuda.is_available() else "demo"
    return name if arch == next(iter(ARCHITECTURES)) else f"{arch}-{name}"
