"""Arbitrary-scale super-resolution by fields of 2D Gaussians: networks, training, evaluation, upscaling."""

from .checkpoint import Checkpoint, CheckpointError, load
from .continuoussr import ContinuousSR
from .evaluation import PROTOCOLS, evaluate
from .schedule import Budget
from .settings import PRESETS, NetworkSettings, Preset, TrainSettings
from .state import TrainingError
from .training import train
from .upscaling import upscale

__all__ = [
    "PRESETS",
    "PROTOCOLS",
    "Budget",
    "Checkpoint",
    "CheckpointError",
    "ContinuousSR",
    "NetworkSettings",
    "Preset",
    "TrainSettings",
    "TrainingError",
    "evaluate",
    "load",
    "train",
    "upscale",
]
