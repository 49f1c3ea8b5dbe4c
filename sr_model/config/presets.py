"""Presets: networks and trainings that have a name.

A preset lists what differs from the defaults of the settings classes (SETTINGS.md has all values).

>>> from sr_model import PRESETS
>>> list(PRESETS)
['demo', 'light', 'span', 'paper', 'paper-plus', 'gsasr-demo', 'gsasr-paper']
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, replace

import torch

from ..networks.base import NetworkSettings
from ..networks.continuoussr.settings import ContinuousSRSettings
from ..networks.gsasr.settings import GSASRSettings
from ..networks.registry import DEFAULT_ARCHITECTURE, architecture_name
from .training_settings import TrainSettings

FINE_TUNING = 0.1
"""Learning rate of a training that starts from trained weights, relative to that of one from random ones."""


@dataclass(frozen=True)
class Preset:
    """A network and its training.

    >>> preset = Preset(PRESETS["light"].network, replace(PRESETS["light"].train, batch=8))
    >>> preset.train.batch
    8
    """

    network: NetworkSettings
    """The network's architecture and shape."""
    train: TrainSettings
    """How to train it."""

    def for_fine_tuning(self) -> Preset:
        """Return a preset for a training that starts from a checkpoint: a tenth of the learning rate.

        At the whole rate the first steps undo more than they teach, if the new images resemble the old ones.

        >>> PRESETS["light"].for_fine_tuning().train.learning_rate
        0.0001
        """
        rate = FINE_TUNING * self.train.learning_rate
        return replace(self, train=replace(self.train, learning_rate=rate))


# As published (released code; learning rates from the paper's text). 125,000 steps are its 1000 epochs of 800
# images in batches of 128, if each image counts 20 times in an epoch; the paper does not state this number.
PAPER_NETWORK = ContinuousSRSettings(
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
    activated_offsets=True,
    phase="corner",
    interpolate=False,
    start_sigma=0.65,
    margin=0,
)
PAPER = Preset(
    PAPER_NETWORK,
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

# As published: the paper has no margin, and the released code neither clips gradients nor adds EDSR's long
# skip. It does not mask shifted windows either; this network does unless `compat` is set, so that images can
# be tiled.
GSASR_PAPER = Preset(
    GSASRSettings(
        width=64,
        depth=16,
        long_skip=False,
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

# Measured by workflows/benchmarks/preset_choices.py: the 64 kernels that lie farthest apart span all but a
# hundredth of the hull of all kernels and halve the time of a step; this pays for the encoder of
# EDSR-baseline.
LIGHT_NETWORK = ContinuousSRSettings(
    width=64,
    depth=16,
    cells=2,
    features=32,
    latent=16,
    embedding=(64, 64),
    hidden=(64,),
    blending="sqrt",
    covariance="dictionary",
    dictionary_size=64,
    interpolate=True,
    start_sigma=0.65,
    margin=1,
)
LIGHT = Preset(
    LIGHT_NETWORK,
    TrainSettings(
        batch=16,
        crop=28,
        scales=(2.0, 4.5),
        learning_rate=1e-3,
        schedule="cosine",
        warmup=50,
        ema=0.998,
        clip=1.0,
        validate_every=500,
        steps=20_000,
    ),
)

# SPAN has a third of the weights of EDSR-baseline. Its upsampler makes sixteen colours of an LR pixel: nearly
# those of sixteen narrow Gaussians. The hidden layer is at LR resolution, as heads cost more. Divided by its
# weights, a field needs no margin, and SPAN saw zeros beyond the borders of its images: repeated pixels there
# cost it quality (findings/sr-networks-want-black-outside.sh).
SPAN_NETWORK = replace(
    LIGHT_NETWORK,
    encoder="span",
    width=48,
    depth=6,
    cells=4,
    features=16,
    neck=(96,),
    hidden=(),
    latent=8,
    query_size=1,
    footprint=True,
    normalised=True,
    contrast=2 / 255,
    margin=0,
    upsampler=True,
    start_sigma=0.5,
)
SPAN = Preset(SPAN_NETWORK, replace(LIGHT.train, crop=24, scales=(1.0, 4.5)))

PRESETS: dict[str, Preset] = {
    # For a first result after two minutes: wider networks were no better by then, nor was SPAN's encoder.
    "demo": Preset(
        replace(
            SPAN_NETWORK,
            encoder="edsr",
            width=32,
            depth=8,
            cells=3,
            neck=(48,),
            upsampler=False,
            start_sigma=0.65,
        ),
        replace(LIGHT.train, crop=24, learning_rate=2e-3, validate_every=250, steps=2500),
    ),
    "light": LIGHT,
    "span": SPAN,
    "paper": PAPER,
    # The paper's stronger variant, trained on DF2K. The paper does not state the weight of the frequency
    # loss; 0.05 is the weight in SAFMN (Sun et al. 2023).
    "paper-plus": Preset(
        replace(PAPER_NETWORK, encoder="hat"), replace(PAPER.train, batch=64, frequency_loss=0.05)
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
"""The presets by name, as `sr-train --preset` knows them."""

RENAMED = {"fast": "light"}
"""Names that presets had in the last release, with the names that they have now."""


def find_preset(name: str) -> Preset:
    """Return the preset of a name; a name of the last release works, with a FutureWarning.

    Raises ValueError for a name that no preset has.

    >>> find_preset("demo").train.batch
    16
    """
    if name in RENAMED:
        warnings.warn(renamed_message(name), FutureWarning, stacklevel=2)
        name = RENAMED[name]
    if name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}: name one of {', '.join(PRESETS)} with preset=.")
    return PRESETS[name]


def renamed_message(name: str) -> str:
    """Return the line to print when a preset is called by its name of the last release."""
    return f"The preset {name} is called {RENAMED[name]} now; the old name works until the next release."


def default_preset(arch: str = DEFAULT_ARCHITECTURE) -> str:
    """Return the name of an architecture's default preset: the paper's if there is a GPU, else the demo."""
    kind = "paper" if torch.cuda.is_available() else "demo"
    return next(
        name
        for name, preset in PRESETS.items()
        if architecture_name(preset.network) == arch and name.split("-")[-1] == kind
    )


def nearest_preset(network: NetworkSettings) -> str:
    """Return the name of the preset with the most settings of its network in common with `network`.

    >>> nearest_preset(replace(PRESETS["light"].network, depth=17))
    'light'
    """

    def common(name: str) -> int:
        other = PRESETS[name].network
        return type(other) is type(network) and sum(
            getattr(network, field.name) == getattr(other, field.name) for field in fields(network)
        )

    return max(PRESETS, key=common)
