"""Square roots are the nearest floats, on every machine."""

from __future__ import annotations

import numpy as np
import torch

from splat2d.rounding import exact_sqrt


def test_float32_roots_are_those_of_float64_rounded():
    values = torch.rand(1 << 18, generator=torch.Generator().manual_seed(0)) * 4
    right = np.sqrt(values.numpy().astype(np.float64)).astype(np.float32)
    assert np.array_equal(exact_sqrt(values).numpy(), right)
    assert not exact_sqrt(values.requires_grad_()).requires_grad
