#!/usr/bin/env bash
# EXPECTED  `dask worker --no-nanny` closes its worker on SIGTERM, as it does on the way through a nanny: the scheduler logs
#           "closing-worker", and the worker's task runs elsewhere without being suspected.
# SEEN      It drops its connection: the scheduler logs no closing and cannot tell it from a crash, so its task is suspected. After as
#           many polite stops as distributed.scheduler.allowed-failures has (3) and one more, the task fails with KilledWorker.
# VERSIONS  distributed 2026.8.0, dask 2026.8.0, Python 3.11, 2026-11-28.
# MATTERS   Kubernetes and clouds stop workers by SIGTERM: four of them, and a blameless crop was recorded as one that kills its workers.
#           Here workers announce SIGTERM to the scheduler (dgp_mining/workers/attendance.py), and only others count (departures.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q distributed==2026.8.0 dask==2026.8.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import subprocess
import sys
import time

from distributed import Client, LocalCluster

with LocalCluster(n_workers=0, dashboard_address=":0", protocol="tcp://") as cluster, Client(cluster) as client:

    def logged(*options: str) -> set[str]:
        """Stop a worker by SIGTERM during a task; return what the scheduler has logged of it."""
        command = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address, "--nthreads", "1", *options]
        process = subprocess.Popen([*command, "--no-dashboard"], stderr=subprocess.DEVNULL)
        client.wait_for_workers(1)
        (address,) = client.nthreads()
        task = client.submit(time.sleep, 5, workers=[address], pure=False)
        time.sleep(2)
        process.terminate()
        while client.nthreads():
            time.sleep(0.1)
        task.release()
        process.wait()
        return {event.get("action") for _, event in client.get_events(address) if isinstance(event, dict)}

    nanny, alone = logged(), logged("--no-nanny")
    print(f"closing-worker logged with a nanny: {'closing-worker' in nanny}")
    print(f"closing-worker logged without one: expected True, seen {'closing-worker' in alone}")
    sys.exit(0 if "closing-worker" in nanny and "closing-worker" not in alone else 1)
PYTHON
