"""Every executor runs each task once; a cluster is given a bounded number at a time."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import LocalCluster

from dgp_mining.mining import mine
from dgp_mining.retry import RunError
from dgp_mining.signals import Stop
from dgp_mining.workers import executors, gpus, pool
from dgp_mining.workers.executors import open_executor


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Dask scheduler at a TCP address, its one worker a thread of this process."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


def one_by_one(tasks: Iterable[Any]) -> Callable[[int], Any]:
    """What an executor asks for the next task."""
    remaining = iter(tasks)
    return lambda workers: next(remaining, None)


def square(task: int) -> int:
    return task * task


def test_in_this_process_results_come_in_order() -> None:
    with open_executor("sync") as run:
        assert list(run(square, one_by_one(range(1, 5)), Stop())) == [(1, 1), (2, 4), (3, 9), (4, 16)]


def test_on_an_existing_scheduler_every_task_is_run_once(address: str) -> None:
    with open_executor(address) as run:
        assert sorted(run(square, one_by_one(range(1, 50)), Stop())) == [(n, n * n) for n in range(1, 50)]
    with open_executor(address) as run:
        assert list(run(square, one_by_one([]), Stop())) == []


def test_tasks_are_asked_for_one_by_one_and_one_waits_while_another_runs(address: str) -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for task in range(1, 21):
            taken.append(task)
            yield task

    with open_executor(address) as run:
        for finished, _ in enumerate(run(square, one_by_one(tasks()), Stop()), start=1):
            assert len(taken) <= finished + 1
    assert len(taken) == 20


def test_a_scheduler_never_knows_more_tasks_than_run_and_wait() -> None:
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        open_executor(cluster.scheduler_address) as run,
    ):
        known = [len(cluster.scheduler.tasks) for _ in run(square, one_by_one(range(1, 300)), Stop())]
    assert len(known) == 299
    assert max(known) <= 4  # what has been released may take a moment to be forgotten


def test_what_a_task_raises_comes_back_after_those_under_way_have_ended(address: str, tmp_path: Path) -> None:
    def third_fails(task: int) -> int:
        (tmp_path / str(task)).touch()
        time.sleep(0.05)
        if task == 3:
            raise OSError("No space left on device")
        return task

    ended = []
    with open_executor(address) as run:
        results = run(third_fails, one_by_one(range(1, 100)), Stop())
        with pytest.raises(OSError, match="No space left"):
            ended.extend(task for task, _ in results)
    assert sorted([*ended, 3]) == sorted(int(path.name) for path in tmp_path.iterdir())
    assert len(ended) <= 3


@pytest.mark.parametrize("where", ["sync", "cluster"])
def test_a_stop_waits_for_what_is_under_way_and_begins_nothing_more(where: str, address: str) -> None:
    stop = Stop()
    ended = []
    with open_executor(address if where == "cluster" else "sync") as run:
        for task, _ in run(square, one_by_one(range(1, 100)), stop):
            ended.append(task)
            stop.asked = True
    assert len(ended) == 1


def test_local_workers_are_processes_with_one_thread_that_leave_signals_to_the_client() -> None:
    def look(task: int) -> tuple[Any, ...]:
        time.sleep(0.2)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return os.getpid(), threading.active_count(), blocked, os.environ.get("OMP_NUM_THREADS")

    with open_executor("local", 2) as run:
        seen = [result for _, result in run(look, one_by_one(range(1, 7)), Stop())]
    assert len({pid for pid, *_ in seen} - {os.getpid()}) == 2
    assert all(blocked >= {signal.SIGINT, signal.SIGTERM} for _, _, blocked, _ in seen)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}
    assert {threads for *_, threads in seen} == {"1"}


def test_local_clusters_listen_on_loopback_alone() -> None:
    listening = {"127.0.0.1", "::1"}
    with open_executor("local", 1) as run:
        next(run(square, one_by_one([1]), Stop()))
        here = psutil.Process()
        sockets = [
            socket
            for process in (here, *here.children(recursive=True))
            for socket in process.net_connections("inet")
            if socket.status == psutil.CONN_LISTEN
        ]
    assert sockets
    assert {socket.laddr.ip for socket in sockets} <= listening


def test_every_visible_gpu_has_a_worker_that_sees_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(task: int) -> str:
        time.sleep(0.2)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5f1a")
    with open_executor("gpu") as run:
        seen = [result for _, result in run(look, one_by_one(range(1, 7)), Stop())]
    assert set(seen) == {"3", "GPU-5f1a"}
    assert "torch" not in sys.modules or not sys.modules["torch"].cuda.is_initialized()


def test_a_machine_without_gpus_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RunError, match="No GPU is visible here"), open_executor("gpu"):
        pass


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("", []),
        (
            "GPU 0: NVIDIA H200 (UUID: GPU-aa-1)\nGPU 1: NVIDIA H200 (UUID: GPU-bb-2)\n",
            ["GPU-aa-1", "GPU-bb-2"],
        ),
        (
            "GPU 0: NVIDIA H100 (UUID: GPU-aa-1)\n"
            "  MIG 1g.10gb     Device  0: (UUID: MIG-cc-3)\n"
            "  MIG 1g.10gb     Device  1: (UUID: MIG-dd-4)\n"
            "GPU 1: NVIDIA H100 (UUID: GPU-bb-2)\n",
            ["MIG-cc-3", "MIG-dd-4", "GPU-bb-2"],
        ),
    ],
)
def test_gpus_are_those_that_nvidia_smi_lists_and_instances_of_partitioned_ones(
    listed: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "listed").write_text(listed)
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\n[ "$1" = -L ] && cat {tmp_path}/listed\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpus.visible_gpus() == names


def test_the_list_of_visible_gpus_ends_at_what_cuda_would_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    for chosen, names in (("1, 0", ["1", "0"]), ("2,-1,0", ["2"]), ("0,0", ["0"]), ("NoDevFiles", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert gpus.visible_gpus() == names


def test_workers_prepare_before_their_first_task_and_what_prevents_it_is_said(
    address: str, tmp_path: Path
) -> None:
    def prepare() -> None:
        (tmp_path / "prepared").touch()

    def is_prepared(task: int) -> bool:
        return (tmp_path / "prepared").exists()

    for where in ("sync", address):
        with open_executor(where, prepare=prepare) as run:
            assert list(run(is_prepared, one_by_one([1]), Stop())) == [(1, True)]
        (tmp_path / "prepared").unlink()

    def refuse() -> None:
        raise RunError("A worker sees no GPU.")

    for where in ("sync", address):
        with pytest.raises(RunError, match="sees no GPU"), open_executor(where, prepare=refuse):
            pass


def test_the_dashboard_is_named_where_there_is_one(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for bokeh, said in ((None, []), (object(), [r"Dashboard: http://127.0.0.1:\d+/status"])):
        monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name, found=bokeh: found)
        heard: list[str] = []
        with open_executor(address, notify=heard.append):
            pass
        assert len(heard) == len(said)
        assert all(re.fullmatch(pattern, text) for pattern, text in zip(said, heard, strict=True))


def test_workers_that_come_late_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch system starts workers at any time."""
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 0.2)
    said = []

    def say(sentence: str) -> None:
        said.append(sentence)
        cluster.scale(1)

    with (
        LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
        ) as cluster,
        open_executor(cluster.scheduler_address, notify=say) as run,
    ):
        assert list(run(square, one_by_one([3]), Stop())) == [(3, 9)]
    assert f"There are no workers at {cluster.scheduler_address}: waiting for" in " ".join(said)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scheduler": "foo"}, "scheduler= is 'local', 'gpu', 'sync', or an address"),
        ({"scheduler": "sync", "workers": 2}, "workers= is for scheduler='local' and 'gpu' only"),
        ({"scheduler": "gpu", "device": "cpu"}, "leave out device='cpu'"),
        ({"scheduler": "local", "tls": ("ca.pem", None, None)}, "for a scheduler at tls://"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused_before_there_is_a_store(
    arguments: dict[str, Any], sentence: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        mine(photos, tmp_path / "a.zarr", **arguments)
    assert not (tmp_path / "a.zarr").exists()
