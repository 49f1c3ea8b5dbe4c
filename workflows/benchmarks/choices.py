"""What each choice in the preset `fast` buys: networks trained for equal time on one core.

    python workflows/benchmarks/choices.py --images DIR --val KODAK [--seconds 300] [--rows "demo,fast"]

The first rows lead from the preset `demo` to `fast`: fewer kernels, far apart, and fewer dimensions to weigh
them in; then a larger encoder for the time that this saves. The others are `fast` with one choice undone.
Every network has the same CPU seconds, decoding aside: the cost of a step is measured first, and the schedule
then spans as many steps as the time allows, so that other work on the machine changes little. PSNR is that of
centre crops of `--val` by the protocol `benchmark`.

Each training is a line of the JSON lines file as soon as it is done, and is not repeated where the file has
it already. Several processes may share a file, each with its `--rows`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ablation import hr_crop, recorded, standard_error
from measure import machine, parser, print_table, say, threads

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, PROTOCOLS, Budget, Preset, load, train
from sr_model.evaluation.protocol import score
from sr_model.training.train import LAST

SCALES = (2.0, 3.0, 4.0)
PROBE = 12
"""Steps that measure what one costs, the first of them not counted."""
FAST = "fast"


@dataclass(frozen=True)
class Row:
    """A network and its training that has a line in the table."""

    start: str
    """The preset that is changed."""
    network: Mapping[str, Any]
    """Settings of the network that differ."""
    training: Mapping[str, Any]
    """Settings of the training that differ."""

    def preset(self) -> Preset:
        base = PRESETS[self.start]
        return Preset(replace(base.network, **self.network), replace(base.train, **self.training))


def rows() -> dict[str, Row]:
    """All lines of the table by name, in order."""
    fast = PRESETS[FAST]
    cheaper = {field: getattr(fast.network, field) for field in ("dictionary_size", "latent")}
    made = {
        "demo": Row("demo", {}, {}),
        "demo with 64 kernels in 16 dimensions": Row("demo", cheaper, {}),
        FAST: Row(FAST, {}, {}),
    }
    undone = {
        "fast with all kernels": {"dictionary_size": None},
        "fast from a random start": {"interpolate": False},
        "fast without offsets": {"positions": "initial"},
        "fast with offsets up to half a pixel": {"drift": 0.5},
        "fast with one round kernel": {"covariance": "fixed"},
        "fast with kernels regressed in the same box": {"covariance": "bounded"},
        "fast blending Cholesky factors": {"blending": "cholesky"},
        "fast blending covariances": {"blending": "covariance"},
    }
    made |= {name: Row(FAST, network, {}) for name, network in undone.items()}
    made["fast at twice the rate"] = Row(FAST, {}, {"learning_rate": 2 * fast.train.learning_rate})
    made["fast at half the rate"] = Row(FAST, {}, {"learning_rate": fast.train.learning_rate / 2})
    return made


@dataclass(frozen=True)
class Contest:
    """What all trainings share."""

    dictionary: Dictionary
    """The prior."""
    training: list[Path]
    """Images to train on."""
    testing: list[Path]
    """Images that the table is about."""
    seconds: float
    """CPU time of each training."""
    seed: int
    """Of the first weights and of the crops."""
    log: Path
    """The JSON lines file."""

    def key(self, preset: Preset) -> str:
        """What a training is known by: all that could change its outcome."""
        everything = [
            asdict(preset), self.seed, self.seconds, self.dictionary.cholesky.tolist(),
            [path.name for path in (*self.training, *self.testing)],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]

    def result(self, name: str, preset: Preset) -> dict[str, Any]:
        """The record of a training, taken from the file or done now and added to it."""
        key = self.key(preset)
        if key in (done := recorded(self.log)):
            return done[key]
        cost = self.step_seconds(preset)
        steps = max(1, round(self.seconds / cost))
        say(f"{name}: {1e3 * cost:.0f} ms a step, {steps} steps")
        with tempfile.TemporaryDirectory() as folder:
            network = load(self.train(preset, steps, Path(folder)) / LAST)
        images = [hr_crop(path) for path in self.testing]
        scored = {
            f"x{scale:g}": [score(network, image, scale, PROTOCOLS["benchmark"]) for image in images]
            for scale in SCALES
        }
        record = {
            "key": key, "name": name, "steps": steps, "step, s": cost,
            "parameters": sum(p.numel() for p in network.parameters()), "CPU": machine()["CPU"],
            "psnr": {scale: [one.psnr for one in all_] for scale, all_ in scored.items()},
            "bicubic": {scale: [one.bicubic_psnr for one in all_] for scale, all_ in scored.items()},
        }  # fmt: skip
        with self.log.open("a") as file:
            file.write(json.dumps(record) + "\n")
        say(f"{name}: {in_words(record)}")
        return record

    def step_seconds(self, preset: Preset) -> float:
        """CPU time of a step, the median of a few."""
        stamps: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            self.train(preset, PROBE, Path(folder), lambda step, figures: stamps.append(time.process_time()))
        return statistics.median(after - before for before, after in pairwise(stamps))

    def train(self, preset: Preset, steps: int, out: Path, observe=lambda step, figures: None) -> Path:
        alone = replace(preset, train=replace(preset.train, validate_every=steps))
        train(
            self.dictionary, self.training, alone, out, budget=Budget(steps=steps), seed=self.seed,
            observe=observe,
        )  # fmt: skip
        return out


def shrunk(preset: Preset) -> Preset:
    """One that trains within a moment."""
    network = replace(preset.network, width=8, depth=1, features=8, embedding=(8,), hidden=(8,))
    return Preset(network, replace(preset.train, batch=2, crop=8, warmup=1))


def in_words(record: dict[str, Any]) -> str:
    return ", ".join(f"{scale} {statistics.fmean(psnr):.2f} dB" for scale, psnr in record["psnr"].items())


def report(records: Mapping[str, dict[str, Any]]) -> None:
    """The table, and by how much each row is better or worse than `fast` by image."""
    scales = [f"x{scale:g}" for scale in SCALES]
    lines = []
    for name, record in records.items():
        figures = [f"{statistics.fmean(record['psnr'][scale]):.2f}" for scale in scales]
        against = ""
        if FAST in records and name != FAST:
            pairs = zip(record["psnr"]["x4"], records[FAST]["psnr"]["x4"], strict=True)
            gaps = [ours - fast for ours, fast in pairs]
            against = f"{statistics.fmean(gaps):+.2f} ± {standard_error(np.array(gaps))}"
        size = f"{record['parameters'] / 1e3:,.0f} k"
        lines.append([name, size, f"{1e3 * record['step, s']:.0f}", str(record["steps"]), *figures, against])
    bicubic = next(iter(records.values()))["bicubic"]
    lines.append(
        ["bicubic", "", "", "", *(f"{statistics.fmean(bicubic[scale]):.2f}" for scale in scales), ""]
    )
    print_table(["network", "parameters", "ms a step", "steps", *scales, "x4 less fast's"], lines)


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    options = parser(__doc__.splitlines()[0], "choices.jsonl")
    options.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    options.add_argument("--prior", type=Path, help="the mined dictionary; the reference prior where none")
    options.add_argument("--images", type=Path, default=root / "data/samples/mining", help="to train on")
    options.add_argument("--val", type=Path, default=root / "data/samples/heldout", help="to measure on")
    options.add_argument("--seconds", type=float, default=300, help="CPU time of each training")
    options.add_argument("--seed", type=int, default=0, help="of the first weights and of the crops")
    options.add_argument("--rows", default=",".join(rows()), help="lines of the table")
    asked = options.parse_args()
    named = [name.strip() for name in asked.rows.split(",")]
    seconds = 0.1 if asked.quick else asked.seconds
    try:
        presets = {name: rows()[name].preset() for name in named}
        if asked.quick:
            presets = {name: shrunk(preset) for name, preset in presets.items()}
        prior = Dictionary.load(asked.prior) if asked.prior else Dictionary.reference()
        contest = Contest(
            prior, list_images(asked.images), list_images(asked.val), seconds, asked.seed, asked.out
        )
        with threads(1):
            records = {name: contest.result(name, preset) for name, preset in presets.items()}
    except KeyError as error:
        sys.exit(f"choices: --rows {error} is none of {', '.join(rows())}")
    except ValueError as error:  # all of this project's errors are ValueErrors
        sys.exit(f"choices: {error}")
    except KeyboardInterrupt:
        sys.exit(f"Interrupted: what is done is in {asked.out}, the same command goes on")
    about = machine()
    print(
        f"{len(contest.testing)} images of {asked.val.name}, luma; {seconds:g} CPU seconds on one core "
        f"of {about['CPU']}, {len(contest.training)} images, seed {asked.seed}\n"
    )
    report(records)


if __name__ == "__main__":
    main()
