"""The baseline (baseline.cpp): a plain C++ implementation, compiled when first used."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import sys
import tempfile
from ctypes import c_float, c_int, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from dgp_mining.fitting.recipes import FastRecipe

FLAGS = ("-O3", "-march=native", "-ffast-math")
SOURCE = Path(__file__).with_name("baseline.cpp")
CUTOFF = 3.33


@dataclass(frozen=True)
class Gaussians:
    """An RGB field in the baseline's layout, float32."""

    means: np.ndarray
    """[N, 2] (x, y), pixels."""
    cholesky: np.ndarray
    """[N, 3] (l11, l21, l22), pixels."""
    colors: np.ndarray
    """[N, 3]."""

    def copy(self) -> Gaussians:
        return Gaussians(self.means.copy(), self.cholesky.copy(), self.colors.copy())

    def _arguments(self) -> list:
        arrays = [np.ascontiguousarray(a, np.float32) for a in (self.means, self.cholesky, self.colors)]
        assert all(a is b for a, b in zip(arrays, (self.means, self.cholesky, self.colors), strict=True))
        return [len(self.means), *(a.ctypes.data for a in arrays)]


def described() -> str:
    """Return the compiler's version and flags."""
    version = subprocess.run([_compiler(), "--version"], check=True, capture_output=True, text=True).stdout
    return f"{version.splitlines()[0]}, {' '.join(FLAGS)}"


def forward(gaussians: Gaussians, size: tuple[int, int]) -> np.ndarray:  # [H, W, 3]
    out = np.empty((*size, 3), np.float32)
    _library().baseline_forward(*gaussians._arguments(), *size, CUTOFF, out.ctypes.data)
    return out


def backward(gaussians: Gaussians, grad: np.ndarray) -> Gaussians:
    """Gradients with respect to means, Cholesky factors and colours, given the image's, `grad` [H, W, 3]."""
    gradient = gaussians.copy()
    outputs = (grad, gradient.means, gradient.cholesky, gradient.colors)
    _library().baseline_backward(
        *gaussians._arguments(), *grad.shape[:2], CUTOFF, *(a.ctypes.data for a in outputs)
    )
    return gradient


def fit(target: np.ndarray, start: Gaussians, iterations: int) -> Gaussians:
    """Fit the image `target` [H, W, 3] with Adam from `start`, which is not modified.

    The rates rise over a tenth of the iterations, to 0.1 px for means, 0.05 px for factors and 0.05 for
    colours, and fall along half a cosine.
    """
    fitted, target = start.copy(), np.ascontiguousarray(target, np.float32)
    t = (np.arange(iterations) + 0.5) / iterations
    cycle = np.where(t < 0.1, 10 * t, 0.5 + 0.5 * np.cos(math.pi * (t - 0.1) / 0.9))
    rates = np.outer(cycle, [0.1, 0.05, 0.05]).astype(np.float32)
    _library().baseline_fit(
        *fitted._arguments(),
        *target.shape[:2],
        CUTOFF,
        *(target.ctypes.data, rates.ctypes.data, iterations, 0.4),
    )
    return fitted


def grid_start(target: np.ndarray, spacing: int = 2, sigma: float = FastRecipe.start_sigma) -> Gaussians:
    """Isotropic Gaussians on a grid over `target` [H, W, 3], coloured by the mean of their cells.

    `sigma` is in grid spacings, by default that of the recipe `fast`; `spacing` must divide the sides.
    """
    height, width, _ = target.shape
    rows, columns = height // spacing, width // spacing
    y, x = np.mgrid[:rows, :columns] * float(spacing) + spacing / 2
    cells = target.reshape(rows, spacing, columns, spacing, 3).mean((1, 3))
    cholesky = np.tile([sigma * spacing, 0, sigma * spacing], (rows * columns, 1))
    fields = (np.stack([x, y], -1).reshape(-1, 2), cholesky, cells.reshape(-1, 3) / (2 * math.pi * sigma**2))
    return Gaussians(*(np.ascontiguousarray(f, np.float32) for f in fields))


def _compiler() -> str:
    found = shutil.which("g++") or shutil.which("c++")
    if found is None:
        sys.exit("the baseline needs a C++ compiler: install g++")
    return found


@cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baseline.so"
        command = [_compiler(), *FLAGS, "-std=c++17", "-shared", "-fPIC", str(SOURCE), "-o", str(path)]
        subprocess.run(command, check=True)
        library = ctypes.CDLL(str(path))
    field, image = [c_int, c_void_p, c_void_p, c_void_p], [c_int, c_int, c_float]
    library.baseline_forward.argtypes = [*field, *image, c_void_p]
    library.baseline_backward.argtypes = [*field, *image, *[c_void_p] * 4]
    library.baseline_fit.argtypes = [*field, *image, c_void_p, c_void_p, c_int, c_float]
    for name in ("baseline_forward", "baseline_backward", "baseline_fit"):
        getattr(library, name).restype = None
    return library
