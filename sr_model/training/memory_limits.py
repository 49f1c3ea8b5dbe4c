"""Settings that no step of which fits into memory, refused before any image is read or any weight is drawn.

These are lower bounds: what passes may still not fit, which `dry_run` measures.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgp_mining.machine import amount

from ..config.presets import Preset
from ..initialisation import undrawn
from ..memory import free_memory
from ..networks.base import Network, NetworkSettings
from ..networks.bounded import TooLarge, bounded, is_of_size
from ..networks.registry import build_network
from .distributed import DistributedContext
from .errors import TrainingError

BYTES_PER_PARAMETER = 20
"""Of a float32 parameter, its average, its gradient and Adam's two moments."""
BYTES_PER_PIXEL = 12
"""Of a float32 pixel of three channels."""
MOST_WEIGHTS = 6_000
"""Most arrays of weights and biases of a network; HAT-L has about 2,000."""


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


def build_within_memory(network: NetworkSettings, kernels: Tensor | None, device: torch.device) -> Network:
    """Return the network with fresh weights, as `build_network` does.

    Its layers are made once without weights before: those that fit would take seconds and gigabytes to draw
    before the first one that does not.

    Raises TrainingError at the first layer that cannot be trained in the memory that is free.
    """
    free = free_memory(device)
    limits = (free // BYTES_PER_PARAMETER, MOST_WEIGHTS, free // 2)
    try:
        with undrawn(), bounded(*limits):
            build_network(network, kernels)
        with bounded(*limits):
            return build_network(network, kernels)
    except TooLarge as error:
        raise _does_not_fit(free, str(error)) from error
    except (TypeError, OverflowError, MemoryError, RuntimeError) as error:
        if not is_of_size(error):
            raise
        raise _does_not_fit(free, "one of its layers takes more than all memory") from error


def _does_not_fit(free: int, reason: str) -> TrainingError:
    return TrainingError(
        f"The network does not fit into memory, of which {_gigabytes(free)} are free: {reason}; lower "
        "network.width, network.depth or its other sizes."
    )


def _gigabytes(nbytes: float) -> str:
    return amount(nbytes) if nbytes < 1e15 else f"{nbytes / 1e9:.3g} GB"
