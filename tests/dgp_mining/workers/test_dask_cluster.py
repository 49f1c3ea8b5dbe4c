"""Remote schedulers: TLS if requested, waiting while they have no workers, an error once they are gone."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from dgp_mining.retry import RunError
from dgp_mining.signals import Stop
from dgp_mining.workers import pool
from dgp_mining.workers.executors import open_executor

Start = Callable[..., "subprocess.Popen[bytes]"]


def worker(address: str) -> list[str]:
    return ["worker", address, "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]


def numbers(count: int) -> Callable[[int], int | None]:
    remaining = iter(range(1, count + 1))
    return lambda workers: next(remaining, None)


def nap(task: int) -> int:
    time.sleep(0.05)
    return task


def wait_for_worker(address: str) -> None:
    """Wait until the scheduler has a worker."""
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)


def test_a_run_waits_for_workers_that_have_gone_and_goes_on_with_others(
    scheduler: tuple[str, object],
    start: Start,
    until: Callable[[Callable[[], bool]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 0.2)
    address, _ = scheduler
    said: list[str] = []
    first = start(*worker(address))
    wait_for_worker(address)
    done = []

    def replace_when_missed() -> None:
        try:
            until(lambda: len(said) == 2)
        finally:  # without it the run below would wait for ever
            start(*worker(address))

    with open_executor(address, notify=said.append) as run:
        for task, _ in run(nap, numbers(30), Stop()):
            done.append(task)
            if len(done) == 5:
                first.kill()
                threading.Thread(target=replace_when_missed, daemon=True).start()
    assert sorted(done) == list(range(1, 31))
    assert re.fullmatch(r"Worker \S+ died; it took 0\.\d\d GB of memory; its task runs again\.", said[0])
    assert said[1].startswith(f"There are no workers at {address}: waiting for 'dask worker")
    assert said[2:] == ["Workers have joined; continuing."]


def test_a_scheduler_that_is_gone_is_one_sentence(
    scheduler: tuple[str, subprocess.Popen[bytes]], start: Start
) -> None:
    address, process = scheduler
    start(*worker(address))
    wait_for_worker(address)
    done = []
    with open_executor(address) as run:
        results = run(nap, numbers(1000), Stop())
        done.append(next(results))
        process.kill()
        with pytest.raises(RunError, match=f"The scheduler at {address} is gone: start it again"):
            done.extend(results)
    assert 1 <= len(done) < 1000


def test_a_scheduler_that_does_not_answer_is_said_and_waited_for(
    scheduler: tuple[str, subprocess.Popen[bytes]], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "ANSWER_SECONDS", 1.0)
    address, process = scheduler
    start(*worker(address))
    wait_for_worker(address)
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        process.send_signal(signal.SIGCONT)

    done = []
    with open_executor(address, notify=say) as run:
        for task, _ in run(nap, numbers(40), Stop()):
            done.append(task)
            if len(done) == 5:
                process.send_signal(signal.SIGSTOP)
    assert sorted(done) == list(range(1, 41))
    pair = [
        f"The scheduler at {address} does not answer: the run waits for it. Ctrl-C ends.",
        "The scheduler answers again; continuing.",
    ]
    assert said == pair * max(1, len(said) // 2)  # on a busy machine, it may be slow once more


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Files of an authority, and a certificate that it has signed with its key."""
    folder = tmp_path_factory.mktemp("pem")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
    try:
        openssl(*new, "/CN=authority", "-x509", "-keyout", "ca.key", "-out", "ca.pem")
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    openssl(*new, "/CN=127.0.0.1", "-keyout", "key.pem", "-out", "request.pem")
    openssl(
        *("x509", "-req", "-in", "request.pem", "-out", "cert.pem"),
        *("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
    )
    return tuple(str(folder / f"{name}.pem") for name in ("ca", "cert", "key"))


@pytest.fixture
def encrypted(pem: tuple[str, str, str]) -> Iterator[str]:
    """The tls:// address of a scheduler with one worker."""
    ca, cert, key = pem
    roles = {
        f"tls_{role}_{part}": path
        for role in ("scheduler", "worker", "client")
        for part, path in (("cert", cert), ("key", key))
    }
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tls://",
        dashboard_address="127.0.0.1:0",
        security=Security(tls_ca_file=ca, require_encryption=True, **roles),
    ) as cluster:
        yield cluster.scheduler_address


def test_tasks_run_over_tls(encrypted: str, pem: tuple[str, str, str]) -> None:
    assert encrypted.startswith("tls://")
    with open_executor(encrypted, tls=pem) as run:
        assert sorted(run(nap, numbers(3), Stop())) == [(n, n) for n in (1, 2, 3)]


def test_what_tls_lacks_is_named(pem: tuple[str, str, str], tmp_path: Path) -> None:
    ca, cert, key = pem
    for files, said in (
        ((None, None, None), "tls_ca= is missing"),
        ((ca, None, key), "tls_cert= is missing"),
        ((ca, cert, str(tmp_path / "none.pem")), f"tls_key= {tmp_path}/none.pem is not a file"),
        ((cert, str(tmp_path / "text.pem"), key), "cannot be used"),
    ):
        (tmp_path / "text.pem").write_text("not a certificate")
        with pytest.raises(RunError, match=said), open_executor("tls://127.0.0.1:1", tls=files):
            pass
