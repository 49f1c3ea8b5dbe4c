"""Time training steps of the presets, and upscaling by the reference model, on this machine's GPU.

    PYTHONPATH=cuda:. python workflows/benchmarks/gpu_training.py --images DIR --out gpu_training.json

For every preset, in bfloat16 and in float32: the median time of a step at the preset's batch (in as many
parts as memory needs), without and with CUDA graphs, and their ratio; the same with a batch that is ready on
the GPU; the time to make a batch; and peak memory. The difference of the first two is what a step waits for
its data. Then the time in which the reference model encodes and renders an image of 510x340 pixels at x4, x12
and x48, next to the same rendering by plain torch operators (`splat2d.backends.fallback`; x4 and x12) and
bicubic interpolation.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from measure import machine, parser, write_json

from dgp_mining import Dictionary
from splat2d import GaussianField
from splat2d.backends import fallback
from splat2d.rendering import DEFAULT_CUTOFF
from sr_model import PRESETS, Preset, TrainingError
from sr_model.checkpoints.checkpoint import load_reference
from sr_model.training.run import TrainingRun, open_run
from sr_model.training.samples import prefetch
from sr_model.training.schedule import learning_rate

NAMES = ("light", "demo", "gsasr-demo", "paper", "paper-plus", "gsasr-paper")
MOST_PARTS = 16


def main() -> None:
    options = parser(__doc__.splitlines()[0], "gpu_training.json")
    options.add_argument("--images", type=Path, required=True, help="photographs to train on")
    options.add_argument("--presets", default=",".join(NAMES), help="presets to time, separated by commas")
    options.add_argument("--steps", type=int, default=20, help="steps timed (default 20)")
    options.add_argument(
        "--batch", type=int, help="samples in a step, and no division into parts (default: the preset's)"
    )
    options.add_argument("--compile", action="store_true", help="with torch.compile")
    options.add_argument("--precision", default="bfloat16,float32", help="precisions, separated by commas")
    chosen = options.parse_args()
    for key, value in machine().items():
        print(f"{key}: {value}")
    figures = {"machine": machine(), "training": [], "upscaling": measure_upscaling(chosen.quick)}
    for name in chosen.presets.split(","):
        preset = PRESETS[name]
        settings = replace(preset.train, batch=chosen.batch or preset.train.batch, compile=chosen.compile)
        for precision in chosen.precision.split(","):
            timed = Preset(preset.network, replace(settings, precision=precision))
            steps = 2 if chosen.quick else chosen.steps
            plain = Preset(preset.network, replace(timed.train, cuda_graph=False))
            row = measure_training(plain, chosen.images, steps)
            figures["training"].append({"preset": name, **row, "CUDA graphs": False})
            if not chosen.compile:
                graphed = measure_training(timed, chosen.images, steps)
                ratio = (
                    row["step, s"] / graphed["step, s"] if "step, s" in row and "step, s" in graphed else None
                )
                print_training(figures["training"][-1])
                figures["training"].append(
                    {"preset": name, **graphed, "CUDA graphs": True, "speed-up by CUDA graphs": ratio}
                )
            print_training(figures["training"][-1])
            write_json(chosen.out, figures)


# Training


def measure_training(preset: Preset, images: Path, steps: int) -> dict[str, object]:
    """Time steps of a preset, in as few parts of a batch as memory allows."""
    parts = preset.train.accumulate
    while True:
        settings = replace(preset.train, accumulate=parts)
        try:
            with tempfile.TemporaryDirectory() as out:
                prior = Dictionary.reference() if hasattr(preset.network, "dictionary_size") else None
                with open_run(prior, images, Preset(preset.network, settings), out) as run:
                    return measure_run(run, steps)
        except TrainingError as error:
            if "memory" not in str(error) or parts >= MOST_PARTS:
                return {"precision": settings.precision, "parts": parts, "failed": str(error)}
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        parts *= 2


def measure_run(run: TrainingRun, steps: int) -> dict[str, object]:
    settings = run.preset.train
    if run.state.context.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    losses: list[float] = []
    with closing(prefetch(run.micro_batches, 0, threads=run.sampling_threads)) as batches:

        def take_step(step: int) -> None:
            rate = learning_rate(settings, step, 0)
            losses.append(run.state.train_step(next(batches), rate, settings))

        with_data = seconds_of(take_step, steps)
    ready = [batch.to(run.state.context.device) for batch in run.micro_batches(0)]
    without = seconds_of(lambda step: run.state.train_step(ready, 0.0, settings), steps)
    making = seconds_of(lambda step: run.micro_batches(step), max(3, steps // 4))
    return {
        "precision": settings.precision,
        "batch": settings.batch,
        "parts": settings.accumulate,
        "step, s": with_data,
        "step with data ready, s": without,
        "making a batch, s": making,
        "peak memory, GiB": peak_memory() + getattr(run.state.trained, "peak_bytes", 0) / 2**30,
        "first and last loss": (losses[0], losses[-1]),
        "finite": all(math.isfinite(loss) for loss in losses),
    }


def seconds_of(run: Callable[[int], object], repeats: int, warm: int = 3) -> float:
    """Median seconds of a run, the device's work included, after a few to warm up."""
    taken = []
    for step in range(warm + repeats):
        began = time.perf_counter()
        run(step)
        synchronize()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[warm:])


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory() -> float:
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else math.nan


def print_training(row: dict[str, object]) -> None:
    print(
        "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True
    )


# Upscaling


@torch.no_grad()
def measure_upscaling(quick: bool) -> list[dict[str, object]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = load_reference().to(device).eval()
    height, width = (34, 51) if quick else (340, 510)
    image = torch.rand(1, 3, height, width, device=device)
    rows = []
    for scale in (4, 12, 48):
        size = (height * scale, width * scale)
        scales = torch.tensor([float(scale)], device=device)
        field = network(image, scales)
        row: dict[str, object] = {
            "scale": scale,
            "encoding, s": seconds_of(lambda step, s=scales: network(image, s), 5),
            "rendering, s": seconds_of(lambda step, s=size, f=field: f.render(s), 5),
            "bicubic interpolation by torch, s": seconds_of(
                lambda step, s=size: F.interpolate(image, s, mode="bicubic"), 5
            ),
            "rendering by plain torch, s": plain_rendering(field, size) if scale < 48 else math.nan,
            "finite": bool(field.render(size).isfinite().all()),
        }
        rows.append(row)
        print_training(row)
    return rows


def plain_rendering(field: GaussianField, size: tuple[int, int]) -> float:
    """Seconds of rendering by torch operators, gathered and scattered by boxes."""
    placed = field.scale(size[1] / field.size[1], size[0] / field.size[0])
    inputs = (placed.means, placed.cholesky, placed.colors)
    with field.means.device:  # where its constants are to be made
        return seconds_of(lambda step: fallback.render(*inputs, None, size, DEFAULT_CUTOFF), 1, warm=1)


if __name__ == "__main__":
    main()
