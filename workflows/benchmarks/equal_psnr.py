"""How long `lattice` takes to reach the PSNR of `gaussianimage`, on the same C++ code: see fit.py.

Seconds are CPU time of this thread, which load on the machine disturbs less than wall time.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import numpy as np
from measure import print_progress, print_table, write_json

from dgp_mining.fitting.fit import fit_image

DENSITY = 0.18
"""Gaussians per pixel: GaussianImage's 70,000 on a whole Kodak image."""
SCHEDULES = (20, 30, 50, 100, 150, 200, 250, 300, 350, 400, 500, 600, 800, 1000, 1200, 2000, 4000)
"""Lengths of our schedules in iterations: a short one reaches a lower PSNR, sooner."""
ALL_TRY = 600
"""Schedules up to this are run on every crop, longer ones only until one reaches the crop's PSNR."""
LEAST_RATIO, AIM = 80, 300
"""Targets: least and desired speed-up of `lattice` over `gaussianimage` to equal PSNR."""
SETTING = "iterations of gaussianimage"

Row = dict[str, float]
"""One fit: iterations, seconds, seconds of wall time, psnr."""
Crop = dict[str, Row | list[Row]]
"""Both recipes on one crop: `gaussianimage` is one fit, `lattice` a fit for each schedule, ascending."""


def timed_fit(crop: np.ndarray, recipe: str, iterations: int) -> Row:
    began = time.process_time()
    fit = fit_image(crop, density=DENSITY, recipe=recipe, iterations=iterations)
    seconds = time.process_time() - began
    return {
        "iterations": iterations,
        "seconds": seconds,
        "seconds of wall time": fit.seconds,
        "psnr": fit.psnr,
    }


def measure(crops: dict[str, np.ndarray], iterations: int, path: Path, resume: bool) -> dict[str, Crop]:
    """Measure every crop and write it to `path` when done; with `resume`, keep what `path` already has."""
    done = _written(path, iterations) if resume else {}
    for number, (name, pixels) in enumerate(crops.items(), 1):
        if name not in done:
            done[name] = _measure_one(pixels, iterations)
            write_json(path, {SETTING: iterations, "equal PSNR": done})
        theirs, ours = done[name]["gaussianimage"], _reaching(done[name])
        print_progress(
            f"{number} of {len(crops)}, {name}: gaussianimage {theirs['psnr']:.2f} dB in "
            f"{theirs['seconds']:.1f} s, lattice {ours['psnr']:.2f} dB in {ours['seconds']:.2f} s, "
            f"ratio {theirs['seconds'] / ours['seconds']:.0f}"
        )
    return {name: done[name] for name in crops}


def _written(path: Path, iterations: int) -> dict[str, Crop]:
    try:
        figures = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} cannot be read ({error}): leave --resume out") from error
    if figures.get(SETTING) != iterations:
        raise SystemExit(f"{path} was made with other --iterations: name another file with --out")
    return figures["equal PSNR"]


def _measure_one(pixels: np.ndarray, iterations: int) -> Crop:
    theirs, ours = timed_fit(pixels, "gaussianimage", iterations), []
    for schedule in SCHEDULES:
        if schedule > ALL_TRY and any(row["psnr"] >= theirs["psnr"] for row in ours):
            break
        ours.append(timed_fit(pixels, "lattice", schedule))
    return {"gaussianimage": theirs, "lattice": ours}


def _reaching(crop: Crop) -> Row:
    """Return the fit by the shortest schedule that reaches the crop's PSNR; if none does, the best fit."""
    enough = (row for row in crop["lattice"] if row["psnr"] >= crop["gaussianimage"]["psnr"])
    return next(enough, max(crop["lattice"], key=lambda row: row["psnr"]))


def reaching_the_mean(crops: list[Crop]) -> list[Row]:
    """Return every crop's fit by the shortest schedule whose mean PSNR reaches that of `gaussianimage`; if
    none does, by the longest that was run on all crops."""
    goal = statistics.fmean(crop["gaussianimage"]["psnr"] for crop in crops)
    for fits in zip(*(crop["lattice"] for crop in crops), strict=False):
        if statistics.fmean(fit["psnr"] for fit in fits) >= goal:
            break
    return list(fits)


def report(equal: dict[str, Crop], iterations: int) -> None:
    crops = list(equal.values())
    theirs, each = [crop["gaussianimage"] for crop in crops], [_reaching(crop) for crop in crops]
    together = reaching_the_mean(crops)
    reached = sum(a["psnr"] >= b["psnr"] for a, b in zip(each, theirs, strict=True))
    print(f"\ntime to the PSNR of gaussianimage after {iterations} iterations; {len(crops)} crops, one core")
    rows = [
        _compared("gaussianimage", theirs, theirs),
        _compared(f"lattice, {together[0]['iterations']} iterations for all", together, theirs),
        _compared(f"lattice, crop by crop ({reached} of {len(crops)} reach it)", each, theirs),
    ]
    print_table(["recipe", "mean PSNR", "seconds", "ratio", "ratio of wall time", "target", "aim"], rows)


def _compared(name: str, fits: list[Row], theirs: list[Row]) -> list[str]:
    def times(kind: str) -> float:
        return sum(fit[kind] for fit in theirs) / sum(fit[kind] for fit in fits)

    target = [str(LEAST_RATIO), str(AIM)] if fits is not theirs else ["", ""]
    mean, seconds = statistics.fmean(fit["psnr"] for fit in fits), sum(fit["seconds"] for fit in fits)
    ratios = [f"{times('seconds'):.0f}", f"{times('seconds of wall time'):.0f}"]
    return [name, f"{mean:.2f} dB", f"{seconds:.2f} s", *ratios, *target]
