"""Executors, which run tasks in this process, on a local Dask cluster, or on an existing one.

An executor takes a function and a source of tasks, and yields tasks with their results as they end, in any
order. Dask is imported only when it is used.
"""

from __future__ import annotations

import importlib.util
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from ..machine import available_cores, available_memory
from ..retry import RunError
from ..signals import Stop
from .gpus import visible_gpus
from .memory import CLUSTER, IMPORTS

if TYPE_CHECKING:
    from .dask_cluster import Cluster
    from .pool import WorkerPool

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


@contextmanager
def open_executor(
    scheduler: str = "local",
    workers: int | None = None,
    *,
    prepare: Callable[[], None] = lambda: None,
    need: Callable[[Any], int] = lambda task: 0,
    tls: tuple[str | None, str | None, str | None] = (None, None, None),
    notify: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Executor]:
    """Yield the executor that `scheduler` names.

    Args:
        scheduler: 'sync' (this process), 'local' (a cluster with one process per core), 'gpu' (one per
            visible GPU), or the address of a Dask scheduler, tcp://... or tls://...; if that has no workers,
            the run waits for some.
        workers: number of single-threaded processes of a local cluster; default: one per core, if
            memory allows, or one per GPU.
        prepare: called on every worker before its first task, also on workers that join later. A worker on
            which it fails is not used.
        need: returns the memory that a worker needs for a task, bytes; workers with a lower limit do not get
            it.
        tls: PEM files for tls://...: certificate authority, certificate, key; default: Dask's configuration.
        notify: called with messages for the user.

    Raises RunError if there is no GPU, no scheduler answers, or no worker can be prepared.
    """
    if scheduler == "sync":
        prepare()
        yield _run_here
        return
    with _cluster(scheduler, workers, tls, notify) as cluster:
        if is_open(scheduler):
            notify(
                f"The scheduler at {scheduler} uses no TLS: whoever reaches it over the network can run code "
                "on its workers. Start it with TLS, at tls://..., and name tls_ca=, tls_cert= and tls_key=."
            )
        # A local cluster has no dashboard, which would be for all users of this machine.
        if not cluster.local and cluster.client.dashboard_link and importlib.util.find_spec("bokeh"):
            notify(f"Dashboard: {cluster.client.dashboard_link}")

        pool = _opened_pool(cluster, prepare, notify)

        def run(
            function: Callable[[Task], Result], next_task: Callable[[int], Task | None], stop: Stop
        ) -> Iterator[tuple[Task, Result | None]]:
            return _run_on(pool, need, function, next_task, stop)

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


def is_open(scheduler: str) -> bool:
    """Return whether `scheduler` is the address of one on another machine that talks without TLS.

    >>> is_open("tcp://10.0.0.5:8786"), is_open("tcp://127.0.0.1:8786"), is_open("tls://10.0.0.5:8786")
    (True, False, False)
    """
    if not scheduler.startswith("tcp://"):
        return False
    host = urlsplit(scheduler).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def check_room(scheduler: str, need: int) -> None:
    """Raise RunError if not even one worker of a local cluster fits into memory; `need` in bytes for a task.

    The kernel would end it again and again.
    """
    needed, free = CLUSTER + IMPORTS + need, available_memory()
    if scheduler == "local" and needed > free:
        raise RunError(
            f"A local worker takes up to {needed / 1e9:.2f} GB of memory, and {free / 1e9:.2f} GB are free: "
            "use scheduler='sync', which starts none, or give this machine or job more memory."
        )


def default_workers(scheduler: str, need: int = 0) -> int:
    """Return the default number of workers of a local cluster; 1 for other executors.

    That is one per core, as long as memory allows all of them a task that needs `need` bytes, or one per GPU.
    """
    if scheduler == "local":
        return max(1, min(available_cores(), available_memory() // (IMPORTS + need)))
    return len(visible_gpus()) if scheduler == "gpu" else 1


def _cluster(
    scheduler: str,
    workers: int | None,
    tls: tuple[str | None, str | None, str | None],
    notify: Callable[[str], None],
) -> AbstractContextManager[Cluster]:
    from .dask_cluster import existing_cluster, local_cluster

    if scheduler == "local":
        return local_cluster([{}] * (workers or default_workers(scheduler)), notify)
    if scheduler != "gpu":
        return existing_cluster(scheduler, *tls)
    if not (gpus := visible_gpus()):
        raise RunError(
            "No GPU is visible here (CUDA_VISIBLE_DEVICES, nvidia-smi -L): use scheduler='local', or a "
            "machine with an NVIDIA GPU."
        )
    return local_cluster([{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:workers]], notify)


# --- running ------------------------------------------------------------------------------------------------


def _run_here(
    function: Callable[[Task], Result], next_task: Callable[[int], Task | None], stop: Stop
) -> Iterator[tuple[Task, Result]]:
    while not stop.asked and (task := next_task(1)) is not None:
        yield task, function(task)


def _opened_pool(
    cluster: Cluster, prepare: Callable[[], None], notify: Callable[[str], None]
) -> WorkerPool[Any]:
    from .pool import WorkerPool

    pool: WorkerPool[Any] = WorkerPool(
        cluster.client, notify, prepare, local=cluster.local, regain=cluster.regain
    )
    pool.assemble()
    return pool


def _run_on(
    pool: WorkerPool[Any],
    need: Callable[[Task], int],
    function: Callable[[Task], Result],
    next_task: Callable[[int], Task | None],
    stop: Stop,
) -> Iterator[tuple[Task, Result | None]]:
    import dask

    from .dispatch import Dispatch

    deaths = int(dask.config.get("distributed.scheduler.allowed-failures", 3))
    yield from Dispatch(pool, function, next_task, need, deaths).run(stop)
