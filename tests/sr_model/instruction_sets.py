"""Running a program as a processor without AVX would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

NO_AVX = {
    "ATEN_CPU_CAPABILITY": "default",  # torch
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",  # torch's BLAS and LAPACK
    "OPENBLAS_CORETYPE": "Nehalem",  # numpy's
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512_SKX",  # numpy, by new and old names
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F",  # exp, log and the like
}
"""Environment in which libraries compute as on a processor without AVX."""


def printed(program: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What a Python program prints in this environment: names and values, one pair in a line."""
    environment = {**os.environ, **environment}
    run = subprocess.run(
        [sys.executable, program], env=environment, check=True, capture_output=True, text=True
    )
    return dict(line.split() for line in run.stdout.splitlines())
