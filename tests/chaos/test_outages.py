"""A run whose store on S3 is cut off, while processes are killed too, ends like an undisturbed one."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from cluster import Cluster
from outage import S3
from run import assert_same_run, chance_of_this_run, finished, fit_command, moments, undisturbed_run

CROPS = 64


@pytest.mark.slow
@pytest.mark.alone
def test_outages_of_s3_lose_nothing_and_double_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outages during which the run waits, one that ends it with a sentence, and kills at the same time."""
    chance = chance_of_this_run()
    mishaps = chance.sample(["gap", "outage", "end", "worker-0", "scheduler", "client"], 6)
    store = "s3://bucket/disturbed.zarr"
    monkeypatch.chdir(tmp_path)  # the log of a run on S3 is written to the current folder
    with S3(tmp_path) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        fit = fit_command(photos, store, CROPS)
        with Cluster(tmp_path / "cluster", fit, lambda: finished(store)) as cluster:
            for crops, mishap in zip(moments(chance, len(mishaps), CROPS), mishaps, strict=True):
                cluster.run_until(crops)
                time.sleep(chance.uniform(0, 0.5))
                if mishap in cluster.commands:
                    cluster.kill(mishap)
                    continue
                cluster.run_until(finished(store) + 1)  # the run has recovered
                s3.stop()
                if mishap == "end":
                    assert cluster.client_ends(300) == 1
                    last = cluster.output().splitlines()[-1]
                    assert re.match(
                        rf"Error: (--store )?{re.escape(store)}\S* cannot be (written|read) \(", last
                    )
                else:
                    time.sleep({"gap": 0.5, "outage": 8}[mishap])
                s3.start()
            cluster.run_until()
            assert "Traceback" not in cluster.output()
        assert_same_run(store, undisturbed_run(photos, tmp_path / "undisturbed.zarr", CROPS), tmp_path)
