"""Convolutions with 3x3 kernels: those of sr_model, by Winograd's algorithm, next to torch's.

    python workflows/benchmarks/convolution.py

In float32 on one core, channels-last, the layout in which both are fastest: the result alone, and with all
its gradients. The CPU seconds are medians of runs that alternate. The error is the root mean square
difference to the same convolution in float64, relative to the result's.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from measure import in_turns, machine, medians, parser, print_table, threads, write_json
from torch import Tensor

from sr_model.memory import keep_freed_memory
from sr_model.native import convolve

LAYERS = {
    "SPAN, a picture of 255x255": (1, 48, 255),
    "EDSR, a picture of 255x255": (1, 64, 255),
    "SPAN, 16 crops of 24x24": (16, 48, 24),
    "EDSR, 16 crops of 48x48": (16, 64, 48),
    "SwinIR, a crop of 64x64": (1, 180, 64),
}
"""Name -> batch, inputs and outputs, height and width."""


def main() -> None:
    options = parser(__doc__.splitlines()[0], "convolution.json")
    options.add_argument(
        "--rounds", type=int, default=9, help="timings of which medians are taken (default 9)"
    )
    chosen = options.parse_args()
    for key, value in machine().items():
        print(f"{key}: {value}")
    layers = LAYERS
    if chosen.quick:
        chosen.rounds, layers = 1, {"quick": (1, 16, 8)}
    keep_freed_memory()
    with threads(1):
        figures = {name: measured(name, *layer, chosen.rounds) for name, layer in layers.items()}
    print("\nCPU milliseconds and their ratio; relative errors")
    rows = [
        [
            name,
            *(f"{1e3 * f[f'{way}, {part}']:.2f}" for part in PARTS for way in ("torch", "ours")),
            *(f"{f[f'ours, {part}'] / f[f'torch, {part}']:.2f}" for part in PARTS),
            f"{f['error of torch']:.1e}",
            f"{f['error of ours']:.1e}",
        ]
        for name, f in figures.items()
    ]
    header = [
        "",
        "torch",
        "ours",
        "torch, gradients",
        "ours",
        "ratio",
        "with gradients",
        "error, torch",
        "ours",
    ]
    print_table(header, rows)
    write_json(chosen.out, figures)


PARTS = ("result", "gradients")


def torchs(image: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(image, kernel, bias, padding=1)


def measured(name: str, batch: int, channels: int, side: int, rounds: int) -> dict[str, float]:
    """Return the CPU seconds of both ways, by part, and their errors."""
    random = torch.Generator().manual_seed(0)
    shapes = ((batch, channels, side, side), (channels, channels, 3, 3))
    image, kernel = (torch.randn(s, generator=random).to(memory_format=torch.channels_last) for s in shapes)
    kernel /= 3 * channels**0.5
    leaves = [tensor.requires_grad_() for tensor in (image, kernel, torch.zeros(channels))]
    grad = torch.ones_like(image)
    ways = {"torch": torchs, "ours": convolve}

    def result(way: str) -> Tensor:
        with torch.no_grad():
            return ways[way](*leaves)

    def gradients(way: str) -> object:
        return torch.autograd.grad(ways[way](*leaves), leaves, grad)

    runs = {}
    for way in ways:
        runs[f"{way}, result"] = lambda way=way: result(way)
        runs[f"{way}, gradients"] = lambda way=way: gradients(way)
    figures = medians(in_turns(runs, rounds, name, time.process_time))
    with torch.no_grad():
        exact = torchs(*(leaf.double() for leaf in leaves))
        for way in ways:
            figures[f"error of {way}"] = ((result(way) - exact).norm() / exact.norm()).item()
    return figures


if __name__ == "__main__":
    main()
