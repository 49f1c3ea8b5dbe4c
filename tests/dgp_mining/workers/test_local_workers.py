"""Local workers that die or whose nanny ends come back; if none survives its preparation, the run ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import dask
import pytest

from dgp_mining.retry import RunError
from dgp_mining.signals import Stop
from dgp_mining.workers import dask_cluster
from dgp_mining.workers.executors import open_executor


def test_dask_does_not_give_a_local_worker_up_that_takes_long_to_come_back() -> None:
    with dask_cluster.local_cluster([]):
        assert dask.config.get("distributed.deploy.lost-worker-timeout") == "1 hour"


@pytest.mark.slow
@pytest.mark.alone
def test_a_local_worker_whose_nanny_has_ended_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "LOST_SECONDS", 1.0)
    said: list[str] = []
    with dask_cluster.local_cluster([{}], said.append) as cluster:
        cluster.client.wait_for_workers(1)
        (address,) = cluster.client.nthreads()
        (nanny,) = cluster.regain.cluster.workers.values()
        cluster.client.sync(nanny.close)
        end = time.monotonic() + 60
        while not (present := set(cluster.client.nthreads()) - {address}):
            assert time.monotonic() < end
            cluster.regain()
            time.sleep(0.1)
        assert len(present) == 1
    assert said == ["Worker 0 was lost and is started again."]


@pytest.mark.slow
@pytest.mark.alone
def test_local_workers_that_die_while_they_prepare_end_the_run_with_a_sentence(tmp_path: Path) -> None:
    def die() -> None:
        (tmp_path / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    said: list[str] = []
    sentence = r"^Worker 0 \(\S+\) died while it prepared; .*So did others before: take fewer workers="
    with pytest.raises(RunError, match=sentence), open_executor("local", 1, prepare=die, notify=said.append):
        pass
    assert len(list(tmp_path.iterdir())) == 3
    assert len(said) == 1


@pytest.mark.slow
@pytest.mark.alone
def test_a_local_worker_that_dies_twice_in_short_order_comes_back(tmp_path: Path) -> None:
    def die_twice(task: int) -> int:
        mark = tmp_path / str(len(list(tmp_path.iterdir())))
        if task == 3 and mark.name in "01":
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    tasks = iter(range(1, 6))
    with open_executor("local", 1) as run:
        ends = sorted(run(die_twice, lambda workers: next(tasks, None), Stop()))
    assert ends == [(n, n) for n in range(1, 6)]
