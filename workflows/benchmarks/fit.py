"""How long our recipes take to fit a crop as well as GaussianImage's, on the same C++ code.

    python workflows/benchmarks/fit.py --images KODAK --crops 24 [--iterations 50000] [--resume]

On one thread, over centre crops of 256x256 pixels at 0.18 Gaussians per pixel (GaussianImage's 70,000 on a
whole Kodak image):

- the PSNR that `gaussianimage` reaches in `--iterations` (50,000 in the paper, over a minute a crop; 1,000
  here unless asked), and the time `lattice` takes to reach the same: crop by crop, by the shortest of its
  schedules that reaches the crop's PSNR; and with one schedule for all, the shortest whose mean reaches the
  mean. Like `gaussianimage`, `lattice` is judged by the fitted pixels alone. Each crop is written when done;
- PSNR against iterations and against seconds of all recipes on the first crop, as a table, and as a plot if
  matplotlib is installed;
- kodim13's crop at row 120 and column 200 to 42.1 dB, which `gaussianimage` reaches after 50,000 iterations:
  in seconds and in iterations of the baseline (render.py), if the folder has kodim13.png;
- held-out-pixel PSNR (dgp_mining.fitting.fit.held_out_psnr) of `fast` at the default density, compared with
  bicubic's.

Seconds are CPU time of the one thread, which load on the machine disturbs less than wall time.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import baseline
import equal_psnr
import numpy as np
import torch
from measure import (
    NOT_MEASURED,
    in_turns,
    machine,
    medians,
    parser,
    print_progress,
    print_table,
    threads,
    write_json,
)

from dgp_mining.fitting.fit import Fit, fit_image, held_out_psnr
from dgp_mining.fitting.recipes import RECIPES
from dgp_mining.fitting.target import psnr
from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, read_rgb
from splat2d.atomic_write import atomic_write
from splat2d.matlab_imresize import imresize

KODIM13, KODIM13_PSNR = "kodim13.png", 42.1
MOST_BASELINE_ITERATIONS = 80
"""Target: kodim13 in the time of at most this many baseline iterations."""


def main() -> None:
    options = parser(__doc__.splitlines()[0], "fit.json")
    options.add_argument(
        "--images", type=Path, default=Path("data/samples/mining"), help="folder of photographs"
    )
    options.add_argument("--crops", type=int, default=4, help="photographs used, from the first (default 4)")
    options.add_argument("--iterations", type=int, default=1000, help="of gaussianimage (default 1000)")
    options.add_argument("--plot", type=Path, default=Path("fit.png"), help="picture (default fit.png)")
    options.add_argument("--resume", action="store_true", help="keep the crops that the JSON file has")
    chosen = options.parse_args()
    side, count, iterations = (32, 1, 30) if chosen.quick else (256, chosen.crops, chosen.iterations)
    if count < 1 or iterations < 10:
        options.error("--crops must be at least 1 and --iterations at least 10")
    try:
        paths = list_images(chosen.images)
        crops = {path.name: centre(read_rgb(path), side) for path in paths[:count]}
        kodim13 = [read_rgb(p)[120:376, 200:456] for p in paths if p.name == KODIM13 and not chosen.quick]
    except ImageError as error:
        options.exit(1, f"fit: {error}\n")
    for key, value in machine().items():
        print(f"{key}: {value}")
    with threads(1):
        for recipe in RECIPES:  # the first fit of a process takes a second more
            fit_image(np.zeros((8, 8, 3), np.float32), recipe=recipe, iterations=10)
        equal = equal_psnr.measure(crops, iterations, chosen.out, chosen.resume)
        first = next(iter(crops))
        figures = {
            equal_psnr.SETTING: iterations,
            "equal PSNR": equal,
            "curves": curves(crops[first], equal[first]),
            "kodim13": reach_kodim13(kodim13[0]) if kodim13 else None,
            "held-out-pixel": {name: held_out(crop, name) for name, crop in crops.items()},
            "gpu": measure_gpu(),
        }
    plot(figures["curves"], chosen.plot)
    report(figures)
    write_json(chosen.out, figures)


def centre(image: np.ndarray, side: int) -> np.ndarray:
    """Return the centre crop of an image, [side, side, 3]."""
    height, width, _ = image.shape
    if min(height, width) < side:
        raise ImageError(f"an image of {width}x{height} pixels has no crop of {side}x{side}: remove it")
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def curves(crop: np.ndarray, equal: equal_psnr.Crop) -> dict[str, list[equal_psnr.Row]]:
    """Fit with every recipe and longer and longer schedules; reuse the fits in `equal`."""
    longest = equal["gaussianimage"]["iterations"]
    shorter = sorted({max(1, round(longest * share)) for share in (0.02, 0.1, 0.3)})
    ours = [row["iterations"] for row in equal["lattice"]]
    return {
        "fast": [equal_psnr.timed_fit(crop, "fast", n) for n in ours],
        "lattice": equal["lattice"],
        "gaussianimage": [
            *(equal_psnr.timed_fit(crop, "gaussianimage", n) for n in shorter),
            equal["gaussianimage"],
        ],
    }


def reach_kodim13(crop: np.ndarray) -> dict[str, float]:
    """Time a fit to 42.1 dB, alternating with the baseline's iterations of 16,384 Gaussians."""
    schedule = next(
        (n for n in equal_psnr.SCHEDULES if reach_with(crop, n).psnr >= KODIM13_PSNR),
        equal_psnr.SCHEDULES[-1],
    )
    start = baseline.grid_start(crop)
    runs = {
        "80 baseline iterations": lambda: baseline.fit(crop, start, 80),
        "lattice": lambda: reach_with(crop, schedule),
    }
    taken = medians(in_turns(runs, 3, "kodim13"))
    return {
        "psnr": reach_with(crop, schedule).psnr,
        "schedule": schedule,
        "seconds": taken["lattice"],
        "baseline iteration, s": taken["80 baseline iterations"] / 80,
        "in baseline iterations": 80 * taken["lattice"] / taken["80 baseline iterations"],
    }


