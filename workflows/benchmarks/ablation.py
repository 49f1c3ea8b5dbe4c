"""What the dictionary buys: networks that differ in where their kernels come from, trained alike.

    python workflows/benchmarks/ablation.py --prior dict.npz --images DIR --val KODAK

Each variant changes settings of one preset. Its kernels are blended from the mined dictionary, from the
ContinuousSR table, from the eight corners of the mined dictionary's box, or from uniform kernels; or there is
one fixed round kernel; or there is no dictionary, and kernels are regressed, within the mined box or freely.
Variants are crossed with the start (bicubic interpolation, or random weights), and those that blend with the
space they blend in.

Every network has the same budget of steps, crops and images. A variant's learning rate is the one of
`--rates` that does best on images held out of the training, in a run with its own seed and the full budget.
`--seeds` networks are then trained at that rate and measured on `--val`. Differences are paired by image: a
variant's PSNR minus that of the mined dictionary with the same start and blending, both averaged over seeds.
The standard error is over images; the one over seeds follows in parentheses.

Each training adds a line to the JSON lines file as soon as it is done, and is not repeated if the file has it
already: interrupt and repeat the command as you like, or add seeds, rates and variants later.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import machine, parser, print_progress
from usage import usage

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import read_rgb
from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, Budget, Preset, TrainingError, load, train
from sr_model.evaluation.protocol import low_resolution, score, with_reduction
from sr_model.networks.base import Network
from sr_model.training.image_cache import default_cache
from sr_model.training.samples import held_out_images, largest_crop
from sr_model.training.validation import centre_crop

NETWORKS_ALONE = with_reduction("benchmark", "none")
"""The protocol, without the correction that makes results consistent with LR images."""
MINED = "mined dictionary"
RELEASED_BOX = (0.0, 2.36, -0.86, 1.54, 0.0, 2.23)
"""Lowest and highest l11, l21, l22 of the ContinuousSR table, in pixels at x4. The paper's own K1 and K2
could not be established; here K1 is this box, and K2 the one of twice its width around the same centre, from
0 for the diagonal."""
WIDER_BOX = (0.0, 3.54, -2.06, 2.74, 0.0, 3.345)
VARIANTS: dict[str, dict[str, Any]] = {
    MINED: {},
    "64 of its kernels": {"dictionary_size": 64},
    "ContinuousSR table": {"dictionary": "released"},
    "eight box corners": {"dictionary": "corners"},
    "uniform K1": {"dictionary": "uniform", "dictionary_size": 730, "dictionary_range": RELEASED_BOX},
    "uniform K2": {"dictionary": "uniform", "dictionary_size": 730, "dictionary_range": WIDER_BOX},
    "one fixed round kernel": {"covariance": "fixed"},
    "bounded direct regression": {"covariance": "bounded"},
    "no dictionary": {"covariance": "direct"},
}
BLENDINGS = ("sqrt", "cholesky", "covariance")
STARTS = ("interpolator", "random")
TUNING_SEED = 1000
LEGEND = """\
*: the best rate is the lowest or highest that was tried. Entropy: of the weights over the dictionary,
divided by its maximum, log K. Sigma: fourth root of a kernel's determinant, in grid spacings. The file has
histograms."""
LIGHT = PRESETS["light"]
SMALL = Preset(
    replace(LIGHT.network, width=24, depth=3, dictionary_size=None),
    replace(LIGHT.train, batch=8, crop=14, warmup=20, ema=0.99),
)
"""Small enough for many trainings: a step takes some 40 ms on one core."""
BASES = {"small": SMALL, **{name: PRESETS[name] for name in ("demo", "light", "paper")}}
SCALE = 4.0
SIDE = 256
"""PSNR is measured on centre crops of at most this many HR pixels a side."""


@dataclass(frozen=True)
class Cell:
    """One row of the table: a way to train a network."""

    variant: str
    """A key of VARIANTS."""
    start: str
    """One of STARTS."""
    blending: str
    """One of BLENDINGS; the first if the variant has no dictionary to blend."""

    @property
    def blends(self) -> bool:
        """Whether the network blends kernels from a dictionary."""
        return "covariance" not in VARIANTS[self.variant]

    def preset(self, base: Preset) -> Preset:
        """`base` with this cell's settings."""
        changed = {
            "interpolate": self.start == "interpolator",
            "blending": self.blending,
            **VARIANTS[self.variant],
        }
        return replace(base, network=replace(base.network, **changed))


