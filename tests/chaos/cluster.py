"""A mining run as separate processes, each of which can be killed and started again.

A scheduler, workers with their nannies, and the client `dgp-mine fit`, on loopback. The client's output goes
to files in the cluster's folder, which show what went wrong.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

PATIENCE = 120
"""Seconds without any finished crop after which a run is taken to hang."""

_MARK = "CHAOS_CLUSTER"  # an environment variable of all processes started here, by which orphans are found


class Cluster:
    """The processes of one run, by name: 'scheduler', 'client', 'worker-0' and so on.

    A context manager: at its exit all its processes are ended, whatever has happened.
    """

    def __init__(
        self,
        folder: Path,
        fit: Sequence[str],
        finished: Callable[[], int],
        workers: int = 2,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`fit` is the client's command without --scheduler; `finished` counts the crops in the store."""
        self.folder, self.finished, self.mark = folder, finished, uuid.uuid4().hex
        self.environment = {**os.environ, **(environment or {}), _MARK: self.mark, "OMP_NUM_THREADS": "1"}
        address = f"tcp://127.0.0.1:{free_port()}"
        dask = [sys.executable, "-m", "dask"]
        self.commands = {
            "scheduler": [*dask, "scheduler", "--host", address, "--no-dashboard"],
            **{
                f"worker-{i}": [
                    *[*dask, "worker", address, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"],
                    *["--local-directory", str(folder), "--death-timeout", "30", "--name", f"worker-{i}"],
                ]
                for i in range(workers)
            },
            "client": [*fit, "--scheduler", address],
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.exits: list[int] = []
        """Exit statuses of clients that were not killed, except the last, successful one."""
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Cluster:
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes():
            _send(process, signal.SIGKILL)
        for started in self.running.values():
            started.wait()

    def processes(self) -> list[psutil.Process]:
        """All live processes that this cluster has started, and their descendants."""
        return [process for process in psutil.process_iter() if _marked(process, self.mark)]

    def mend(self, but: str = "") -> bool:
        """Start all processes that do not run, except the named one; return whether the client has ended."""
        for name, command in self.commands.items():
            process = self.running.get(name)
            if name == but or (process is not None and process.poll() is None):
                continue
            if process is not None and name == "client":
                if process.returncode == 0:
                    return True
                if process.returncode > 0:  # not by a signal
                    self.exits.append(process.returncode)
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=log,
                    env={**self.environment, "CHAOS_NAME": name},
                    start_new_session=True,
                )
        return False

    def client_ends(self, seconds: float) -> int:
        """Keep all other processes running until the client ends; return its exit status."""
        end = time.monotonic() + seconds
        while (status := self.running["client"].poll()) is None:
            assert time.monotonic() < end
            self.mend(but="client")
            time.sleep(0.2)
        return status

    def set_memory_limit(self, worker: str, nbytes: int) -> None:
        """Start this worker with another memory limit from now on."""
        command = self.commands[worker]
        command[command.index("--memory-limit") + 1] = str(nbytes)

    def kill(self, victim: str) -> bool:
        """SIGKILL a process, "worker-0/child" being the one below its nanny; return whether it was alive."""
        alive = self.send(victim, signal.SIGKILL)
        if "/" not in victim:
            self.running[victim].wait()
        return alive

    def send(self, victim: str, number: signal.Signals) -> bool:
        """Send a signal to a process, as `kill` does; return whether it was alive."""
        name, _, below = victim.partition("/")
        try:
            process = psutil.Process(self.running[name].pid)
            targets = process.children() if below else [process]
        except psutil.NoSuchProcess:
            return False
        alive = [_send(target, number) for target in targets]  # to all
        return any(alive)

    def run_until(self, crops: int | None = None) -> None:
        """Keep everything running until `crops` crops are finished or, by default, until the client is.

        Raises TimeoutError if no crop is finished for PATIENCE seconds.
        """
        best, moved = -1, time.monotonic()
        while not self.mend():
            looked = time.monotonic()
            if (now := self.finished()) > best:
                best, moved = now, time.monotonic()
            if crops is not None and best >= crops:
                return
            if time.monotonic() - moved > PATIENCE:
                raise TimeoutError(
                    f"No crop was finished for {PATIENCE} s; see {self.folder}.\n{self.output()}"
                )
            # Looking into a store on S3 takes long, and a core that the run needs.
            time.sleep(max(0.1, 2 * (time.monotonic() - looked)))

    def run_until_said(self, pattern: str, since: int = 0) -> int:
        """Keep everything running until the client has said something; return where in its output that ends.

        Raises TimeoutError after PATIENCE seconds.
        """
        end = time.monotonic() + PATIENCE
        while not (said := re.compile(pattern).search(self.output(), since)):
            if self.mend() or time.monotonic() > end:
                raise TimeoutError(f"{pattern!r} was not said; see {self.folder}.\n{self.output()}")
            time.sleep(0.1)
        return said.end()

    def output(self) -> str:
        """The output of all clients so far."""
        return (self.folder / "client.log").read_text(errors="replace")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(_MARK) == mark
    except psutil.Error:  # another user's, or gone
        return False


def _send(process: psutil.Process, number: signal.Signals) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        process.send_signal(number)
        return alive
    return False
