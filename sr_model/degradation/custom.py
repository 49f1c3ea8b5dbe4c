"""Effects of the user's own, by the name of a function."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
from torch import Tensor

Effect = Callable[[Tensor, np.random.Generator], Tensor]
"""Change to a reduced image, [3, h, w] float in [0, 1] to the same; all its randomness is from the
generator."""


def import_effect(place: str) -> Effect:
    """Return the function at `module:name`. Raises ValueError, in one sentence, if it cannot be imported."""
    module, _, name = place.partition(":")
    try:
        effect = getattr(import_module(module), name)
    except Exception as error:  # importing a module can raise anything
        raise ValueError(
            f"the effect {place} cannot be imported ({error}): is its folder in PYTHONPATH?"
        ) from error
    if not callable(effect):
        raise ValueError(f"the effect {place} is not a function")
    return effect
