"""Effects of the user's own, by the name of a function."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
from torch import Tensor

Effect = Callable[[Tensor, np.random.Generator], Tensor]
"""Change to a reduced image, [3, h, w] float in [0, 1] to the same; all its randomness is from the
generator."""


class EffectError(ValueError):
    """An effect that fails, or returns something other than an image of the same size."""


def import_effect(place: str) -> Effect:
    """Return the function at `module:name`, with its results checked.

    Raises ValueError, in one sentence, if it cannot be imported. The effect that is returned raises
    EffectError if the function fails or does not return finite numbers of the shape it was given.
    """
    module, _, name = place.partition(":")
    try:
        effect = getattr(import_module(module), name)
    except Exception as error:  # importing a module can raise anything
        raise ValueError(
            f"the effect {place} cannot be imported ({error}): is its folder in PYTHONPATH?"
        ) from error
    if not callable(effect):
        raise ValueError(f"the effect {place} is not a function")

    def checked(image: Tensor, random: np.random.Generator) -> Tensor:
        try:
            result = effect(image, random)
        except Exception as error:  # the user's function can raise anything
            raise EffectError(f"the effect {place} failed ({type(error).__name__}: {error})") from error
        if not isinstance(result, Tensor) or result.shape != image.shape:
            found = list(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise EffectError(f"the effect {place} must return a tensor {list(image.shape)}, got {found}")
        if not result.isfinite().all():
            raise EffectError(f"the effect {place} returned values that are not finite")
        return result

    return checked
