"""Square roots with the same bits on every machine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def exact_sqrt(values: Tensor) -> Tensor:
    """Return the correctly rounded square roots of floats, which get no gradient.

    On a CPU torch.sqrt takes them from MKL, which misses the nearest float in one of two hundred values, and
    by other code on other processors: the same program then has other bits on another machine.

    >>> exact_sqrt(torch.tensor([4.0, 0.25]))
    tensor([2.0000, 0.5000])
    """
    values = values.detach()
    return torch.from_numpy(np.sqrt(values.numpy())) if values.device.type == "cpu" else torch.sqrt(values)
