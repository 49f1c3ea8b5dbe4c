"""Tasks go to workers that work; others are named, told apart and used again as soon as they work."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster, Scheduler, SpecCluster, Status, Worker, get_worker

from dgp_mining.retry import RunError
from dgp_mining.signals import Stop
from dgp_mining.workers import dispatch, health, pool
from dgp_mining.workers.executors import open_executor


@contextmanager
def cluster_of(*limits: int, threads: int = 1) -> Iterator[SpecCluster]:
    """A cluster at a TCP address whose workers, 0, 1 and so on, are threads of this process.

    `limits` are their memory limits, bytes; 0 for none.
    """
    options = {"nthreads": threads, "host": "127.0.0.1", "dashboard": False}
    workers = {
        number: {"cls": Worker, "options": {**options, "memory_limit": limit}}
        for number, limit in enumerate(limits)
    }
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
    }
    with (
        dask.config.set({"distributed.worker.memory.pause": False, "distributed.worker.memory.spill": False}),
        SpecCluster(workers=workers, scheduler=scheduler) as cluster,
    ):
        yield cluster


def one_by_one(tasks: Iterable[int]) -> Callable[[int], int | None]:
    remaining = iter(tasks)
    return lambda workers: next(remaining, None)


def who(task: int) -> int:
    """Return the name of the worker."""
    time.sleep(0.05)
    return int(get_worker().name)


def set_status(cluster: SpecCluster, number: int, status: Status) -> None:
    """Pause a worker, or let it go on."""
    worker = cluster.workers[number]
    worker.loop.add_callback(setattr, worker, "status", status)


def test_a_paused_worker_is_named_and_gets_nothing_until_it_goes_on() -> None:
    said: list[str] = []
    used: list[int | None] = []
    with cluster_of(0, 0) as cluster, open_executor(cluster.scheduler_address, notify=said.append) as run:
        address = cluster.workers[0].address
        set_status(cluster, 0, Status.paused)
        while "0" in {str(worker.name) for worker in cluster.scheduler.running}:
            time.sleep(0.01)
        for task, worker in run(who, one_by_one(range(1, 100)), Stop()):
            used.append(worker)
            if task == 20:
                set_status(cluster, 0, Status.running)
    assert set(used[:20]) == {1}
    assert set(used) == {0, 1}
    assert len(used) == 99
    paused, well = said
    assert paused.startswith(f"Worker 0 ({address}) is paused, because its memory is near ")
    assert "restart it with a larger --memory-limit" in paused
    assert well == f"Worker 0 ({address}) works again."


def test_a_run_whose_workers_are_all_paused_says_so_at_once_and_goes_on_by_itself() -> None:
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        if "can take tasks" in sentence:
            set_status(cluster, 0, Status.running)

    with cluster_of(0) as cluster, open_executor(cluster.scheduler_address, notify=say) as run:
        set_status(cluster, 0, Status.paused)
        while cluster.scheduler.running:
            time.sleep(0.01)
        assert list(run(who, one_by_one([1, 2]), Stop())) == [(1, 0), (2, 0)]
    assert said[1].startswith(f"No worker at {cluster.scheduler_address} can take tasks (1 paused): the run")
    assert said[-1] == "Workers have joined; continuing."


def heartbeat(action: str) -> None:
    """Start or stop the heartbeat of the worker that runs this."""
    worker = get_worker()
    worker.loop.add_callback(getattr(worker.periodic_callbacks["heartbeat"], action))


def test_a_task_of_a_worker_that_falls_silent_runs_elsewhere_and_the_worker_is_used_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SILENT_SECONDS", 2.0)
    said: list[str] = []
    thawed = tmp_path / "thawed"

    def freeze_first(task: int) -> int:
        time.sleep(0.05)
        name = int(get_worker().name)
        if name == 0 and not thawed.exists():
            heartbeat("stop")
            while not thawed.exists():
                time.sleep(0.05)
            heartbeat("start")
        return name

    with cluster_of(0, 0) as cluster, open_executor(cluster.scheduler_address, notify=said.append) as run:
        address = cluster.workers[0].address
        ends = {}
        for task, worker in run(freeze_first, one_by_one(range(1, 120)), Stop()):
            assert task not in ends
            ends[task] = worker
            if said and len(ends) > 20:
                thawed.touch()
    assert sorted(ends) == list(range(1, 120))
    assert set(ends.values()) == {0, 1}
    assert re.match(
        rf"Worker 0 \({address}\) has sent no heartbeat for \d s: see whether its machine", said[0]
    )
    assert said[1:] == [f"Worker 0 ({address}) works again."]


def test_a_stop_does_not_wait_for_a_worker_that_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SILENT_SECONDS", 1.0)
    thawed = tmp_path / "thawed"
    stop = Stop()

    def freeze(task: int) -> None:
        heartbeat("stop")
        while not thawed.exists():
            time.sleep(0.05)

    def say(sentence: str) -> None:
        stop.asked = True

    with cluster_of(0) as cluster, open_executor(cluster.scheduler_address, notify=say) as run:
        assert list(run(freeze, one_by_one([1, 2]), stop)) == []
        thawed.touch()


def test_a_worker_that_cannot_be_prepared_is_named_and_the_others_are_used() -> None:
    said: list[str] = []

    def prepare() -> None:
        if int(get_worker().name) == 0:
            raise ModuleNotFoundError("No module named 'splat2d'")

    with (
        cluster_of(0, 0) as cluster,
        open_executor(cluster.scheduler_address, prepare=prepare, notify=said.append) as run,
    ):
        address = cluster.workers[0].address
        used = {worker for _, worker in run(who, one_by_one(range(1, 20)), Stop())}
    assert used == {1}
    (sentence,) = said
    reason = "cannot be prepared (No module named 'splat2d'): install the same dgp-mining there."
    assert sentence == f"Worker 0 ({address}) {reason}"


def test_workers_get_no_task_that_needs_more_than_their_memory_limit() -> None:
    said: list[str] = []
    with (
        cluster_of(10**9, 0) as cluster,
        open_executor(
            cluster.scheduler_address, need=lambda task: 2 * 10**9 if task % 3 else 10**6, notify=said.append
        ) as run,
    ):
        address = cluster.workers[0].address
        ends = list(run(who, one_by_one(range(1, 60)), Stop()))
    assert sorted(task for task, _ in ends) == list(range(1, 60))
    assert {worker for task, worker in ends if task % 3} == {1}
    assert 0 in {worker for task, worker in ends if not task % 3}
    (sentence,) = said
    assert re.fullmatch(
        rf"Worker 0 \({address}\) has a memory limit of 1.00 GB, but a task of this run needs about "
        r"2\.\d\d GB: restart it with --memory-limit [23]\.\d\dGB or more; the task goes to another\.",
        sentence,
    )


def test_tasks_that_are_too_large_for_every_worker_keep_no_other_from_running_and_wait_for_a_larger_one() -> (
    None
):
    said: list[str] = []
    used: dict[int, int | None] = {}
    stop = Stop()
    large = range(1, 3 * dispatch.HELD)
    small = range(large.stop, large.stop + 10)

    def say(sentence: str) -> None:
        said.append(sentence)
        stop.asked |= not used and "goes to another" in sentence  # there is none

    with (
        cluster_of(10**9) as cluster,
        open_executor(
            cluster.scheduler_address, need=lambda task: 2 * 10**9 if task in large else 10**6, notify=say
        ) as run,
    ):
        address = cluster.workers[0].address
        for task, worker in run(who, one_by_one([*large, *small]), stop):
            used[task] = worker
            if len(used) == len(small):
                assert used == dict.fromkeys(small, 0)
                options = {**cluster.worker_spec[0]["options"], "memory_limit": 0}
                cluster.worker_spec[1] = {"cls": Worker, "options": options}
                cluster.scale(2)
    assert used == {**dict.fromkeys(small, 0), **dict.fromkeys(large, 1)}
    assert re.fullmatch(
        rf"Worker 0 \({address}\) has a memory limit of 1.00 GB, but a task of this run needs about "
        r"2\.\d\d GB: restart it with --memory-limit [23]\.\d\dGB or more; no worker can take it, so it "
        r"waits\. Ctrl-C ends\.",
        said[0],
    )
    assert len([sentence for sentence in said if "no worker can take it" in sentence]) == 1


def test_an_adaptive_cluster_grows_while_there_are_tasks() -> None:
    with (
        dask.config.set({"distributed.adaptive.target-duration": "10ms"}),
        LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        open_executor(cluster.scheduler_address) as run,
    ):
        cluster.adapt(minimum=0, maximum=3, interval="100ms")
        used = {worker for _, worker in run(who, one_by_one(range(1, 100)), Stop())}
    assert len(used) == 3


def test_prepared_workers_that_all_refuse_end_the_run_with_the_first_reason() -> None:
    def prepare() -> None:
        raise RunError("A worker sees no GPU.")

    with (
        cluster_of(0, 0) as cluster,
        pytest.raises(RunError, match=r"^A worker sees no GPU\.$"),
        open_executor(cluster.scheduler_address, prepare=prepare),
    ):
        pass


def state(**changes: Any) -> health.WorkerState:
    found = {
        "name": "a",
        "nthreads": 2,
        "memory_limit": 10**9,
        "local_directory": "/tmp/a",
        "status": "running",
        "last_seen": 5.0,
        "metrics": {"memory": 9 * 10**8, "task_counts": {"executing": 1}},
    }
    return health.WorkerState.read("tcp://10.0.0.1:1", {**found, **changes})


def test_a_task_during_which_a_worker_has_died_runs_alone() -> None:
    seat = pool.Seat(state(), prepared=True)
    fresh, suspect = pool.Job(1), pool.Job(2, deaths=1)
    assert seat.takes(fresh)
    assert seat.takes(suspect)
    seat.jobs = [fresh]
    assert seat.takes(fresh)
    assert not seat.takes(suspect)
    seat.jobs = [suspect]
    assert not seat.takes(fresh)


def test_what_a_paused_worker_has_begun_stays_there() -> None:
    seat = pool.Seat(
        state(status="paused"), prepared=True, ailment=health.Ailment("paused", ""), jobs=[pool.Job(1)]
    )
    assert seat.stranded() == []
    seat.state = state(status="paused", metrics={"task_counts": {"executing": 0}})
    assert seat.stranded() == seat.jobs


def test_time_in_which_nobody_looks_is_not_silence() -> None:
    silence = health.Silence()
    assert silence.look(5.0, now=100.0, most=2) == 0
    assert silence.look(5.0, now=101.0, most=2) == 1
    assert silence.look(5.0, now=4000.0, most=2) == 1 + 2
    assert silence.look(6.0, now=4001.0, most=2) == 0