@dataclass(frozen=True)
class Study:
    """Settings and data shared by all trainings."""

    base: Preset
    """The preset whose settings the variants change."""
    dictionary: Dictionary
    """The mined dictionary."""
    training: list[Path]
    """Images to train on."""
    tuning: list[Path]
    """Images by which the rate is chosen."""
    testing: list[Path]
    """Images on which the table's PSNR is measured."""
    log: Path
    """The JSON lines file."""

    def key(self, cell: Cell, rate: float, seed: int) -> str:
        """Identify a training by a hash of everything that could change its outcome."""
        everything = [
            asdict(cell.preset(self.base)), rate, seed, self.dictionary.cholesky.tolist(),
            [path.name for path in (*self.training, *self.tuning, *self.testing)],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]

    def result(self, cell: Cell, rate: float, seed: int) -> dict[str, Any]:
        """Return a training's record, from the file or, if it is not there yet, by training now."""
        key = self.key(cell, rate, seed)
        if key in (done := recorded(self.log)):
            return done[key]
        began = time.perf_counter()
        tuning = seed == TUNING_SEED
        outcome = self.outcome(cell, rate, seed, self.tuning if tuning else self.testing)
        record = {
            "key": key, **asdict(cell), "rate": rate, "seed": seed, "steps": self.base.train.steps,
            "phase": "tuning" if tuning else "testing", "seconds": time.perf_counter() - began, **outcome,
        }  # fmt: skip
        with self.log.open("a") as file:
            file.write(json.dumps(record) + "\n")
        psnr = f"{mean_psnr(record):.3f} dB" if record["psnr"] else record["failed"]
        print_progress(f"{cell.variant}, {cell.start}, {cell.blending}, rate {rate:g}, seed {seed}: {psnr}")
        return record

    def outcome(self, cell: Cell, rate: float, seed: int, images: Sequence[Path]) -> dict[str, Any]:
        """Train; return PSNR by image and how the dictionary was used, or why the training failed."""
        preset = cell.preset(self.base)
        preset = replace(preset, train=replace(preset.train, learning_rate=rate))
        with tempfile.TemporaryDirectory() as folder:
            try:
                budget = Budget(steps=preset.train.steps)
                out = Path(folder, "run")
                train(self.dictionary, self.training, preset, out, budget=budget, seed=seed)
            except TrainingError as error:  # a start that its kernels cannot give, or a rate that diverges
                return {"psnr": {}, "failed": str(error)}
            network = load(out / "last.safetensors")
        measured = {path.name: measure(network, path) for path in images}
        used = usage(network, [lr_crop(path) for path in images])
        return {
            "psnr": {name: psnr for name, (psnr, _) in measured.items()},
            "bicubic": {name: bicubic for name, (_, bicubic) in measured.items()},
            "usage": used,
        }


def recorded(log: Path) -> dict[str, dict[str, Any]]:
    """Read the trainings in a JSON lines file, by key; ignore a last line that was cut short."""
    found = {}
    for line in log.read_text().splitlines() if log.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "key" in record:
            found[record["key"]] = record
    return found


def hr_crop(path: Path) -> torch.Tensor:  # [3, H, W] uint8
    pixels = (read_rgb(path) * 255 + 0.5).astype(np.uint8)
    return torch.from_numpy(centre_crop(pixels, SIDE).copy()).permute(2, 0, 1)


def lr_crop(path: Path) -> torch.Tensor:  # [3, h, w] float32
    return low_resolution(hr_crop(path), SCALE, "matlab")[0] / 255


def measure(network: Network, path: Path) -> tuple[float, float]:
    """Return the PSNR of the network and of bicubic interpolation, by the `benchmark` protocol."""
    scored = score(network, hr_crop(path), SCALE, NETWORKS_ALONE)
    return scored.psnr, scored.bicubic_psnr


def mean_psnr(record: dict[str, Any]) -> float:
    """Mean over images; minus infinity for a training that failed."""
    return statistics.fmean(record["psnr"].values()) if record["psnr"] else -np.inf


def cells(variants: Sequence[str], starts: Sequence[str], blendings: Sequence[str]) -> Iterator[Cell]:
    """Cross all variants with all starts, and those that blend with all blendings."""
    for variant, start in product(variants, starts):
        for blending in blendings if Cell(variant, start, "").blends else blendings[:1]:
            yield Cell(variant, start, blending)


@dataclass(frozen=True)
class Row:
    """The result of a cell."""

    cell: Cell
    rate: float
    """The best learning rate."""
    at_edge: bool
    """Whether that is the lowest or highest rate that was tried: a rate beyond it might be better."""
    records: list[dict[str, Any]]
    """One for each seed."""

    def psnr(self) -> np.ndarray | None:  # [seeds, images]
        """None if a seed failed."""
        if not all(record["psnr"] for record in self.records):
            return None
        return np.array([list(record["psnr"].values()) for record in self.records])


def carry_out(study: Study, cell: Cell, rates: Sequence[float], seeds: int) -> Row:
    """Tune a cell's rate and train its networks."""
    tuned = {rate: mean_psnr(study.result(cell, rate, TUNING_SEED)) for rate in rates}
    best = max(tuned, key=tuned.__getitem__)
    at_edge = len(rates) > 1 and best in (min(rates), max(rates))
    return Row(cell, best, at_edge, [study.result(cell, best, seed) for seed in range(seeds)])


def difference(row: Row, base: Row) -> str:
    """Format the mean difference of PSNR with its standard errors over images and over seeds."""
    ours, theirs = row.psnr(), base.psnr()
    if ours is None or theirs is None:
        return "failed"
    by_image, by_seed = (ours - theirs).mean(0), (ours - theirs).mean(1)
    return f"{by_image.mean():+.3f} ± {standard_error(by_image)} ({standard_error(by_seed)})"


