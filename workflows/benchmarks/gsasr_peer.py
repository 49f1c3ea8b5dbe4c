"""Time splat2d's rendering of a GSASR field against GSASR's own Algorithm 1 in plain torch.

    python workflows/benchmarks/gsasr_peer.py

Sixteen Gaussians per LR pixel, sigma 0.65 of their spacing, rendered at x4: 60x60 LR pixels on one CPU
thread, and 180x180, the 720x720 result of the paper's costs, on a CUDA device if there is one. Forward only.
Algorithm 1 draws each Gaussian within a rectangle of a tenth of the image, as its authors set it, and adds to
pixels as it goes. Most of the speed-up comes from pixels in which a Gaussian has faded, which only Algorithm
1 visits; the rest from torch's overhead over compiled code. Memory is the peak of tensors that operators
returned, without the field: for Algorithm 1, what torch needs for 4 million pixels of Gaussians at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from gsasr_renderer import render_released
from measure import NOT_MEASURED, in_turns, machine, medians, parser, print_table, threads, write_json

from splat2d import GaussianField
from sr_model.memory import TensorMemory

SCALE, CELLS, SIGMA = 4, 4, 0.65
PLAIN, OURS = "Algorithm 1", "splat2d"


def main() -> None:
    options = parser(__doc__.splitlines()[0], "gsasr_peer.json")
    options.add_argument("--rounds", type=int, default=5, help="times that each is measured (default 5)")
    chosen = options.parse_args()
    rounds = 1 if chosen.quick else max(1, chosen.rounds)
    for key, value in machine().items():
        print(f"{key}: {value}")
    figures = measure_all(chosen.quick, rounds)
    report(figures)
    write_json(chosen.out, {"released renderer": figures})


@torch.inference_mode()
def measure_all(quick: bool, rounds: int) -> dict[str, dict]:
    """Measure on every device; return figures by device."""
    cpu, gpu = (12, 12) if quick else (60, 180)
    with threads(1):
        made = {"cpu": measure(cpu, rounds, torch.device("cpu"))}
    if torch.cuda.is_available():
        made["cuda"] = measure(gpu, rounds, torch.device("cuda"))
    return made


def measure(lr_side: int, rounds: int, device: torch.device) -> dict:
    """Return the result's side in pixels and, by renderer, seconds per round and the peak of bytes held."""
    field, size = gsasr_field(lr_side, device), (SCALE * lr_side, SCALE * lr_side)

    def finished(render: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            render()
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    runs = {
        PLAIN: finished(lambda: render_released(field, size)),
        OURS: finished(lambda: field.render(size)),
    }
    seconds = in_turns(runs, rounds, f"{device.type}, {size[0]}x{size[1]}")
    held = {}
    for name, run in runs.items():
        with TensorMemory() as memory:
            run()
        held[name] = memory.peak
    return {"side": size[0], "gaussians": field.means.shape[1], "seconds": seconds, "bytes": held}


def gsasr_field(side: int, device: torch.device) -> GaussianField:
    """Return a field like a network's: a grid over side x side LR pixels, row by row."""
    at = (torch.arange(CELLS * side, device=device) + 0.5) / CELLS
    means = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).reshape(1, -1, 2)
    sigma = SIGMA / CELLS
    cholesky = torch.tensor([sigma, 0.0, sigma], device=device).expand(1, means.shape[1], 3).contiguous()
    colors = torch.rand(1, means.shape[1], 3, generator=torch.Generator().manual_seed(0)).to(device)
    return GaussianField(means, cholesky, colors, (side, side))


def report(figures: dict[str, dict]) -> None:
    rows = []
    for device, figure in figures.items():
        time, held = medians(figure["seconds"]), figure["bytes"]
        name = f"{device}: {figure['gaussians']:,} Gaussians to {figure['side']}x{figure['side']}"
        milliseconds = [f"{1e3 * time[who]:.2f} ms" for who in (PLAIN, OURS)]
        memory = [f"{held[who] / 1e6:.1f} MB" for who in (PLAIN, OURS)]
        rows.append([name, *milliseconds, f"{time[PLAIN] / time[OURS]:.0f}", *memory])
    if "cuda" not in figures:
        rows.append(["cuda", *[NOT_MEASURED] * 2, "", *[NOT_MEASURED] * 2])
    print_table(["median of", PLAIN, OURS, "ratio", f"{PLAIN} holds", f"{OURS} holds"], rows)


if __name__ == "__main__":
    main()
