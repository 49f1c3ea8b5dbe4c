"""A run on two workers: one is frozen, then paused for its memory; the other is killed and comes back small.

    python tests/chaos/ailing.py --crops 20000

prints what the run said and how long each disturbance took to be noticed. The run has to end by itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cluster import Cluster
from PIL import Image
from run import assert_same_run, finished, fit_command, undisturbed_run

FOLDER = Path(__file__).parent
FITTER = "slowed_fitter"
FITTERS = [FOLDER, FOLDER.parent / "dgp_mining" / "fake_fitters"]

LIMIT, BALLAST = 900_000_000, 430_000_000
"""Memory limit of the first worker, bytes, and what it takes besides its imports to be paused."""

TOO_SMALL = 250_000_000
"""Memory limit of the second worker after its restart: less than its imports take."""


@dataclass(frozen=True)
class Noticed:
    """A disturbance, and how the run noticed it."""

    what: str
    seconds: float
    """Until it was said, s."""
    crops: int
    """Finished by then."""


def photographs(folder: Path, crops: int) -> Path:
    """Make photographs of noise that have at least so many crops of 16x16."""
    folder.mkdir()
    side = 16 * (1 + int((crops / 4) ** 0.5))
    for i in range(4):
        noise = np.random.default_rng(i).integers(1, 250, (side + 16, side + 16, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    return folder


def disturb(cluster: Cluster, folder: Path, crops: int) -> Iterator[Noticed]:
    """Disturb a run of so many crops, one disturbance after another."""
    ballast = folder / "ballast-worker-0"

    read = 0

    def noticed(what: str, sentence: str) -> Noticed:
        nonlocal read
        began = time.monotonic()
        read = cluster.run_until_said(sentence, read)
        return Noticed(what, time.monotonic() - began, cluster.finished())

    cluster.run_until(crops // 50)
    cluster.send("worker-0/child", signal.SIGSTOP)
    yield noticed("worker-0 frozen", "worker-0.* has sent no heartbeat")
    cluster.send("worker-0/child", signal.SIGCONT)
    yield noticed("worker-0 goes on", "worker-0.* works again")
    ballast.write_text(str(BALLAST))
    yield noticed("worker-0 over its memory limit", "worker-0.* is paused, because its memory")
    cluster.set_memory_limit("worker-1", TOO_SMALL)
    cluster.kill("worker-1")
    yield noticed("worker-1 killed while worker-0 is paused", r"No worker at \S+ can take tasks")
    ballast.unlink()
    yield noticed("worker-0 has memory again", "Workers have joined; continuing")
    yield noticed("worker-1 back, too small", "worker-1.* was ended by its nanny while it prepared")
    (folder / "over").touch()


def run_disturbed(folder: Path, photos: Path, store: Path, crops: int) -> Iterator[Noticed]:
    """Run to the end, with all disturbances."""
    disturbances = folder / "disturbances"
    disturbances.mkdir()
    fit = fit_command(photos, store, crops, FITTER)
    variables = {"PYTHONPATH": os.pathsep.join(map(str, FITTERS)), "DISTURBANCES": str(disturbances)}
    cluster = Cluster(folder / "cluster", fit, lambda: finished(store), environment=variables)
    cluster.set_memory_limit("worker-0", LIMIT)
    with cluster:
        yield from disturb(cluster, disturbances, crops)
        began = time.monotonic()
        cluster.run_until()
        yield Noticed("the end", time.monotonic() - began, cluster.finished())
        assert not cluster.exits, "a client ended with an error"
        assert "Traceback" not in cluster.output()


def main() -> None:
    """Run and compare with an undisturbed run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=20_000)
    crops = parser.parse_args().crops
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = photographs(folder / "photos", crops)
        for noticed in run_disturbed(folder, photos, folder / "disturbed.zarr", crops):
            print(f"{noticed.what}: said after {noticed.seconds:.1f} s, {noticed.crops} crops", flush=True)
        print((folder / "cluster" / "client.log").read_text())
        undisturbed = undisturbed_run(photos, folder / "undisturbed.zarr", crops, FITTER)
        assert_same_run(folder / "disturbed.zarr", undisturbed, folder)
        print("The store has the same bytes as an undisturbed one, timings aside.")


if __name__ == "__main__":
    sys.path[:0] = map(str, FITTERS)
    main()
