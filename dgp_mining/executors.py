"""Where tasks run: in this process, on a Dask cluster started here, or on one that exists.

An executor takes a function and its tasks and yields the results as they come, in any order. Dask is
imported only where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")
Executor = Callable[[Callable[[Task], Result], Sequence[Task]], Iterator[Result]]

WINDOW = 3
"""Tasks in flight per worker. Handing them all to the scheduler at once would make one dying worker mark
hundreds of queued tasks as suspicious."""

RETRIES = 3
"""How often a task that raised is tried again; bad input does not raise, so what does may be transient."""

CONNECT_SECONDS = 10
"""How long an existing scheduler is waited for."""

IGNORE_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Run by each local worker as it starts: Ctrl-C reaches the whole process group, and the client decides."""


class ExecutorError(RuntimeError):
    """The workers cannot be started or reached, or died over a task; one sentence."""


@contextmanager
def open_executor(scheduler: str = "local", workers: int | None = None) -> Iterator[Executor]:
    """The executor `scheduler` names: 'sync', 'local', or the address of a Dask scheduler (tcp://...).

    `workers` is the number of one-threaded processes of a local cluster, default one per core. Raises
    ExecutorError where no scheduler answers.
    """
    if scheduler == "sync":
        yield map
    elif scheduler == "local":
        with _local_client(workers or available_cores()) as client:
            yield _on_dask(client)
    else:
        with _existing_client(scheduler) as client:
            yield _on_dask(client)


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _local_client(workers: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.worker.preload": [IGNORE_SIGINT]}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # without an address dask's web server listens everywhere
            memory_limit=None,  # dask would pause workers by its own estimate; an image is all they hold
            silence_logs=50,  # what matters is said by us, in sentences
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _existing_client(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ExecutorError(
            f"No Dask scheduler answers at {address}: start one or use --scheduler local."
        ) from error
    with client:
        if not client.nthreads():
            raise ExecutorError(
                f"The scheduler at {address} has no workers: start 'dask worker {address} --nthreads 1'."
            )
        yield client


def _on_dask(client: Client) -> Executor:
    def run(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        from distributed import KilledWorker, as_completed

        remaining = iter(tasks)
        running = as_completed()

        def top_up() -> None:
            workers = max(1, len(client.nthreads()))  # as many as there are now: they come and go
            while running.count() < WINDOW * workers and (task := next(remaining, None)) is not None:
                running.add(client.submit(function, task, pure=False, retries=RETRIES))

        top_up()
        for future in running:
            try:
                result = future.result()
            except KilledWorker as error:
                raise ExecutorError(
                    "A chunk killed every worker that took it (out of memory?): use fewer --workers, then "
                    "repeat the command to go on."
                ) from error
            future.release()
            top_up()
            yield result

    return run
