"""The memory that a worker of mining needs: the constants of dgp_mining/workers/memory.py, measured.

    python workflows/benchmarks/worker_memory.py

Each line is from a process of its own: what the imports take that is not shared, what decoding an image of 6
megapixels adds at most, besides the bytes of its file, and what a fit adds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
from measure import machine, parser, peak_memory, print_table, write_json
from PIL import Image

import splat2d
from dgp_mining.fitting import statistics
from dgp_mining.fitting.fit import fit_image, held_out_psnr
from dgp_mining.fitting.loop import one_torch_thread
from dgp_mining.images.reader import decode_image
from dgp_mining.workers.worker import FITTERS, prepare_worker

FORMATS = ("png", "jpg", "webp", "tif")
SIZE = (3000, 2000)
FITS = ((128, 0.25), (512, 0.25), (512, 1.0))


def main() -> None:
    options = parser(__doc__.splitlines()[0], "worker_memory.json")
    options.add_argument(
        "--one", nargs=2, metavar=("CASE", "ARGUMENT"), help="one measurement, for this program itself"
    )
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(added_memory(*chosen.one)))
        return
    for key, value in machine().items():
        print(f"{key}: {value}")
    size, fits = ((300, 200), FITS[:1]) if chosen.quick else (SIZE, FITS)
    figures = measure_all(size, fits)
    print_table(
        ["a worker's memory", "MB", "bytes per pixel"],
        [[name, f"{figure['bytes'] / 1e6:.0f}", _per_pixel(figure)] for name, figure in figures.items()],
    )
    write_json(chosen.out, {"memory": figures})


def measure_all(size: tuple[int, int], fits: tuple[tuple[int, float], ...]) -> dict[str, dict[str, float]]:
    """Return "bytes", and of images "pixels", by what takes them; each measured in a process of its own."""
    figures = {"imports": {"bytes": _in_process("imports", "")}}
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        for suffix in FORMATS:
            file = Path(folder, f"noise.{suffix}")
            Image.fromarray(noise).save(file)
            figures[f"{suffix} image"] = {
                "bytes": _in_process("image", str(file)),
                "pixels": size[0] * size[1],
            }
    for side, density in fits:
        name = f"fit of {side}x{side} pixels at density {density}"
        figures[name] = {"bytes": _in_process("fit", f"{side} {density}")}
    return figures


def _in_process(case: str, argument: str) -> float:
    """Call `added_memory` in a new process with one thread."""
    command = [sys.executable, __file__, "--one", case, argument]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"worker_memory: the process that measures {case} {argument} failed")
    return float(json.loads(done.stdout.splitlines()[-1]))


def added_memory(case: str, argument: str) -> int:
    """Return the bytes that "imports" take, or that decoding an "image", a file, or a "fit" adds to them.

    The argument of a fit is its side in pixels and its density.
    """
    import distributed  # noqa: F401  a worker has imported it

    prepare_worker(splat2d.backend(), FITTERS["cpu"])
    imports = psutil.Process().memory_info().rss
    if case == "imports":
        return psutil.Process().memory_full_info().uss
    if case == "image":
        file = Path(argument)
        decode_image(file)
        return peak_memory() - imports - file.stat().st_size
    side, density = int(argument.split()[0]), float(argument.split()[1])
    crop = np.random.default_rng(0).random((side, side, 3), np.float32)
    with one_torch_thread():
        fit = fit_image(crop, density=density, recipe="fast", iterations=6, seed=0)
        held_out_psnr(crop, density=density, recipe="fast", iterations=6, seed=0)
        statistics.measure(fit.field, fit.start.numpy(), np.random.default_rng(0))
    return peak_memory() - imports


def _per_pixel(figure: dict[str, float]) -> str:
    return f"{figure['bytes'] / figure['pixels']:.0f}" if "pixels" in figure else ""


if __name__ == "__main__":
    main()
