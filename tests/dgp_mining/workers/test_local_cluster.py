"""A local cluster is the run's own: other users of the machine reach its ports, and get nothing."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client
from distributed.security import Security

from dgp_mining.retry import RunError
from dgp_mining.signals import Stop
from dgp_mining.workers import dask_cluster, executors
from dgp_mining.workers.executors import Executor, open_executor

SECONDS = 5


def square(task: int) -> int:
    return task * task


def folder_here(task: int) -> str:
    from distributed import get_worker

    return str(get_worker().local_directory)


def numbers(count: int) -> Callable[[int], int | None]:
    remaining = iter(range(1, count + 1))
    return lambda workers: next(remaining, None)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder for temporary files, in which a stranger has left one for Dask's."""
    folder = tmp_path_factory.mktemp("temporary")
    planted = folder / "dask-scratch-space"
    planted.mkdir()
    planted.chmod(0o777)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def run(temporary: Path, said: list[str]) -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors.importlib.util, "find_spec", lambda name: object())  # as if bokeh were there
        with open_executor("local", 1, notify=said.append) as run:
            yield run
    assert [path.name for path in temporary.iterdir()] == ["dask-scratch-space"]


def family() -> list[psutil.Process]:
    here = psutil.Process()
    return [here, *here.children(recursive=True)]


def listening() -> list[int]:
    """The ports of this process and of those that it has started."""
    sockets = [each for process in family() for each in process.net_connections("inet")]
    ports = {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}
    return sorted(ports)


def heard(port: int, context: ssl.SSLContext | None) -> bytes:
    """What a server says to whoever connects, with TLS if there is a context."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
        try:
            if context is None:
                plain.sendall(bytes(64))
                return plain.recv(100)
            with context.wrap_socket(plain) as encrypted:
                return encrypted.recv(100)
        except (ssl.SSLError, ConnectionError, TimeoutError):
            return b""


def strange_context(folder: Path, certificate: bool) -> ssl.SSLContext:
    """A stranger trusts anybody, and has a certificate of their own, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        own: Any = Security.temporary()
        pem = folder / "own.pem"
        pem.write_text(own.tls_client_key + own.tls_client_cert)
        context.load_cert_chain(pem)
    return context


def page(port: int, path: str) -> bytes | None:
    """A page of a web server; None if it has none there, or is no web server."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=SECONDS) as answer:
            return bytes(answer.read())
    except (OSError, urllib.error.URLError):
        return None


def test_strangers_are_refused_and_the_run_goes_on(run: Executor, tmp_path: Path) -> None:
    results = run(square, numbers(30), Stop())
    done = [next(results)]
    ports = [port for port in listening() if page(port, "sitemap.json") is None]
    assert len(ports) >= 3  # scheduler, nanny, worker
    for port in ports:
        assert heard(port, None) == b""
        for certificate in (False, True):
            assert heard(port, strange_context(tmp_path, certificate)) == b""
    for address, security in (
        (f"tcp://127.0.0.1:{ports[0]}", None),
        (f"tls://127.0.0.1:{ports[0]}", Security.temporary()),
    ):
        with pytest.raises(OSError), Client(address, security=security, timeout=1, set_as_default=False):
            pass
    done.extend(results)
    assert sorted(done) == [(n, n * n) for n in range(1, 31)]


def test_its_web_servers_have_no_pages(run: Executor, said: list[str]) -> None:
    list(run(square, numbers(1), Stop()))
    servers = {port: listed for port in listening() if (listed := page(port, "sitemap.json")) is not None}
    assert servers
    assert set(servers.values()) == {b'{"paths": ["/sitemap.json"]}'}
    for port in servers:
        for path in ("", "status", "info/main/workers.html", "json/counts.json", "metrics", "health"):
            assert page(port, path) is None
    assert not [sentence for sentence in said if "Dashboard" in sentence]


def test_the_key_lies_in_no_file_and_no_environment(run: Executor, temporary: Path) -> None:
    list(run(square, numbers(1), Stop()))
    for path in temporary.rglob("*"):
        assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes()
    for process in family():
        assert "PRIVATE KEY" not in f"{process.environ()} {process.cmdline()}"


def test_files_of_workers_lie_in_a_folder_of_the_user_alone(run: Executor, temporary: Path) -> None:
    ((_, folder),) = run(folder_here, numbers(1), Stop())
    assert folder is not None
    top = temporary / Path(folder).relative_to(temporary).parts[0]
    assert stat.S_IMODE(top.stat().st_mode) == 0o700
    assert top.stat().st_uid == os.getuid()
    assert not list((temporary / "dask-scratch-space").iterdir())


def test_no_place_for_temporary_files_is_one_sentence(tmp_path: Path) -> None:
    with (
        dask.config.set({"temporary-directory": str(tmp_path / "gone")}),
        pytest.raises(RunError, match=r"no place for temporary files in .*gone .*TMPDIR"),
        open_executor("local", 1),
    ):
        pass


def test_a_remote_scheduler_without_tls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for address, named in (
        ("tcp://10.0.0.5:8786", True),
        ("tcp://login1:8786", True),
        ("tcp://[2001:db8::1]:8786", True),
        ("tls://10.0.0.5:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://127.0.1.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tcp://localhost:8786", False),
    ):
        assert executors.is_open(address) == named
    monkeypatch.setattr(executors, "is_open", lambda scheduler: scheduler == "local")
    monkeypatch.setattr(dask_cluster, "local_cluster", _no_cluster)
    said: list[str] = []
    with pytest.raises(ZeroDivisionError), open_executor("local", 1, notify=said.append):
        pass
    assert len(said) == 1
    assert "uses no TLS" in said[0]


def _no_cluster(*arguments: object) -> Any:
    class Nothing:
        def __enter__(self) -> Any:
            return dask_cluster.Cluster(None, local=True)

        def __exit__(self, *error: object) -> None:
            raise ZeroDivisionError

    return Nothing()
