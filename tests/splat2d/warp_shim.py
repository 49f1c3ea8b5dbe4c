"""Run the CUDA kernels on the CPU, through warp_shim.cpp compiled by the system's C++ compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from ctypes import c_char_p, c_int, c_uint, c_uint64
from functools import cache
from pathlib import Path

import numpy as np

import splat2d
from splat2d.backends import cuda_launch

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")


@cache
def library(channels: int, folder: Path) -> ctypes.CDLL:
    """The kernels for `channels` channels, compiled into `folder` at first use."""
    path = folder / f"warp_shim_{channels}.so"
    sources = Path(splat2d.__file__).parent / "src" / "cuda"
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", f"-DSPLAT2D_CHANNELS={channels}"]
    subprocess.run(
        [COMPILER, *flags, f"-I{sources}", str(HERE / "warp_shim.cpp"), "-o", str(path)], check=True
    )
    shim = ctypes.CDLL(str(path))
    shim.launch.argtypes = [c_char_p, c_uint, ctypes.POINTER(c_uint64), c_int]
    return shim


def host_launcher(folder: Path):
    """Return a replacement of `cuda_launch.launcher` that launches on tensors in the CPU's memory."""

    def launcher(device, channels: int) -> cuda_launch.Launch:
        assert device.type == "cpu"
        shim = library(channels, folder)

        def launch(name: str, warps: int, *values: cuda_launch.Argument) -> None:
            words = [word(value) for value in cuda_launch.arguments(values)]
            assert shim.launch(name.encode(), warps, (c_uint64 * len(words))(*words), len(words)) == 0, name

        return launch

    return launcher


def word(value: int | np.float32) -> int:
    """The bytes of an argument as the driver reads them."""
    return int(value.view(np.uint32)) if isinstance(value, np.float32) else value
