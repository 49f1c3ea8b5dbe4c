"""The average time of an image over 45 scales, as in the ContinuousSR paper, compared with LIIF.

    python workflows/benchmarks/continuous.py [--threads T] [--full]

An LR image is encoded once and rendered at x4, x5, ..., x48; its average time is the sum divided by 45.
ContinuousSR encodes into a field of Gaussians and renders it; LIIF (liif.py) encodes with the same
EDSR-baseline and decodes every pixel with an MLP. Both use the same threads and alternate, scale by scale.

All 45 scales of LIIF take half an hour. Without `--full`, it is timed at four of them, up to x24, and
extrapolated to the others, linearly in the number of pixels, since LIIF decodes every pixel alike.
ContinuousSR is always timed at all 45. Weights are random: neither's time depends on them, except through
the kernels' sizes, here those of a dictionary of 730 kernels around 0.62 grid spacings, as in mined ones.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from liif import LIIF
from measure import NOT_MEASURED, machine, parser, print_progress, print_table, threads, write_json
from torch import Tensor, nn

from sr_model import PRESETS
from sr_model.encoders import EDSR
from sr_model.networks.continuoussr.network import ContinuousSR
from sr_model.networks.continuoussr.settings import ContinuousSRSettings

SIZES = ((13, 21), (28, 42), (19, 29))
"""(height, width) of the LR images."""
SCALES = tuple(range(4, 49))
LIIF_SCALES = (4, 8, 16, 24)
"""Scales at which LIIF is timed without --full."""
TARGET = 300


@dataclass(frozen=True)
class Times:
    """Times of one method on one LR image."""

    encode: float
    """Seconds, once for all scales."""
    render: dict[int, float]
    """Seconds by scale, for the scales that were timed."""

    def average(self, pixels: dict[int, int]) -> float:
        """Return (encode + sum of renders) / number of scales, given the image's `pixels` at every scale.

        Times are linear in pixels between timed scales, and proportional to pixels beyond the last.
        """
        timed = sorted(self.render)
        counts, taken = [pixels[s] for s in timed], [self.render[s] for s in timed]
        renders = [float(np.interp(n, counts, taken)) * max(1.0, n / counts[-1]) for n in pixels.values()]
        return (self.encode + sum(renders)) / len(renders)


def main() -> None:
    options = parser(__doc__.splitlines()[0], "continuous.json")
    options.add_argument("--threads", type=int, default=1, help="of torch and of splat2d (default 1)")
    options.add_argument("--full", action="store_true", help="time LIIF at all 45 scales too: half an hour")
    chosen = options.parse_args()
    sizes, scales, liif_scales = SIZES, SCALES, SCALES if chosen.full else LIIF_SCALES
    if chosen.quick:
        sizes, scales, liif_scales = ((5, 6),), (4, 5, 6), (4, 6)
    for key, value in machine().items():
        print(f"{key}: {value}")
    how = "at every scale" if liif_scales == scales else f"at x{', x'.join(map(str, liif_scales))}"
    print(f"threads: {chosen.threads}; LIIF is timed {how}")
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    with torch.inference_mode(), threads(chosen.threads):
        figures = {
            device: [measure(networks(device), size, scales, liif_scales, device) for size in sizes]
            for device in devices
        }
    report(figures, sizes)
    write_json(chosen.out, {"threads": chosen.threads, "liif timed at": liif_scales, "average, s": figures})


def networks(device: str) -> dict[str, nn.Module]:
    """Return the networks, LIIF first: the others are compared with it."""
    random = np.random.default_rng(0)
    cholesky = random.normal([0.62, 0.0, 0.62], 0.2, (730, 3))
    cholesky[:, [0, 2]] = cholesky[:, [0, 2]].clip(0.1)
    all_kernels = replace(PRESETS["light"].network, dictionary_size=None, latent=32)
    baseline = {"encoder": "edsr", "width": 64, "depth": 16}

    def continuous(settings: ContinuousSRSettings) -> nn.Module:
        return ContinuousSR(settings, torch.from_numpy(cholesky))

    torch.manual_seed(0)
    made = {
        "LIIF, EDSR-baseline": LIIF(EDSR(64, 16), 64),
        "ContinuousSR, preset demo": continuous(PRESETS["demo"].network),
        "preset light, 730 kernels": continuous(all_kernels),
        "preset paper, EDSR-baseline": continuous(replace(PRESETS["paper"].network, **baseline)),
    }
    return {name: network.eval().to(device) for name, network in made.items()}


def measure(
    made: dict[str, nn.Module],
    size: tuple[int, int],
    scales: tuple[int, ...],
    liif_scales: tuple[int, ...],
    device: str,
) -> dict[str, float]:
    """Return the average time of each network in seconds on an LR image of `size`."""
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).to(device)
    pixels = {s: size[0] * size[1] * s * s for s in scales}
    encoded: dict[str, object] = {}
    encode = {name: [] for name in made}
    render: dict[str, dict[int, float]] = {name: {} for name in made}
    for _ in range(6):  # the first warms up
        for name, network in made.items():
            encode[name].append(seconds(lambda n=network: encoder_of(n)(image), device))
    for name, network in made.items():
        encoded[name] = encoder_of(network)(image)
    for scale in scales:
        target = (size[0] * scale, size[1] * scale)
        for name, network in made.items():
            if isinstance(network, LIIF) and scale not in liif_scales:
                continue
            draw = renderer_of(network, encoded[name], target)
            if scale == scales[0]:
                draw()  # warms up
            repeats = 1 if isinstance(network, LIIF) else 3
            render[name][scale] = statistics.median(seconds(draw, device) for _ in range(repeats))
        print_progress(f"{device}, LR {size[1]}x{size[0]}: x{scale} of x{scales[-1]} done")
    return {name: Times(statistics.median(encode[name][1:]), render[name]).average(pixels) for name in made}


def encoder_of(network: nn.Module) -> Callable[[Tensor], object]:
    return network.encode if isinstance(network, LIIF) else network


def renderer_of(network: nn.Module, encoded, size: tuple[int, int]) -> Callable[[], Tensor]:
    if isinstance(network, LIIF):
        return lambda: network.decode(encoded, size)
    return lambda: encoded.render(size)


def seconds(run: Callable[[], object], device: str) -> float:
    """Return wall time, with the device's queue empty before and after."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - began


def report(figures: dict[str, list[dict[str, float]]], sizes: tuple[tuple[int, int], ...]) -> None:
    rows = []
    for device, averages in figures.items():
        for name in averages[0]:
            times = [f"{1e3 * average[name]:.2f} ms" for average in averages]
            ratios = [next(iter(average.values())) / average[name] for average in averages]
            rows.append([f"{device}: {name}", *times, *(f"{r:.0f}" for r in ratios), f"{min(ratios):.0f}"])
    if "cuda" not in figures:
        rows.append(["cuda", *[NOT_MEASURED] * len(sizes), *[""] * len(sizes), ""])
    named = [f"{w}x{h}" for h, w in sizes]
    print("average time of an image, and the speed-up over LIIF; the least speed-up last")
    print_table(["LR, columns x rows", *named, *(f"ratio {n}" for n in named), f"target {TARGET}"], rows)


if __name__ == "__main__":
    main()
