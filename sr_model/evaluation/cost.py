"""The cost of a network: multiply-adds, memory, and the average time of an image over many scales."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..memory import TensorMemory
from ..native.library import torch_alone
from ..networks.base import Network
from ..upscaling.tiling import ProgressCallback, no_progress

MACS_SIDE = 64
"""LR pixels on a side for which the ContinuousSR paper counts multiply-adds."""
MEMORY_SIDE = 48
"""LR pixels on a side for which the paper states memory."""
MEMORY_SCALE = 4
"""Scale at which memory is measured, rendering included, and multiply-adds are counted."""
TIMED_SIZES = ((13, 21), (28, 42), (19, 29))
"""(height, width) of the LR images for which the paper states times."""
TIMED_SCALES = tuple(range(4, 49))
"""The 45 scales over which the paper averages them."""
REPEATS = 3
"""Timings, of which the median is taken."""


@torch.inference_mode()
def macs(network: Network, side: int = MACS_SIDE) -> int:
    """Count the multiply-adds of convolutions and matrix products in encoding side x side LR pixels.

    Those of their definitions: the native library needs fewer. Rendering is not counted: its cost depends on
    how many Gaussians cover a pixel.
    """
    # The native library and fused attention are opaque to the counter; unfused attention is matrix products.
    with torch_alone(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(_noise(network, side, side), MEMORY_SCALE)
    return counter.get_total_flops() // 2


@torch.inference_mode()
def peak_memory(network: Network, side: int = MEMORY_SIDE) -> int:
    """Measure the peak bytes while side x side LR pixels are encoded and rendered at x4, weights included.

    On a GPU this is what torch allocated; on the CPU, all tensors that operators returned, without their
    scratch space.
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


@torch.inference_mode()
def average_seconds(
    network: Network,
    sizes: Sequence[tuple[int, int]] = TIMED_SIZES,
    scales: Sequence[float] = TIMED_SCALES,
    progress: ProgressCallback = no_progress,
) -> dict[tuple[int, int], float]:
    """Average seconds by LR size (height, width): (encode once + render at each scale) / number of scales.

    A network whose field depends on the scale encodes at each scale, which is counted. The images are noise:
    content changes the time only through the sizes of the Gaussians.
    """
    averages = {}
    for index, (height, width) in enumerate(sizes):
        image = _noise(network, height, width)
        wait = torch.cuda.synchronize if image.device.type == "cuda" else lambda: None
        field = network(image, scales[0])  # warm-up
        field.render((height, width))
        total = 0.0
        for done, scale in enumerate(scales):
            if network.conditioned or done == 0:
                total += _median_seconds(partial(network, image, scale), wait)
            size = (round(height * scale), round(width * scale))
            total += _median_seconds(partial(field.render, size), wait)
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
