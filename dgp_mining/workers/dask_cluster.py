"""Dask clusters: local ones, which only this run can use, and existing ones.

Other users of a machine reach its loopback interface, too, and a Dask scheduler and its workers run any code
that they are sent. Local ones therefore talk TLS, with a key that is made for the run and that whoever
connects must have; it is in the memory of the run's processes only, save for moments in a folder that only
the user can open, from which Python's ssl reads it. Dask's web servers, which ask nobody who they are, have
no pages: a dashboard under a secret name would be listed by their own `/sitemap.json`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, Status
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from ..retry import RunError
from ..signals import signals_blocked

CONNECT_SECONDS = 10
"""Timeout of the connection to an existing scheduler."""

LOOPBACK = "127.0.0.1"

PAGES = ("distributed.scheduler.http.routes", "distributed.worker.http.routes")
"""Dask's configuration of which pages its web servers have."""

LOST_SECONDS = 30.0
"""Seconds that a local worker may have no process before it is started anew."""


@dataclass(frozen=True)
class Cluster:
    """A client of a cluster."""

    client: Client
    local: bool = False
    """Whether this process has started the workers."""
    regain: Callable[[], None] = lambda: None
    """Starts workers that are lost for good, if this process has started them."""


@contextmanager
def local_cluster(
    environments: Sequence[dict[str, str]], notify: Callable[[str], None] = lambda sentence: None
) -> Iterator[Cluster]:
    """Yield a cluster on loopback, with one worker process for each environment, which others cannot use.

    `environments` are environment variables of the workers. Each worker has one thread, is restarted if it
    dies, and ends with this process. `notify` is called with messages for the user. Raises RunError if there
    is no place for temporary files.
    """
    security = Security.temporary()
    with (
        # Dask gives a worker up for good if it does not come back in time, which is 15 s by default: less
        # than imports may take (findings/dask-lost-worker-timeout.sh).
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour", **{name: [] for name in PAGES}}),
        _private_folder() as folder,
        dask.config.set({"temporary-directory": folder}),  # for the scheduler, too, which has no option
        silence_logging_cmgr(logging.CRITICAL),
    ):
        specification = _specification(environments, security)
        with signals_blocked():
            cluster = SpecCluster(**specification, security=security, name="dgp-mine")
        with cluster, Client(cluster, set_as_default=False) as client:
            yield Cluster(client, local=True, regain=Regain(cluster, notify))


def _specification(environments: Sequence[dict[str, str]], security: Security) -> dict[str, dict[Any, Any]]:
    """Return the `workers` and the `scheduler` of a SpecCluster."""
    listening: dict[str, Any] = {"host": LOOPBACK, "protocol": "tls://", "security": security}
    options = {
        **listening,
        "nthreads": 1,
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
        "options": {**listening, "port": 0, "dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
    }
    return {"workers": workers, "scheduler": scheduler}


@contextmanager
def _private_folder() -> Iterator[str]:
    """Yield a folder for the workers' files, which only this user can open; remove it at the end.

    Dask's own, `dask-scratch-space` in a folder that all share, is taken as it is found there.
    """
    place = dask.config.get("temporary-directory")
    try:
        place = place or tempfile.gettempdir()
        folder = tempfile.TemporaryDirectory(prefix="dgp-mine-", dir=place, ignore_cleanup_errors=True)
    except OSError as error:
        raise RunError(
            f"Workers have no place for temporary files in {place or 'any folder'} ({error.strerror}): name "
            "another with the environment variable TMPDIR."
        ) from error
    with folder as name:
        yield name


class Regain:
    """Starts the workers of a local cluster that Dask has lost: their nanny has ended or restarts nothing."""

    def __init__(self, cluster: SpecCluster, notify: Callable[[str], None]) -> None:
        self.cluster, self.notify = cluster, notify
        self.missed: dict[int, float] = {}
        self.closing: list[asyncio.Future[Any]] = []

    def __call__(self) -> None:
        """Look, and start what is missing for LOST_SECONDS."""
        now = time.monotonic()
        for number in list(self.cluster.worker_spec):
            nanny = self.cluster.workers.get(number)
            if nanny is not None and nanny.is_alive() and nanny.status not in (Status.closed, Status.failed):
                self.missed.pop(number, None)
            elif now - self.missed.setdefault(number, now) > LOST_SECONDS:
                self.missed[number] = now
                self.notify(f"Worker {number} was lost and is started again.")
                self.cluster.sync(self._replace, number, callback_timeout=LOST_SECONDS)

    async def _replace(self, number: int) -> None:
        nanny = self.cluster.workers.pop(number, None)
        if nanny is not None:
            self.closing.append(asyncio.ensure_future(nanny.close()))
        self.cluster.scale(
            len(self.cluster.worker_spec)
        )  # starts those of the specification that are missing


@contextmanager
def existing_cluster(
    address: str, ca: str | None = None, cert: str | None = None, key: str | None = None
) -> Iterator[Cluster]:
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
            yield Cluster(client)


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
