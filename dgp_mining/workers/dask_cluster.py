"""Dask clusters: local ones, which listen on the loopback interface only, and existing ones."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, Worker, WorkerPlugin
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from ..retry import RunError
from ..signals import signals_blocked

CONNECT_SECONDS = 10
"""Timeout of the connection to an existing scheduler."""

LOOPBACK = "127.0.0.1"


class Preparation(WorkerPlugin):
    """Calls a function on each worker before its first task."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self.prepare = prepare

    def setup(self, worker: Worker) -> None:
        self.prepare()


@contextmanager
def local_cluster(environments: Sequence[dict[str, str]]) -> Iterator[Client]:
    """Yield a client of a cluster on loopback, with one worker process for each environment.

    `environments` are environment variables of the workers. Each worker has one thread, is restarted if it
    dies, and ends with this process.
    """
    options: dict[str, Any] = {
        "nthreads": 1,
        "host": LOOPBACK,
        "memory_limit": None,  # otherwise dask pauses workers by its own estimate; each holds only one image
        "dashboard": False,
        "silence_logs": logging.CRITICAL,  # we report what matters ourselves
    }
    workers = {
        number: {"cls": Nanny, "options": {**options, "env": environment}}
        for number, environment in enumerate(environments)
    }
    scheduler = {
        "cls": Scheduler,
        # Without this address, dask's web server would listen on all interfaces.
        "options": {"host": LOOPBACK, "port": 0, "dashboard_address": f"{LOOPBACK}:0"},
    }
    # A worker holds only the task that it is running.
    with (
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0}),
        silence_logging_cmgr(logging.CRITICAL),
    ):
        with signals_blocked():
            cluster = SpecCluster(workers=workers, scheduler=scheduler, name="dgp-mine")
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def existing_cluster(
    address: str, ca: str | None = None, cert: str | None = None, key: str | None = None
) -> Iterator[Client]:
    """Yield a client of the scheduler at `address`.

    For tls://..., `ca`, `cert` and `key` are PEM files, by default those of Dask's configuration. Raises
    RunError if no scheduler answers, or if these files are missing or invalid.
    """
    security = _security(address, ca, cert, key)
    with silence_logging_cmgr(logging.CRITICAL):
        try:
            client = Client(address, timeout=CONNECT_SECONDS, security=security, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise RunError(
                f"No Dask scheduler answers at {address}: start one or use scheduler='local'."
            ) from error
        with client:
            yield client


def _security(address: str, ca: str | None, cert: str | None, key: str | None) -> Security | None:
    """Return the TLS settings of a tls:// address, else None. Raises RunError for missing or bad files."""
    if not address.startswith("tls://"):
        return None
    configured: Any = Security()  # its attributes are set dynamically
    files = {
        "tls_ca=": ca or configured.tls_ca_file,
        "tls_cert=": cert or configured.tls_client_cert,
        "tls_key=": key or configured.tls_client_key,
    }
    for option, path in files.items():
        if not path:
            raise RunError(f"{address} needs {', '.join(files)}: {option} is missing.")
        if "\n" not in path and not os.path.isfile(path):  # Dask's configuration may hold the text itself
            raise RunError(f"{option} {path} is not a file: name one in PEM format.")
    security = Security(
        tls_ca_file=files["tls_ca="],
        tls_client_cert=files["tls_cert="],
        tls_client_key=files["tls_key="],
        require_encryption=True,
    )
    try:
        security.get_connection_args("client")
    except OSError as error:  # ssl.SSLError
        raise RunError(f"{', '.join(files)} cannot be used together ({error}).") from error
    return security