def reach_with(crop: np.ndarray, schedule: int) -> Fit:
    return fit_image(
        crop, density=equal_psnr.DENSITY, recipe="lattice", iterations=schedule, target_psnr=KODIM13_PSNR
    )


def held_out(crop: np.ndarray, name: str) -> dict[str, float]:
    """Return the held-out-pixel PSNR of `fast` and of bicubic interpolation."""
    target = torch.from_numpy(crop).permute(2, 0, 1)
    bicubic = psnr(imresize(imresize(target, scale=0.5), size=target.shape[1:]), target)
    ours = held_out_psnr(crop)
    print_progress(f"{name}: held-out-pixel PSNR {ours:.2f} dB, bicubic {bicubic:.2f} dB")
    return {"fast": ours, "bicubic": bicubic}


def measure_gpu() -> dict[str, float]:
    """Measure crops per second with `fast`, many at once; empty without a CUDA device."""
    if not torch.cuda.is_available():
        return {}
    from gpu_check import measure_fit

    return measure_fit(128, 3)


def plot(figures: dict[str, list[equal_psnr.Row]], path: Path) -> None:
    """Plot PSNR against iterations and against seconds; without matplotlib, print that there is no plot."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print_progress("matplotlib is not installed: no plot")
        return
    figure = Figure((9, 3.6), layout="constrained")
    for axes, by in zip(figure.subplots(1, 2), ("iterations", "seconds"), strict=True):
        for recipe, rows in figures.items():
            axes.plot([row[by] for row in rows], [row["psnr"] for row in rows], "o-", label=recipe)
        axes.set(xscale="log", xlabel=by, ylabel="PSNR, dB")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.grid(alpha=0.3)
    axes.legend()
    try:
        with atomic_write(path) as partial:
            figure.savefig(partial, format=path.suffix[1:] or "png", dpi=120)
    except OSError as error:
        raise SystemExit(f"{path} cannot be written ({error.strerror}): name another with --plot") from error
    print(f"written: {path}")


def report(figures: dict) -> None:
    density = equal_psnr.DENSITY
    print(f"\nPSNR against iterations and seconds, first crop, {density} Gaussians per pixel, one core")
    print_table(
        ["recipe", "iterations", "seconds", "PSNR"],
        [
            [recipe, str(row["iterations"]), f"{row['seconds']:.2f}", f"{row['psnr']:.2f} dB"]
            for recipe, rows in figures["curves"].items()
            for row in rows
        ],
    )
    off = figures["held-out-pixel"].values()
    ours, bicubic = (statistics.fmean(o[key] for o in off) for key in ("fast", "bicubic"))
    print(f"\nheld-out-pixel PSNR, mean of {len(off)} crops: fast {ours:.2f} dB, bicubic {bicubic:.2f} dB")
    equal_psnr.report(figures["equal PSNR"], figures[equal_psnr.SETTING])
    kodim13 = figures["kodim13"]
    if kodim13:
        print(
            f"\nkodim13's crop at {density}: {kodim13['psnr']:.2f} dB (target {KODIM13_PSNR}) in "
            f"{kodim13['seconds']:.2f} s: {kodim13['in baseline iterations']:.0f} baseline iterations of "
            f"{1e3 * kodim13['baseline iteration, s']:.1f} ms (target {MOST_BASELINE_ITERATIONS})"
        )
    gpu = figures["gpu"].get("crops a second")
    print(f"\ncrops a second on a GPU ({machine()['GPU']}): {NOT_MEASURED if gpu is None else f'{gpu:.1f}'}")


if __name__ == "__main__":
    main()
