"""Degradation from HR to LR images: blur, reduction, rain, noise, JPEG and effects of your own."""

from .blur import Blur
from .custom import Effect, EffectError, import_effect
from .jpeg import Jpeg
from .noise import Noise
from .pipeline import Degradation, Stage
from .resize import Bicubic, Resize, bicubic
from .weather import Rain, streak_of

__all__ = [
    "Bicubic",
    "Blur",
    "Degradation",
    "Effect",
    "EffectError",
    "Jpeg",
    "Noise",
    "Rain",
    "Resize",
    "Stage",
    "bicubic",
    "import_effect",
    "streak_of",
]
