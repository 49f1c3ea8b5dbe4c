"""Executors, which run tasks in this process, on a local Dask cluster, or on an existing one.

An executor takes a function and a source of tasks, and yields tasks with their results as they end, in any
order. Dask is imported only when it is used.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..retry import RunError
from ..signals import Stop
from .gpus import visible_gpus

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Client, Future

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs a function on tasks and yields each task with its result, in the order in which they end."""

    def __call__(
        self, function: Callable[[Task], Result], next_task: Callable[[int], Task | None], stop: Stop
    ) -> Iterator[tuple[Task, Result | None]]:
        """Run `function` on the tasks that `next_task(workers)` returns.

        Ends when that is None and nothing is running, or after `stop.asked` with the tasks in progress. The
        result is None if the task has killed every worker that took it. Raises what `function` raises, and
        RunError if the scheduler is lost.
        """
        ...


WINDOW = 3
"""Tasks in flight per worker. If all were queued at once, one dying worker would mark hundreds of them as
suspicious."""

POLL_SECONDS = 0.5
"""Seconds between two polls of the cluster while no task ends."""

PATIENCE_SECONDS = 10.0
"""Seconds without any worker before a message: a dead worker is soon replaced."""


@contextmanager
def open_executor(
    scheduler: str = "local",
    workers: int | None = None,
    *,
    prepare: Callable[[], None] = lambda: None,
    tls: tuple[str | None, str | None, str | None] = (None, None, None),
    notify: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Executor]:
    """Yield the executor that `scheduler` names.

    Args:
        scheduler: 'sync' (this process), 'local' (a cluster with one process per core), 'gpu' (one per
            visible GPU), or the address of a Dask scheduler, tcp://... or tls://...; if that has no workers,
            the run waits for some.
        workers: number of single-threaded processes of a local cluster; default: one per core or GPU.
        prepare: called on every worker before its first task, also on workers that join later.
        tls: PEM files for tls://...: certificate authority, certificate, key; default: Dask's configuration.
        notify: called with messages for the user.

    Raises RunError if there is no GPU, no scheduler answers, or a worker cannot be prepared.
    """
    if scheduler == "sync":
        prepare()
        yield _run_here
        return
    with _cluster(scheduler, workers, tls) as client, _prepared(client, prepare):
        if client.dashboard_link and importlib.util.find_spec("bokeh"):
            notify(f"Dashboard: {client.dashboard_link}")

        def run(
            function: Callable[[Task], Result], next_task: Callable[[int], Task | None], stop: Stop
        ) -> Iterator[tuple[Task, Result | None]]:
            return _run_on(client, notify, function, next_task, stop)

        yield run


def check_executor(
    scheduler: str,
    workers: int | None = None,
    device: str | None = None,
    tls: tuple[str | None, str | None, str | None] = (None, None, None),
) -> None:
    """Raise ValueError if `scheduler` names no executor, or if another argument is not for it.

    >>> check_executor("tcp://10.0.0.1:8786")
    >>> check_executor("sync", workers=2)
    Traceback (most recent call last):
    ValueError: workers= is for scheduler='local' and 'gpu' only.
    """
    if scheduler not in ("local", "gpu", "sync") and not scheduler.startswith(("tcp://", "tls://")):
        raise ValueError(
            "scheduler= is 'local', 'gpu', 'sync', or an address such as tcp://... or tls://..., "
            f"not {scheduler!r}."
        )
    if workers and scheduler not in ("local", "gpu"):
        raise ValueError("workers= is for scheduler='local' and 'gpu' only.")
    if any(tls) and not scheduler.startswith("tls://"):
        raise ValueError("tls= is for a scheduler at tls://... only.")
    if scheduler == "gpu" and device == "cpu":
        raise ValueError("scheduler='gpu' fits on GPUs: leave out device='cpu'.")


def default_workers(scheduler: str) -> int:
    """Return the default number of workers of a local cluster; 1 for other executors."""
    return {"local": available_cores(), "gpu": len(visible_gpus())}.get(scheduler, 1)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cluster(
    scheduler: str, workers: int | None, tls: tuple[str | None, str | None, str | None]
) -> AbstractContextManager[Client]:
    from .dask_cluster import existing_cluster, local_cluster

    if scheduler == "local":
        return local_cluster([{}] * (workers or default_workers(scheduler)))
    if scheduler != "gpu":
        return existing_cluster(scheduler, *tls)
    if not (gpus := visible_gpus()):
        raise RunError(
            "No GPU is visible here (CUDA_VISIBLE_DEVICES, nvidia-smi -L): use scheduler='local', or a "
            "machine with an NVIDIA GPU."
        )
    return local_cluster([{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:workers]])


