"""Arbitrary-scale super-resolution by fields of 2D Gaussians: networks, training, evaluation, upscaling."""

from .checkpoint import Checkpoint, CheckpointError, load
from .continuoussr import ContinuousSR
from .evaluation import PROTOCOLS, evaluate
from .gsasr import GSASR
from .gsasr_settings import GSASRSettings
from .presets import PRESETS, Preset
from .schedule import Budget
from .settings import NetworkSettings, TrainSettings
from .state import TrainingError
from .training import train
from .upscaling import upscale

__all__ = [
    "GSASR",
    "PRESETS",
    "PROTOCOLS",
    "Budget",
    "Checkpoint",
    "CheckpointError",
    "ContinuousSR",
    "GSASRSettings",
    "NetworkSettings",
    "Preset",
    "TrainSettings",
    "TrainingError",
    "evaluate",
    "load",
    "train",
    "upscale",
]
