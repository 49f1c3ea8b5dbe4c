"""A run that is killed at random and continued ends like an undisturbed one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from cluster import Cluster
from run import assert_same_run, chance_of_this_run, finished, fit_command, moments, undisturbed_run

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
"""How often each victim is killed; more rounds find more, but take longer than CI has."""

VICTIMS = ("worker-0", "worker-1/child", "scheduler", "client") * ROUNDS

CROPS = 64 * ROUNDS


@pytest.mark.slow
@pytest.mark.alone
def test_kills_lose_nothing_and_double_nothing(photos: Path, tmp_path: Path) -> None:
    """Workers, nannies, the scheduler and the client are killed several times each, in random order."""
    chance = chance_of_this_run()
    victims = chance.sample(VICTIMS, len(VICTIMS))
    store = tmp_path / "disturbed.zarr"
    with Cluster(tmp_path / "cluster", fit_command(photos, store, CROPS), lambda: finished(store)) as cluster:
        for crops, victim in zip(moments(chance, len(victims), CROPS), victims, strict=True):
            cluster.run_until(crops)
            time.sleep(chance.uniform(0, 0.5))
            while not cluster.kill(victim):  # it had ended already, because of the previous kill
                assert not cluster.mend(), "the run was over too soon"
        cluster.run_until()
        assert "Traceback" not in cluster.output()
    assert_same_run(store, undisturbed_run(photos, tmp_path / "undisturbed.zarr", CROPS), tmp_path)