@contextmanager
def _prepared(client: Client, prepare: Callable[[], None]) -> Iterator[None]:
    from .dask_cluster import Preparation

    name = f"dgp-mine-{client.id}"
    try:
        client.register_plugin(Preparation(prepare), name=name)
    except RunError:
        raise
    except Exception as error:
        raise RunError(
            f"A worker cannot be prepared ({error}): install the same dgp-mining there."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # the scheduler is gone
            if client.status == "running":
                client.unregister_worker_plugin(name)


# --- running ------------------------------------------------------------------------------------------------


def _run_here(
    function: Callable[[Task], Result], next_task: Callable[[int], Task | None], stop: Stop
) -> Iterator[tuple[Task, Result]]:
    while not stop.asked and (task := next_task(1)) is not None:
        yield task, function(task)


def _run_on(
    client: Client,
    notify: Callable[[str], None],
    function: Callable[[Task], Result],
    next_task: Callable[[int], Task | None],
    stop: Stop,
) -> Iterator[tuple[Task, Result | None]]:
    """Keep a window of tasks submitted. After a failure or a stop, wait for the tasks in progress."""
    from distributed import KilledWorker

    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    running: dict[Key, tuple[Future[Any], Task]] = {}
    watch = _Watch(client, notify)
    failure: Exception | None = None
    while True:
        workers = watch.workers()
        if stop.asked or failure:
            _withdraw(client, running)
        else:
            while len(running) < WINDOW * workers and (task := next_task(workers)) is not None:
                future = client.submit(function, task, pure=False)
                running[future.key] = future, task
                future.add_done_callback(ended.put)
        if not running:
            break
        try:
            future, task = running.pop(ended.get(timeout=POLL_SECONDS).key)
        except (Empty, KeyError):  # nothing has ended but withdrawn tasks
            continue
        if future.cancelled():
            raise _lost(client)
        try:
            result = future.result()
        except KilledWorker:
            result = None
        except Exception as error:
            failure = failure or error
            continue
        yield task, result
    if failure:
        raise failure


def _withdraw(client: Client, running: dict[Key, tuple[Future[Any], Any]]) -> None:
    """Cancel the tasks that no worker has started."""
    begun = {key for keys in _ask(client, client.processing).values() for key in keys}
    for key, (future, _) in list(running.items()):
        if key not in begun and future.status == "pending":
            del running[key]
            future.cancel()


class _Watch:
    """Counts the workers, which come and go, and sends a message if there are none."""

    def __init__(self, client: Client, notify: Callable[[str], None]) -> None:
        self.client, self.notify = client, notify
        self.count = 0
        self.looked = -POLL_SECONDS
        self.seen = time.monotonic()
        self.missed = False

    def workers(self) -> int:
        """Return the number of workers, but at least 1, so that a task is waiting when a worker comes.

        Raises RunError if the scheduler is gone.
        """
        now = time.monotonic()
        if now - self.looked < POLL_SECONDS:
            return max(1, self.count)
        if self.client.status != "running":
            raise _lost(self.client)
        self.looked, self.count = now, len(_ask(self.client, self.client.nthreads))
        if self.count:
            self.seen = now
            if self.missed:
                self.notify("Workers have joined; continuing.")
        elif not self.missed and now - self.seen > PATIENCE_SECONDS:
            address = _address(self.client)
            self.notify(
                f"There are no workers at {address}: waiting for 'dask worker {address} --nthreads 1'. "
                "Ctrl-C ends."
            )
        self.missed = now - self.seen > PATIENCE_SECONDS
        return max(1, self.count)


def _ask(client: Client, question: Callable[[], Any]) -> Any:
    """Ask the scheduler. Raises RunError if it no longer answers."""
    try:
        return question()
    except OSError as error:
        raise _lost(client) from error


def _lost(client: Client) -> RunError:
    return RunError(
        f"The scheduler at {_address(client)} is gone: start it again, then repeat the command to continue."
    )


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler else "its address"
