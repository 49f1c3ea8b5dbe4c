"""Square roots are the nearest floats, on every machine."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import torch

from splat2d.rounding import exact_sqrt

WIDTHS = """
import hashlib, torch
from dgp_mining.fitting.fast import cholesky_from_square_root
roots = torch.rand(1 << 16, 3, generator=torch.Generator().manual_seed(0)) + 0.5
print(hashlib.sha256(cholesky_from_square_root(roots).numpy().tobytes()).hexdigest())
"""


def test_float32_roots_are_those_of_float64_rounded():
    values = torch.rand(1 << 18, generator=torch.Generator().manual_seed(0)) * 4
    right = np.sqrt(values.numpy().astype(np.float64)).astype(np.float32)
    assert np.array_equal(exact_sqrt(values).numpy(), right)
    assert not exact_sqrt(values.requires_grad_()).requires_grad


def test_the_widths_of_fitted_gaussians_do_not_depend_on_the_code_that_mkl_chooses():
    digests = {
        choice: subprocess.run(
            [sys.executable, "-c", WIDTHS],
            env={**os.environ, "MKL_CBWR": choice},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for choice in ("AUTO", "COMPATIBLE")
    }
    assert digests["AUTO"]
    assert digests["AUTO"] == digests["COMPATIBLE"]