def standard_error(values: np.ndarray) -> str:
    return f"{values.std(ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else "?"


def markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    bases = {(row.cell.start, row.cell.blending): row for row in rows if row.cell.variant == MINED}
    lines = [
        "| variant | start | blending | rate | PSNR, dB | minus the mined dictionary's ± over images (seeds) "
        "| entropy | kernel sigma, 5 % to 95 % | offsets at their limit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        base, psnr = bases.get((row.cell.start, row.cell.blending)), row.psnr()
        over_mined = "" if base in (None, row) else difference(row, base)
        cells = [
            row.cell.variant,
            row.cell.start,
            row.cell.blending if row.cell.blends else "",
            f"{row.rate:g}{'*' if row.at_edge else ''}",
            "failed" if psnr is None else f"{psnr.mean():.3f}",
            over_mined,
            *([""] * 3 if psnr is None else used_in_words([record["usage"] for record in row.records])),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def used_in_words(used: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table's last three cells, averaged over seeds."""

    def average(*names: str) -> list[float]:
        return [statistics.fmean(one[name] for one in used) for name in names]

    entropy = f"{average('entropy')[0]:.2f}" if "entropy" in used[0] else ""
    low, high = average("sigma 5 %", "sigma 95 %")
    return [entropy, f"{low:.2f} to {high:.2f}", f"{average('saturated')[0]:.1%}"]


def quick_preset() -> Preset:
    """A preset that trains in a moment."""
    network = replace(SMALL.network, width=8, depth=1, features=8, latent=8, embedding=(8,), hidden=(8,))
    return Preset(network, replace(SMALL.train, batch=2, crop=8, scales=(2.0, 4.0), warmup=1))


def chosen(text: str, known: Sequence[str], option: str) -> list[str]:
    """Split names at commas; exit with a sentence if one is unknown."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            sys.exit(f"ablation: {option} {name!r} is not one of {', '.join(known)}")
    return names


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    options = parser(__doc__.splitlines()[0], "ablation.jsonl")
    options.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    options.add_argument("--prior", type=Path, required=True, help="the mined dictionary")
    options.add_argument(
        "--images", type=Path, default=root / "data" / "samples" / "mining", help="to train on"
    )
    options.add_argument(
        "--val", type=Path, default=root / "data" / "samples" / "heldout", help="to measure on"
    )
    options.add_argument(
        "--preset", default="small", choices=list(BASES), help="preset whose settings the variants change"
    )
    options.add_argument("--steps", type=int, default=300, help="budget of each training")
    options.add_argument("--seeds", type=int, default=5, help="networks of each cell")
    options.add_argument("--rates", default="5e-4,1e-3,2e-3", help="learning rates to choose from")
    options.add_argument("--variants", default=",".join(VARIANTS), help="rows of the table")
    options.add_argument("--starts", default=",".join(STARTS), help="crossed with all variants")
    options.add_argument("--blendings", default=",".join(BLENDINGS), help="crossed with variants that blend")
    arguments = options.parse_args()
    chosen_cells = list(
        cells(
            chosen(arguments.variants, list(VARIANTS), "--variants"),
            chosen(arguments.starts, STARTS, "--starts"),
            chosen(arguments.blendings, BLENDINGS, "--blendings"),
        )
    )
    if min(arguments.steps, arguments.seeds) < 1:
        sys.exit("ablation: --steps and --seeds must be 1 or more")
    base = quick_preset() if arguments.quick else BASES[arguments.preset]
    base = replace(base, train=replace(base.train, steps=arguments.steps, validate_every=arguments.steps))
    try:
        rates = [float(rate) for rate in arguments.rates.split(",")]
        paths = list_images(arguments.images)
        tuning = held_out_images(paths, smallest=largest_crop(base.train)[0], cache=default_cache())
        training = [path for path in paths if path not in tuning]
        study = Study(
            base, Dictionary.load(arguments.prior), training, tuning or training,
            list_images(arguments.val), arguments.out,
        )  # fmt: skip
        trainings = len(chosen_cells) * (len(rates) + arguments.seeds)
        print_progress(f"{len(chosen_cells)} cells, at most {trainings} trainings of {arguments.steps} steps")
        rows = [carry_out(study, cell, rates, arguments.seeds) for cell in chosen_cells]
    except (ValueError, OSError) as error:  # all of this project's errors are ValueErrors
        sys.exit(f"ablation: {error}")
    except KeyboardInterrupt:
        sys.exit(f"Interrupted: finished trainings are in {arguments.out}; repeat the command to continue")
    about = machine()
    print(
        f"x{SCALE:g}, {len(study.testing)} images of {arguments.val.name}, luma; {arguments.steps} steps of "
        f"{base.train.batch} crops, {arguments.seeds} seeds; {about['CPU']}, GPU: {about['GPU']}"
    )
    print(f"\n{markdown(rows)}\n\n{LEGEND}")


if __name__ == "__main__":
    main()
