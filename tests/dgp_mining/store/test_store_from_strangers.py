"""Stores from strangers: what they say of themselves is checked, and refused in one sentence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mutations import is_one_sentence, nested, outcome
from strange_stores import (
    attributes_of,
    describe,
    part_of,
)

from dgp_mining.cli import main
from dgp_mining.planning.plan import Plan, choose_crops
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.store.description import FREE_CROPS, FREE_IMAGES
from dgp_mining.store.integrity import StoreError
from dgp_mining.store.store import Store


def refused(store: Path) -> str:
    """The one sentence with which a store is refused, by all that reads it."""
    _, said = outcome(lambda: Store.open(store).plan, StoreError)
    assert said
    assert is_one_sentence(said)
    status = CliRunner().invoke(main, ["status", "--store", str(store)])
    assert status.exit_code == 1
    assert status.stderr.splitlines()[-1].startswith("Error: ")
    return said


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"parts": "../.."}, "parts must be a list, not text"),
        ({"parts": ["../.."]}, "cannot have a part '../..'"),
        ({"parts": [3]}, "must be text, not a whole number"),
        ({"parts": ["0" * 16]}, "is damaged"),
        ({"parts": ["0" * 16] * 2}, "has a part twice"),
        ({"parts": {"a": 1}}, "parts must be a list"),
        ({"versions": [1]}, "versions must be a table"),
        ({"versions": {"numpy": 2}}, "must be text"),
        ({"settings": 5}, "settings must be a table"),
        ({"settings": nested(900)}, "nested more than 50 levels deep|recursion"),
        ({"settings": {"a\x1b[2J\n": 1}}, "another version"),
        ({"format": "dgp-store/" + "9" * 5000}, "is not a store of dgp-mine"),
    ],
)
def test_attributes_of_other_types_are_refused(store: Path, changed: dict, reason: str) -> None:
    describe(store, attributes_of(store) | changed)
    assert re.search(reason, refused(store))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crop", True), ("crop", "256"), ("crop", 256.5), ("crop", -1), ("crop", 10**9), ("crop", 10**20),
        ("density", "0.25"), ("density", -0.25), ("density", float("nan")), ("density", 1e30),
        ("density", None), ("iterations", None), ("iterations", 10**12), ("seed", -1), ("max_crops", 0),
        ("keep_fields", 1), ("keep_fields", "no"), ("recipe", "own"), ("backend", "../x"), ("backend", 3),
        ("fit", []), ("statistics", None), ("fit.start_sigma", "x"), ("fit.rate_mean", float("inf")),
        ("statistics.bins", 80.5), ("statistics.ranges", [[0, 1, 2]]),
    ],
)  # fmt: skip
def test_settings_of_other_types_and_ranges_are_refused_by_their_name(
    store: Path, name: str, value: object
) -> None:
    about = attributes_of(store)
    *groups, last = name.split(".")
    holder = about["settings"]
    for group in groups:
        holder = holder[group]
    holder[last] = value
    describe(store, about)
    assert last in refused(store)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"crops": 2 * 10**8}, "claims 200,000,000 crops, and their files have only"),
        ({"images": 2 * 10**8}, "claims 200,000,000 images, and their files have only"),
        ({"crops": 10**30}, "below 2"),
        ({"crops": -1}, "crops must be from 0"),
        ({"crops": True}, "crops must be a whole number"),
        ({"crops": 4.0}, "crops must be a whole number"),
        ({"crops": "4"}, "crops must be a whole number"),
        ({"crops": None}, "crops must be a whole number"),
        ({"chunk": 0}, "chunk must be from 1"),
        ({"chunk": 10**12}, "chunk must be from 1"),
        ({"gaussians": 10**9}, "gaussians must be at most"),
        ({"snapshots": 10**6}, "snapshots must be 2"),
        ({"folder": 3}, "folder must be text or null"),
    ],
)
def test_the_extent_of_a_part_is_refused_by_the_name_of_the_number(
    store: Path, changed: dict, reason: str
) -> None:
    describe(part_of(store), attributes_of(part_of(store)) | changed)
    assert reason in refused(store)


def in_little_memory(code: str, store: Path, seconds: int = 60) -> str:
    """Run code in a process that can allocate 200 MB beyond its imports; its output."""
    program = f"""
import resource, sys
from dgp_mining.cli import main
from dgp_mining.planning.plan import Plan, choose_crops
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.retry import TEMPORARY
from dgp_mining.store.store import Store
from dgp_mining.store import verify, summary
import dgp_mining.prior.soundness
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000 + 400_000_000,) * 2)  # threads take addresses
store = sys.argv[1]
{code}
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", program, str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_part_a_million_times_and_crops_by_the_hundred_million_are_refused_at_once(store: Path) -> None:
    (name,) = attributes_of(store)["parts"]
    describe(store, attributes_of(store) | {"parts": [name, name] * 500_000})
    code = "import time; t = time.time()\ntry: Store.open(store).plan\nexcept ValueError as e: print(e)\n"
    code += "print('at once' if time.time() - t < 20 else 'late')"
    said = in_little_memory(code, store)
    assert "1,000,000 parts, more than the" in said
    assert "at once" in said
    describe(store, attributes_of(store) | {"parts": [name]})
    describe(part_of(store), attributes_of(part_of(store)) | {"crops": 10**9, "images": 10**9})
    said = in_little_memory(code, store)
    assert "claims 1,000,000,000 crops" in said
    assert "at once" in said


@pytest.mark.slow
def test_the_files_of_a_real_plan_are_large_enough_however_alike_its_images_are(tmp_path: Path) -> None:
    settings = resolve_settings(Settings())
    names, sizes = [f"{i:09}.jpg" for i in range(FREE_IMAGES + 1)], np.full((FREE_IMAGES + 1, 2), 512)
    image, position = choose_crops(names, sizes, settings)
    nbytes, problems = np.full(len(names), 2_000_000), [""] * len(names)
    Store.create(
        tmp_path / "a.zarr", Plan("a", settings, names, sizes, nbytes, problems, image, position), 9, 1
    )
    opened = Store.open(tmp_path / "a.zarr")
    assert len(opened) > FREE_CROPS
    assert len(opened.plan.names) > FREE_IMAGES
