"""The CUDA kernels (src/cuda/kernels.cu): compiled on first use, cached on disk, launched on torch's stream.

NVIDIA's `cuda-core` (the extra `gpu`) compiles them with NVRTC to machine code for the installed GPU: users
need no build step and no CUDA toolkit. Importing this module does not call CUDA.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..atomic_write import atomic_write
from ..private_cache import KERNELS, NotPrivate, open_own, private_folder

SOURCES = (
    "cuda/kernels.cu",
    "cuda/gaussianimage.cuh",
    "cuda/warp.h",
    "shared/gaussian.h",
    "shared/fast_step.h",
    "shared/gaussianimage_step.h",
)
WARP = 32
WARPS_PER_BLOCK = 8
DIGEST = 32
"""Bytes at the beginning of a cached file: the SHA-256 of its key and its code."""

Argument = Tensor | int | float | None
Launch = Callable[..., None]
"""(kernel name, number of warps, *arguments): run one kernel."""


def arguments(values: tuple[Argument, ...]) -> list[int | np.float32]:
    """Convert arguments for a kernel: pointers and integers to 64 bits, floats to float32, None to null.

    A kernel that declares a 32-bit integer reads the lower half.
    """
    return [_argument(value) for value in values]


def _argument(value: Argument) -> int | np.float32:
    if isinstance(value, Tensor):
        return value.data_ptr()
    return np.float32(value) if isinstance(value, float) else int(value or 0)


def launcher(device: torch.device, channels: int) -> Launch:
    """Return the function that launches kernels for `channels` channels on a device's current stream.

    Raises RuntimeError if cuda-core is not installed.
    """
    core = _cuda_core()
    index: int = torch.cuda.current_device() if device.index is None else device.index
    core.Device(index).set_current()  # torch's own context; a fresh thread may not have entered it yet
    stream = core.Stream.from_handle(torch.cuda.current_stream(index).cuda_stream)

    def launch(name: str, warps: int, *values: Argument) -> None:
        if warps:
            blocks = -(-warps // WARPS_PER_BLOCK)
            config = core.LaunchConfig(grid=blocks, block=WARPS_PER_BLOCK * WARP)
            core.launch(stream, config, _kernel(name, index, channels), *arguments(values))

    return launch


def _cuda_core() -> Any:  # cuda-core, which has no types
    try:
        import cuda.core as core
    except ImportError:
        raise RuntimeError(
            "rendering on a GPU needs NVIDIA's cuda-core: pip install 'dgp-mining[gpu]'"
        ) from None
    return core


@cache
def _kernel(name: str, device: int, channels: int) -> Any:
    return _library(device, channels).get_kernel(f"splat2d_{name}")


@cache
def _library(device: int, channels: int) -> Any:
    major, minor = torch.cuda.get_device_capability(device)
    return _cuda_core().ObjectCode.from_cubin(cubin(f"sm_{major}{minor}", channels))


def cubin(architecture: str, channels: int) -> bytes:
    """Return the machine code for an architecture ("sm_90"), compiling and caching it if necessary.

    The cache is `$XDG_CACHE_HOME/splat2d`, by default `~/.cache/splat2d`, a folder of the user alone. If it
    cannot be read or written, each process compiles the kernels again; so it does, with a warning, if the
    folder may be another user's. Raises as `compile_kernels` does.
    """
    key = _key(architecture, channels)
    try:
        path = private_folder(KERNELS) / f"{key}.cubin"
    except NotPrivate as error:
        warnings.warn(
            f"CUDA kernels are compiled anew in each process, since {error.filename} is not used: "
            f"{error.strerror}",
            stacklevel=2,
        )
        return compile_kernels(architecture, channels)
    except OSError:
        return compile_kernels(architecture, channels)
    if (code := _stored(path, key)) is None:
        code = compile_kernels(architecture, channels)
        _store(path, key, code)
    return code


def compile_kernels(architecture: str, channels: int) -> bytes:
    """Compile src/cuda/kernels.cu with NVRTC; needs no GPU and no driver.

    Division and square root are rounded correctly, and only operations that the source fuses are fused, so
    the results are bit-identical to the cpu backend's. Raises RuntimeError if cuda-core is not installed, or
    its NVRTC does not know the architecture.
    """
    core = _cuda_core()
    _check_architecture(architecture)
    options = core.ProgramOptions(
        arch=architecture,
        std="c++17",
        fma=False,
        ftz=False,
        prec_div=True,
        prec_sqrt=True,
        include_path=str(_source_folder() / "cuda"),
        define_macro=("SPLAT2D_CHANNELS", str(channels)),
    )
    text = (_source_folder() / "cuda" / "kernels.cu").read_text()
    return bytes(core.Program(text, "c++", options).compile("cubin").code)


def _check_architecture(architecture: str) -> None:
    from cuda.bindings import nvrtc

    known = [f"sm_{number}" for number in nvrtc.nvrtcGetSupportedArchs()[1]]
    if architecture not in known:
        version = ".".join(map(str, nvrtc.nvrtcVersion()[1:]))
        raise RuntimeError(
            f"NVRTC {version} compiles for {', '.join(known)}, not for this GPU, {architecture}"
        )


def _source_folder() -> Path:
    return Path(str(files("splat2d") / "src"))


def _key(architecture: str, channels: int) -> str:
    from cuda.bindings import nvrtc

    digest = hashlib.sha256(repr((nvrtc.nvrtcVersion()[1:], architecture, channels)).encode())
    for path in (Path(__file__), *(_source_folder() / name for name in SOURCES)):  # this file has the options
        digest.update(path.read_bytes())
    return f"{architecture}-{digest.hexdigest()[:32]}"


def _stored(path: Path, key: str) -> bytes | None:
    """Return what `_store` wrote; None if it is not there, damaged, or may be another user's work."""
    try:
        with open_own(path) as file:
            stored = file.read()
    except OSError:
        return None
    digest, code = stored[:DIGEST], stored[DIGEST:]
    return code if digest == _digest(key, code) else None


def _store(path: Path, key: str, code: bytes) -> None:
    """Write code to the cache after its digest, atomically, if it can be written at all."""
    try:
        with atomic_write(path, durable=False) as partial:
            partial.write_bytes(_digest(key, code) + code)
        path.chmod(0o600)  # whatever the umask: `open_own` takes no file that a group can write
    except OSError:
        return


def _digest(key: str, code: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + code).digest()
