"""Settings that no step of which fits into memory, refused before any image is read or any weight is drawn.

These are lower bounds: what passes may still not fit, which `dry_run` measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..config.presets import Preset
from ..memory import free_memory
from ..networks.bounded import TooLarge, bounded
from .distributed import DistributedContext
from .errors import TrainingError

BYTES_PER_PARAMETER = 20
"""Of a float32 parameter, its average, its gradient and Adam's two moments."""
BYTES_PER_PIXEL = 12
"""Of a float32 pixel of three channels."""
MOST_WEIGHTS = 6_000
"""Most weights and biases of a network; HAT-L has about 2,000."""


def check_batch(preset: Preset, context: DistributedContext) -> None:
    """Raise TrainingError if the pixels of a batch alone do not fit into memory."""
    settings = preset.train
    share = settings.batch // context.world_size  # which a process makes at once, whatever `accumulate` is
    sides = (float(settings.crop), settings.crop * settings.scales[1])
    needed = BYTES_PER_PIXEL * share * sum(side * side for side in sides)
    if needed > (free := free_memory()):
        raise TrainingError(
            f"A batch does not fit into memory: its pixels take {_gigabytes(needed)}, and {_gigabytes(free)} "
            "are free: lower training.batch, training.crop or training.scales."
        )


@contextmanager
def within_memory(device: torch.device) -> Iterator[None]:
    """Let a network be built inside, as far as it can be trained in the memory that is free.

    Raises TrainingError at the first layer beyond that.
    """
    free = free_memory(device)
    try:
        with bounded(free // BYTES_PER_PARAMETER, MOST_WEIGHTS, free // 2):
            yield
    except (TooLarge, TypeError, OverflowError, MemoryError, RuntimeError) as error:  # the others are torch's
        reason = error if isinstance(error, TooLarge) else "one of its layers takes more than all memory"
        raise TrainingError(
            f"The network does not fit into memory, of which {_gigabytes(free)} are free: {reason}; lower "
            "network.width, network.depth or its other sizes."
        ) from error


def _gigabytes(nbytes: float) -> str:
    return f"{nbytes / 1e9:,.1f} GB" if nbytes < 1e15 else f"{nbytes / 1e9:.3g} GB"
