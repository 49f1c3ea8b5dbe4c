"""What each choice in the CPU's presets buys: networks trained for equal time on one core.

    python workflows/benchmarks/preset_choices.py --images DIR --val KODAK \
        [--seconds 300] [--rows "light,span"] [--encoder-weights spanx4_ch48.param]

The first rows lead to `light`: fewer kernels, far apart, and fewer dimensions to weigh them in; then a larger
encoder for the time that this saves. The others are `light`, `span` or `demo` with one choice undone. `span`
starts from SPAN's public weights, and is left out without `--encoder-weights`.
Every network has the same CPU seconds, not counting image decoding: the cost of a step is measured first,
and the schedule then spans as many steps as fit the time, so that other load on the machine changes little.
PSNR is measured on centre crops of `--val` by the protocol `benchmark`.

Each training adds a line to the JSON lines file as soon as it is done, and is not repeated if the file has it
already. Several processes may share a file, each with its own `--rows`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ablation import hr_crop, recorded, standard_error
from measure import machine, parser, print_progress, print_table, threads

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, Budget, Preset, TrainingCallback, load, train
from sr_model.evaluation.protocol import score, with_reduction
from sr_model.training.callbacks import StepDone
from sr_model.training.state import LAST

NETWORKS_ALONE = with_reduction("benchmark", "none")
"""The protocol, without the correction that makes results consistent with LR images."""
SCALES = (2.0, 3.0, 4.0)
PROBE = 12
"""Steps by which the cost of one is measured; the first is not counted."""
LIGHT, SPAN, DEMO = "light", "span", "demo"


@dataclass(frozen=True)
class Row:
    """One line of the table: a network and its training."""

    start: str
    """Name of the preset that is changed."""
    network: Mapping[str, Any]
    """Network settings that differ from the preset."""
    training: Mapping[str, Any]
    """Training settings that differ from the preset."""
    public: bool = False
    """Whether the encoder starts from public weights."""

    def preset(self) -> Preset:
        base = PRESETS[self.start]
        return Preset(replace(base.network, **self.network), replace(base.train, **self.training))


def rows() -> dict[str, Row]:
    """Return all lines of the table by name, in order."""
    light = PRESETS[LIGHT]
    narrow = {"width": 48, "depth": 6}
    made = {
        "narrow light with all kernels": Row(LIGHT, {**narrow, "dictionary_size": None, "latent": 32}, {}),
        "narrow light": Row(LIGHT, narrow, {}),
        LIGHT: Row(LIGHT, {}, {}),
    }
    undone = {
        "light with all kernels": {"dictionary_size": None},
        "light from a random start": {"interpolate": False},
        "light without offsets": {"positions": "initial"},
        "light with offsets up to half a pixel": {"drift": 0.5},
        "light with one round kernel": {"covariance": "fixed"},
        "light with kernels regressed in the same box": {"covariance": "bounded"},
        "light blending Cholesky factors": {"blending": "cholesky"},
        "light blending covariances": {"blending": "covariance"},
    }
    made |= {name: Row(LIGHT, network, {}) for name, network in undone.items()}
    made["light at twice the rate"] = Row(LIGHT, {}, {"learning_rate": 2 * light.train.learning_rate})
    made["light at half the rate"] = Row(LIGHT, {}, {"learning_rate": light.train.learning_rate / 2})
    return made | span_rows() | demo_rows()


def demo_rows() -> dict[str, Row]:
    """Return the lines of the table about the preset `demo`."""
    changed: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        DEMO: ({}, {}),
        "demo with 4 Gaussians a pixel": ({"cells": 2}, {}),
        "demo with a margin of a pixel": ({"margin": 1}, {}),
        "demo with 48 channels": ({"width": 48}, {}),
        "demo with RLFN's encoder": ({"encoder": "rlfn", "depth": 4}, {}),
        "demo with SPAN's encoder": ({"encoder": "span", "depth": 4}, {}),
        "demo in batches of 8": ({}, {"batch": 8}),
        "demo from x1": ({}, {"scales": (1.0, 4.5)}),
        "demo at half the rate": ({}, {"learning_rate": PRESETS[DEMO].train.learning_rate / 2}),
        "demo at twice the rate": ({}, {"learning_rate": 2 * PRESETS[DEMO].train.learning_rate}),
    }
    return {name: Row(DEMO, network, training) for name, (network, training) in changed.items()}


def span_rows() -> dict[str, Row]:
    """Return the lines of the table about the preset `span`.

    Most are trained as the reference model's heads were: on SPAN's public weights, which stay as they are.
    """
    rate = PRESETS[SPAN].train.learning_rate
    frozen = {"freeze": "encoder", "learning_rate": 2 * rate}
    changed: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        SPAN: ({}, {}),
        "span without SPAN's upsampler": ({"upsampler": False}, {}),
        "span with 9 Gaussians a pixel": ({"cells": 3, "upsampler": False}, {}),
        "span with 4 Gaussians a pixel": ({"cells": 2, "upsampler": False}, {}),
        "span with a margin of a pixel": ({"margin": 1}, {}),
        "span rendering sums": ({"normalised": False, "margin": 1}, {}),
        "span rendering points": ({"footprint": False}, {}),
        "span with one round kernel": ({"covariance": "fixed"}, {}),
        "span without offsets": ({"positions": "initial"}, {}),
        "span with all kernels": ({"dictionary_size": None}, {}),
        "span without hidden layer": ({"neck": ()}, {}),
        "span with a hidden layer of each head": ({"neck": (), "hidden": (32,)}, {}),
        "span without limits where flat": ({"contrast": 0.0}, {}),
        "span with L2": ({}, {"loss": "l2"}),
        "span with the frequency loss": ({}, {"frequency_loss": 0.05}),
        "span with crops of 48": ({}, {"crop": 48, "batch": 4}),
        "span from x2": ({}, {"scales": (2.0, 4.5)}),
    }
    made = {
        name: Row(SPAN, network, {**frozen, **training}, public=True)
        for name, (network, training) in changed.items()
    }
    made["span with its encoder trained too"] = Row(SPAN, {}, {}, public=True)
    made["span with its encoder trained at a third of the rate"] = Row(
        SPAN, {}, {"learning_rate": rate / 3}, public=True
    )
    made["span from random weights"] = Row(SPAN, {}, {})
    made["span from random weights with EDSR's encoder"] = Row(SPAN, {"encoder": "edsr"}, {})
    return made


@dataclass(frozen=True)
class Contest:
    """Settings and data shared by all trainings."""

    dictionary: Dictionary
    """The prior."""
    training: list[Path]
    """Images to train on."""
    testing: list[Path]
    """Images on which PSNR is measured."""
    seconds: float
    """CPU time of each training."""
    seed: int
    """Seed of the initial weights and of the crops."""
    log: Path
    """The JSON lines file."""
    public: Path | None
    """Public weights of the encoder."""

    def key(self, preset: Preset, public: bool) -> str:
        """Identify a training by a hash of everything that could change its outcome."""
        everything = [
            asdict(preset), self.seed, self.seconds, self.dictionary.cholesky.tolist(), public,
            [path.name for path in (*self.training, *self.testing)],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]

    def result(self, name: str, preset: Preset, public: bool) -> dict[str, Any]:
        """Return a training's record, from the file or, if it is not there yet, by training now."""
        key = self.key(preset, public)
        if key in (done := recorded(self.log)):
            return done[key]
        cost = self.step_seconds(preset, public)
        steps = max(1, round(self.seconds / cost))
        print_progress(f"{name}: {1e3 * cost:.0f} ms a step, {steps} steps")
        with tempfile.TemporaryDirectory() as folder:
            network = load(self.train(preset, public, steps, Path(folder)) / LAST)
        images = [hr_crop(path) for path in self.testing]
        scored = {
            f"x{scale:g}": [score(network, image, scale, NETWORKS_ALONE) for image in images]
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
        print_progress(f"{name}: {in_words(record)}")
        return record

    def step_seconds(self, preset: Preset, public: bool) -> float:
        """Return the CPU time of a step, the median of a few."""
        with tempfile.TemporaryDirectory() as folder:
            self.train(preset, public, PROBE, Path(folder), [clock := StepClock()])
        return statistics.median(after - before for before, after in pairwise(clock.stamps))

    def train(
        self,
        preset: Preset,
        public: bool,
        steps: int,
        out: Path,
        callbacks: Sequence[TrainingCallback] = (),
    ) -> Path:
        alone = replace(preset, train=replace(preset.train, validate_every=steps))
        train(
            self.dictionary, self.training, alone, out, budget=Budget(steps=steps), seed=self.seed,
            callbacks=callbacks, encoder_weights=self.public if public else None,
        )  # fmt: skip
        return out


class StepClock(TrainingCallback):
    """CPU time after each step."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    def on_step(self, done: StepDone) -> None:
        self.stamps.append(time.process_time())


def shrunk(preset: Preset) -> Preset:
    """Return a small version of `preset` that trains in a moment."""
    network = replace(preset.network, width=8, depth=1, features=8, embedding=(8,))
    network = replace(network, hidden=network.hidden and (8,), neck=network.neck and (8,))
    return Preset(network, replace(preset.train, batch=2, crop=8, warmup=1))


def in_words(record: dict[str, Any]) -> str:
    return ", ".join(f"{scale} {statistics.fmean(psnr):.2f} dB" for scale, psnr in record["psnr"].items())


def report(records: Mapping[str, dict[str, Any]]) -> None:
    """Print the table, with each row's difference from `light` or `span`, paired by image."""
    scales = [f"x{scale:g}" for scale in SCALES]
    lines = []
    for name, record in records.items():
        figures = [f"{statistics.fmean(record['psnr'][scale]):.2f}" for scale in scales]
        against = ""
        base = SPAN if name != SPAN and name in span_rows() else LIGHT
        if base in records and name != base:
            pairs = zip(record["psnr"]["x4"], records[base]["psnr"]["x4"], strict=True)
            gaps = [ours - theirs for ours, theirs in pairs]
            against = f"{statistics.fmean(gaps):+.2f} ± {standard_error(np.array(gaps))}"
        size = f"{record['parameters'] / 1e3:,.0f} k"
        lines.append([name, size, f"{1e3 * record['step, s']:.0f}", str(record["steps"]), *figures, against])
    bicubic = next(iter(records.values()))["bicubic"]
    lines.append(
        ["bicubic", "", "", "", *(f"{statistics.fmean(bicubic[scale]):.2f}" for scale in scales), ""]
    )
    titles = ["network", "parameters", "ms a step", "steps", *scales, "x4 minus light's or span's"]
    print_table(titles, lines)


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    options = parser(__doc__.splitlines()[0], "preset_choices.jsonl")
    options.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    options.add_argument("--prior", type=Path, help="the mined dictionary; default: the reference prior")
    mining = root / "data/samples/mining"
    options.add_argument("--images", type=Path, nargs="+", default=[mining], help="folders to train on")
    options.add_argument("--val", type=Path, default=root / "data/samples/heldout", help="to measure on")
    options.add_argument("--seconds", type=float, default=300, help="CPU time of each training")
    options.add_argument("--seed", type=int, default=0, help="of the initial weights and the crops")
    options.add_argument("--rows", default=",".join(rows()), help="lines of the table")
    options.add_argument("--encoder-weights", type=Path, help="SPAN's, 48 channels wide and 6 blocks deep")
    asked = options.parse_args()
    named = [name.strip() for name in asked.rows.split(",")]
    seconds = 0.1 if asked.quick else asked.seconds
    try:
        chosen = {name: rows()[name] for name in named}
        presets = {
            name: row.preset() for name, row in chosen.items() if asked.encoder_weights or not row.public
        }
        if asked.quick:
            presets = {name: shrunk(preset) for name, preset in presets.items()}
        prior = Dictionary.load(asked.prior) if asked.prior else Dictionary.reference()
        contest = Contest(
            prior,
            [path for folder in asked.images for path in list_images(folder)],
            list_images(asked.val),
            seconds,
            asked.seed,
            asked.out,
            asked.encoder_weights,
        )
        with threads(1):
            records = {
                name: contest.result(name, preset, chosen[name].public) for name, preset in presets.items()
            }
    except KeyError as error:
        sys.exit(f"preset_choices: --rows {error} is not one of {', '.join(rows())}")
    except ValueError as error:  # all of this project's errors are ValueErrors
        sys.exit(f"preset_choices: {error}")
    except KeyboardInterrupt:
        sys.exit(f"Interrupted: finished trainings are in {asked.out}; repeat the command to continue")
    about = machine()
    print(
        f"{len(contest.testing)} images of {asked.val.name}, luma; {seconds:g} CPU seconds on one core "
        f"of {about['CPU']}, {len(contest.training)} images, seed {asked.seed}\n"
    )
    report(records)


if __name__ == "__main__":
    main()
