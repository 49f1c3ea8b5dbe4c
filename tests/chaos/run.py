"""The commands of a small run, and what is compared of what they leave."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dgp_mining.store.columns import RESULT
from dgp_mining.store.crop_results import DONE
from dgp_mining.store.integrity import StoreError
from dgp_mining.store.store import Store

CROPS = 320

DGP_MINE = [sys.executable, "-c", "from dgp_mining.cli import main; main()"]


def fit_command(photos: Path, store: Path | str, crops: int = CROPS) -> list[str]:
    """`dgp-mine fit` of crops that take some hundredths of a second each."""
    options = ["--images", photos, "--store", store, "--crop", 16, "--max-crops", crops, "--iterations", 3000]
    return [*DGP_MINE, "fit", *map(str, options)]


def run(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must say what it has to say in sentences."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def finished(store: Path | str) -> int:
    """Crops that are in a store which others are writing, or which is not there yet."""
    try:
        return int((~Store.open(store).unfinished()).sum())
    except StoreError:
        return 0


def dictionary(store: Path | str, out: Path) -> bytes:
    """The bytes of the dictionary that `dgp-mine` makes of a store."""
    built = run(*DGP_MINE, "dictionary", "build", "--store", str(store), "--out", str(out))
    assert built.returncode == 0, built.stderr
    return out.read_bytes()


def rows(store: Path | str) -> dict[str, np.ndarray]:
    """What a store says of each crop, in the order of its crops, less the time that it took."""
    opened = Store.open(store)
    image, position = opened.plan.image, opened.plan.position
    assert (opened.status == DONE).all()
    return {
        "image": image,
        "position": position,
        "result": np.delete(opened.at().results, RESULT.index("seconds"), axis=1),
        "counts": opened.statistics.counts,
        "samples": opened.samples(np.arange(len(image))),
    }


def assert_same_run(disturbed: Path | str, undisturbed: Path | str, scratch: Path) -> None:
    """Each crop is there once, as it would be had nothing happened, and the dictionary is the same file."""
    verified = run(*DGP_MINE, "verify", "--store", str(disturbed))
    assert verified.returncode == 0, verified.stdout
    found, expected = rows(disturbed), rows(undisturbed)
    places = np.column_stack([found["image"], found["position"]])
    assert len(np.unique(places, axis=0)) == len(places) == len(expected["image"])
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)
    assert dictionary(disturbed, scratch / "a.npz") == dictionary(undisturbed, scratch / "b.npz")


def chance_of_this_run() -> random.Random:
    """CHAOS_SEED=... repeats what is drawn in a run that failed."""
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"CHAOS_SEED={seed}")  # which pytest shows of a test that has failed
    return random.Random(seed)


def moments(chance: random.Random, count: int, crops: int) -> list[int]:
    """Increasing numbers of finished crops, at random, none so late that the run would be over first."""
    return sorted(chance.sample(range(1, int(0.9 * crops)), count))
