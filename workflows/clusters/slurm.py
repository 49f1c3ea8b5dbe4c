"""Mine on a SLURM cluster: one job per node or part of one, as many as the queue gives, TLS between them.

    pip install 'dgp-mining[slurm]'
    python workflows/clusters/slurm.py --jobs 20 --cores 32 --memory 64GB -- --images DF2K --store dgp.zarr

Arguments after '--' go to `dgp-mine fit`. The scheduler and `dgp-mine fit` run here: on a login node, or in a
small job of their own. All nodes must see the folders, this one included. Jobs that end, by their time limit
or by force, are submitted again. Interrupt the command as you like: repeated, it continues.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from dask_jobqueue import SLURMCluster
from distributed.security import Security

START_SECONDS = 24 * 3600
"""Longest wait for the first job to leave the queue."""


@click.command()
@click.option("--jobs", default=4, type=click.IntRange(1), show_default=True, help="Jobs to keep submitted.")
@click.option(
    "--cores", default=8, type=click.IntRange(1), show_default=True, help="Cores per job, one worker each."
)
@click.option("--memory", default="16GB", show_default=True, help="Memory per job.")
@click.option("--walltime", default="04:00:00", show_default=True, help="Time limit per job.")
@click.option("--queue", metavar="NAME", help="Partition.  [default: the cluster's]")
@click.option("--account", metavar="NAME", help="Account to charge.  [default: yours]")
@click.option("--interface", metavar="NAME", help="Network between the nodes, such as ib0.  [default: any]")
@click.option("--print", "only_print", is_flag=True, help="Print the job script and exit.")
@click.argument("fit", nargs=-1, type=click.UNPROCESSED)
def main(jobs: int, only_print: bool, fit: tuple[str, ...], **resources: int | str | None) -> None:
    """Mine on a SLURM cluster; see the top of this file."""
    with tempfile.TemporaryDirectory(prefix="dgp-mine-", dir=Path.cwd()) as folder:
        tls = certificates(Path(folder))
        with open_cluster(tls, **resources) as cluster:
            if only_print:
                click.echo(cluster.job_script())
                return
            cluster.adapt(
                minimum_jobs=jobs, maximum_jobs=jobs
            )  # unlike scale(), this replaces jobs that have ended
            click.echo(f"{jobs} jobs submitted; waiting for the first.", err=True)
            cluster.wait_for_workers(1, timeout=START_SECONDS)
            files = [
                "--tls-ca",
                tls.tls_ca_file,
                "--tls-cert",
                tls.tls_client_cert,
                "--tls-key",
                tls.tls_client_key,
            ]
            mining = ["dgp-mine", "fit", *fit, "--scheduler", cluster.scheduler_address, *files]
            # Ctrl-C reaches dgp-mine as well, which finishes its chunks; the cluster must stay until then.
            signal.signal(signal.SIGINT, lambda *_: None)
            sys.exit(subprocess.run(mining, check=False).returncode)


def open_cluster(tls: Security, cores: int, **resources: int | str | None) -> SLURMCluster:
    """Start a scheduler here, without jobs yet; a job will have one single-threaded worker per core."""
    return SLURMCluster(
        cores=cores,
        processes=cores,
        job_name="dgp-mine",
        job_script_prologue=["export OMP_NUM_THREADS=1"],
        worker_extra_args=[
            "--memory-limit",
            "0",
            "--no-dashboard",
        ],  # a worker holds little more than one image
        local_directory="${TMPDIR:-/tmp}",
        log_directory="slurm-logs",
        security=tls,
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        **resources,
    )


def certificates(folder: Path) -> Security:
    """Write a key and a self-signed certificate to `folder`, readable by this user's jobs only.

    Without them, anyone on the cluster's network could have the workers run code.
    """
    made = Security.temporary()
    cert, key = folder / "cert.pem", folder / "key.pem"
    for path, text in ((cert, made.tls_ca_file), (key, made.tls_client_key)):
        path.touch(mode=0o600)
        path.write_text(text)
    roles = {
        f"tls_{role}_{what}": str(path)
        for role in ("client", "scheduler", "worker")
        for what, path in (("cert", cert), ("key", key))
    }
    return Security(tls_ca_file=str(cert), require_encryption=True, **roles)


if __name__ == "__main__":
    main()
