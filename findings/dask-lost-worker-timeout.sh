#!/usr/bin/env bash
# EXPECTED  A nanny restarts its worker process whenever that dies, so that a local cluster keeps its size.
# SEEN      If the new process takes longer to come up than distributed.deploy.lost-worker-timeout (15 s by default, 3 s here to be
#           quick) after the old one was lost, the cluster closes the nanny for good, without a message: no worker is left.
# VERSIONS  distributed 2026.8.0, dask 2026.8.0, Python 3.11, 2026-11-28.
# MATTERS   Importing torch from a slow disk, or on a machine under load, takes longer than 15 s: a run with one worker then waited for
#           ever, and one with two went on at half its speed. Here the timeout is an hour (dgp_mining/workers/dask_cluster.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q distributed==2026.8.0 dask==2026.8.0
cd "$folder"
cat >lost.py <<'PYTHON'
import logging
import sys
import time

import dask
from distributed import Client, LocalCluster

STARTS = "import time; time.sleep(6)"  # stands in for slow imports


def workers_after(timeout: str) -> int:
    """Kill the only worker's process, and return how many workers there are 20 s later."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": timeout}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, preload=[STARTS], dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(1)
        next(iter(cluster.workers.values())).process.process._process.kill()
        time.sleep(20)
        return len(client.nthreads())


if __name__ == "__main__":
    patient, hasty = workers_after("1 hour"), workers_after("3s")
    print(f"workers 20 s after the only one was killed, which takes 6 s to start: {patient} with a timeout of an hour")
    print(f"expected 1 with a timeout of 3 s too, seen {hasty}")
    sys.exit(0 if (patient, hasty) == (1, 0) else 1)
PYTHON
venv/bin/python lost.py
