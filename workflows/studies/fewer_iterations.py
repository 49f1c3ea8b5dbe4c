"""Fewer iterations for the same fits: how the numbers of `fast` were found, a random search.

    python workflows/studies/fewer_iterations.py
    python workflows/studies/fewer_iterations.py --images DIV2K --judges KODAK --side 128 --minutes 20

From the default recipe on, some of its numbers are changed at random, again and again. A change stays if it
raises the score: the gain in PSNR on the fitted pixels over `fast` of 0.1.0 (300 iterations of plain
Adam), minus what held-out-pixel PSNR loses, on detailed and on smooth crops, those above `SMOOTH` dB. Smooth
crops lose first: narrow Gaussians ripple between the pixels there. The best is then compared with 0.1.0's on
--judges. `--minutes 0` compares the default.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from study import Crop, Variant, compare, parse, print_rows, read_crops, write

from dgp_mining.fitting.fit import fit_image, held_out_psnr
from dgp_mining.fitting.recipes import FAST_OF_0_1_0, FastRecipe

SMOOTH = 45.0
"""Held-out-pixel PSNR, dB, above which a crop counts as smooth."""

NUMBERS = (
    *("start_sigma", "min_sigma", "rate_mean", "rate_shape", "rate_color", "warm_up", "final"),
    *("beta1", "beta2", "epsilon"),
)
"""The numbers of the recipe that are changed."""

SPREAD = {"start_sigma": 0.05, "min_sigma": 0.12, "warm_up": 0.4, "final": 0.3, "epsilon": 0.5}
"""Standard deviation of a change of each number's logarithm (betas: of 1 - beta's); 0.25 for the others."""


def measure(recipe: FastRecipe, crops: list[Crop]) -> np.ndarray:
    """Return PSNR and held-out-pixel PSNR of each crop, [n, 2] dB."""
    return np.array(
        [
            (fit_image(crop.pixels, recipe=recipe).psnr, held_out_psnr(crop.pixels, recipe=recipe))
            for crop in crops
        ]
    )


def gains(recipe: FastRecipe, crops: list[Crop], base: np.ndarray) -> tuple[float, float, float]:
    """Return mean gains over `base`: of PSNR, and of held-out-pixel PSNR of detailed and of smooth crops."""
    gained = measure(recipe, crops) - base
    smooth = base[:, 1] > SMOOTH
    means = [float(gained[some, 1].mean()) if some.any() else 0.0 for some in (~smooth, smooth)]
    return float(gained[:, 0].mean()), *means


def score(psnr: float, detailed: float, smooth: float) -> float:
    """Weigh losses of held-out-pixel PSNR more than gains of PSNR, which are bought too easily with them."""
    return min(psnr, 0.1 + 0.3 * psnr) + 10 * min(0.0, detailed) + 2 * min(0.0, smooth)


def changed(numbers: dict[str, float], step: float, rng: np.random.Generator) -> dict[str, float]:
    """Change about half of the numbers at random."""
    new = {}
    for name, value in numbers.items():
        factor = math.exp(step * SPREAD.get(name, 0.25) * rng.normal()) if rng.random() < 0.5 else 1.0
        new[name] = 1 - (1 - value) * factor if name.startswith("beta") else value * factor
    return {**new, "warm_up": min(new["warm_up"], 0.5), "final": min(new["final"], 1.0)}


def search(start: FastRecipe, crops: list[Crop], minutes: float, rng: np.random.Generator) -> FastRecipe:
    """Return the best recipe that is found in the given time, and print every improvement."""
    base = measure(FAST_OF_0_1_0, crops)
    print(
        f"{(base[:, 1] > SMOOTH).sum()} of them smooth; gains in PSNR, held-out of detailed, of smooth crops:"
    )
    best, found, step, trial = {name: getattr(start, name) for name in NUMBERS}, (-math.inf, 0.0, 0.0), 1.0, 0
    deadline = time.monotonic() + 60 * minutes
    while trial == 0 or time.monotonic() < deadline:
        tried = changed(best, step, rng) if trial else best
        gained = gains(replace(start, **tried), crops, base)
        if score(*gained) > score(*found):
            best, found, step = tried, gained, min(1.5, 1.3 * step)
            spelt = ", ".join(f"{name} {value:.3g}" for name, value in best.items())
            print(f"{trial:4d}: {', '.join(f'{gain:+.3f}' for gain in found)} dB with {spelt}", flush=True)
        else:
            step = max(0.25, 0.97 * step)
        trial += 1
    return replace(start, **best)


def main() -> None:
    extra = {
        "--judges": {"type": Path, "help": "folder of other photographs, to judge by"},
        "--iterations": {"type": int, "default": 225, "help": "iterations of the recipe that is sought"},
        "--minutes": {"type": float, "default": 0.3, "help": "time to search"},
    }
    options = parse(__doc__, "fewer_iterations", crops=6, side=64, extra=extra)
    crops = read_crops(options)
    start = replace(FastRecipe(), iterations=options.iterations)
    minutes = 0.0 if options.quick else options.minutes
    best = search(start, crops, minutes, np.random.default_rng(options.seed))
    judged_on = read_crops(options, options.judges) if options.judges else crops
    variants = [Variant("fast of 0.1.0", FAST_OF_0_1_0), Variant(f"{options.iterations} iterations", best)]
    rows = compare(variants, judged_on, options.quick, "fast of 0.1.0")
    print_rows(rows)
    write(options, rows, "")


if __name__ == "__main__":
    main()
