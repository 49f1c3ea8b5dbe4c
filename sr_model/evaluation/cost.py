"""What a network costs: multiplications, memory, and the time of an image at one of many scales."""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..networks.base import Network
from ..upscaling.tiling import Progress

MACS_SIDE = 64
"""LR pixels a side for which the ContinuousSR paper counts operations."""
MEMORY_SIDE = 48
"""LR pixels a side for which it states memory."""
MEMORY_SCALE = 4
"""Scale at which the memory of rendering is included, and operations are counted."""
TIMED_SIZES = ((13, 21), (28, 42), (19, 29))
"""(height, width) of the LR images on which it states times."""
TIMED_SCALES = tuple(range(4, 49))
"""The 45 scales over which it averages them."""
REPEATS = 3
"""Timings of which the median counts."""


@torch.inference_mode()
def macs(network: Network, side: int = MACS_SIDE) -> int:
    """Multiply-adds of convolutions and matrix products in encoding side x side LR pixels.

    Rendering is not counted: it does no more per pixel than the Gaussians that cover it.
    """
    # Fused attention is opaque to the counter; the plain one is matrix products.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(_noise(network, side, side), MEMORY_SCALE)
    return counter.get_total_flops() // 2


@torch.inference_mode()
def peak_memory(network: Network, side: int = MEMORY_SIDE) -> int:
    """Bytes held at most while side x side LR pixels are encoded and rendered at x4, weights included.

    On a GPU what torch allocated, on the CPU all tensors that operators returned (not their scratch space).
    """
    weights = sum(t.nbytes for t in (*network.parameters(), *network.buffers()))
    image = _noise(network, side, side)
    if image.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(image.device)
        network(image, MEMORY_SCALE).render((MEMORY_SCALE * side, MEMORY_SCALE * side))
        return torch.cuda.max_memory_allocated(image.device)
    with TensorMemory() as memory:
        network(image, MEMORY_SCALE).render((MEMORY_SCALE * side, MEMORY_SCALE * side))
    return weights + memory.peak


class TensorMemory(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, from their making to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        before = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage(), before)
        return result

    def _add(self, storage: torch.UntypedStorage, before: set[int]) -> None:
        key = storage._cdata
        if key in self.alive or key in before:  # a view, or written in place
            return
        size = storage.nbytes()
        self.alive.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.now -= size


@torch.inference_mode()
def average_seconds(
    network: Network,
    sizes: Sequence[tuple[int, int]] = TIMED_SIZES,
    scales: Sequence[float] = TIMED_SCALES,
    progress: Progress = lambda what, part: None,
) -> dict[tuple[int, int], float]:
    """By LR size (height, width), seconds: (encoding once + rendering at every scale) / number of scales.

    A network that makes its field for a scale encodes at every scale, and that counts. Of noise, on whose
    content time does not depend but through the kernels' sizes.
    """
    averages = {}
    for index, (height, width) in enumerate(sizes):
        image = _noise(network, height, width)
        wait = torch.cuda.synchronize if image.device.type == "cuda" else lambda: None
        field = network(image, scales[0])  # warms up
        field.render((height, width))
        total = 0.0
        for done, scale in enumerate(scales):
            if network.conditioned or done == 0:
                total += _median_seconds(lambda image=image, scale=scale: network(image, scale), wait)
            size = (round(height * scale), round(width * scale))
            total += _median_seconds(lambda size=size, field=field: field.render(size), wait)
            progress("timing", (index + (done + 1) / len(scales)) / len(sizes))
        averages[height, width] = total / len(scales)
    return averages


def _median_seconds(run: Callable[[], object], wait: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        wait()
        began = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _noise(network: Network, height: int, width: int) -> Tensor:
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    return noise.to(next(network.parameters()).device)
