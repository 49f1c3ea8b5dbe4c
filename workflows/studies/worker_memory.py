"""How much memory does a worker need? Measures the constants of `dgp_mining/workers/memory.py`.

    python workflows/studies/worker_memory.py

Each line is the peak of a process of its own, on Linux: what the imports take, what decoding an image adds,
and what a fit adds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
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


def memory(of: str) -> int:
    """Return "VmHWM", the peak resident memory, or "VmRSS", the present one, bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(of))


def measure(what: str, argument: str) -> None:
    """Print what decoding the image `argument` ("image") or a fit ("fit", side and density) adds."""
    import distributed  # noqa: F401  a worker has imported it

    prepare_worker(splat2d.backend(), FITTERS["cpu"])
    imports = memory("VmRSS")
    if what == "imports":
        print(f"imports: {imports / 1e6:.0f} MB")
    elif what == "image":
        pixels = decode_image(Path(argument)).pixels
        added = memory("VmHWM") - imports - Path(argument).stat().st_size
        size = pixels.shape[0] * pixels.shape[1]
        print(f"{Path(argument).suffix} of {size / 1e6:.0f} megapixels: {added / size:.0f} bytes per pixel")
    else:
        side, density = argument.split()
        crop = np.random.default_rng(0).random((int(side), int(side), 3), np.float32)
        with one_torch_thread():
            fit = fit_image(crop, density=float(density), recipe="fast", iterations=6, seed=0)
            held_out_psnr(crop, density=float(density), recipe="fast", iterations=6, seed=0)
            statistics.measure(fit.field, fit.start.numpy(), np.random.default_rng(0))
        print(f"fit of {side}x{side} pixels at {density}: {(memory('VmHWM') - imports) / 1e6:.0f} MB")


def main() -> None:
    """Measure all, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
        cases = [("imports", "")]
        for suffix in FORMATS:
            Image.fromarray(noise).save(f"{folder}/noise.{suffix}")
            cases.append(("image", f"{folder}/noise.{suffix}"))
        cases += [("fit", f"{side} {density}") for side, density in FITS]
        for case in cases:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, __file__, *case], check=True, env=environment)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(*sys.argv[1:])
    else:
        main()
