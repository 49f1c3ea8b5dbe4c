"""The commands of a small run, and comparisons of their results."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.store.columns import RESULT
from dgp_mining.store.crop_results import DONE
from dgp_mining.store.integrity import StoreError
from dgp_mining.store.store import Store
from dgp_mining.store.verify import verify

FIT = "dgp_mining.fitting.fit"

SETTINGS = Settings(crop=16, iterations=3000)


def fit_command(photos: Path, store: Path | str, crops: int, fitter: str = FIT) -> list[str]:
    """`dgp-mine fit` of crops that take some hundredths of a second each."""
    program = (
        f"import functools, dgp_mining.mining as m; m.mine = functools.partial(m.mine, fitter={fitter!r});"
        "from dgp_mining.cli import main; main()"
    )
    options = ["--images", photos, "--store", store, "--max-crops", crops]
    settings = ["--crop", SETTINGS.crop, "--iterations", SETTINGS.iterations]
    return [sys.executable, "-c", program, "fit", *map(str, [*options, *settings])]


def undisturbed_run(photos: Path, store: Path, crops: int, fitter: str = FIT) -> Path:
    """Make the same store as `fit_command`, in this process; return its path."""
    mine(photos, store, replace(SETTINGS, max_crops=crops), scheduler="sync", fitter=fitter)
    return store


def run(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its messages must be sentences, not tracebacks."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def finished(store: Path | str) -> int:
    """Number of crops in a store, which others may be writing or which may not exist yet."""
    try:
        return int((~Store.open(store).unfinished()).sum())
    except StoreError:
        return 0


def dictionary(store: Path | str, out: Path) -> bytes:
    """The bytes of the dictionary that is built from a store."""
    build_dictionary(store).save(out)
    return out.read_bytes()


def rows(store: Path | str) -> dict[str, np.ndarray]:
    """A store's records of each crop, in the order of its crops, without the seconds of its fit."""
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
    """Assert that each crop is there once, as in an undisturbed run, with a byte-identical dictionary."""
    assert verify(disturbed).damage == []
    found, expected = rows(disturbed), rows(undisturbed)
    places = np.column_stack([found["image"], found["position"]])
    assert len(np.unique(places, axis=0)) == len(places) == len(expected["image"])
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)
    assert dictionary(disturbed, scratch / "a.npz") == dictionary(undisturbed, scratch / "b.npz")


def chance_of_this_run() -> random.Random:
    """Random numbers; CHAOS_SEED=... repeats those of a run that failed."""
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"CHAOS_SEED={seed}")  # pytest shows the output of a test that fails
    return random.Random(seed)


def moments(chance: random.Random, count: int, crops: int) -> list[int]:
    """Increasing random numbers of finished crops, none so large that the run would be over first."""
    return sorted(chance.sample(range(1, int(0.9 * crops)), count))
