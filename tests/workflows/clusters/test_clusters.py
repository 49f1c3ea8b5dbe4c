"""The recipes for clusters: what they submit is well-formed, and their own commands run here, on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from dgp_mining.store.integrity import StoreError
from dgp_mining.store.store import Store
from dgp_mining.store.summary import summarise

FOLDER = Path(__file__).parents[3] / "workflows" / "clusters"
SMALL = ["--crop", "16", "--max-crops", "12", "--iterations", "50"]

FAKE_SLURM = {
    # A job starts at once, in the background, and ends with whatever it has started. Its script is copied, as
    # by SLURM: whoever submits it may then delete it.
    "sbatch": 'script=$(mktemp "$PWD/job-XXXXXX"); cp "${@: -1}" "$script"; '
    'setsid bash "$script" > job.log 2>&1 & echo $! >> jobs; echo "Submitted batch job $!"',
    "scancel": 'for job in "$@"; do kill -- "-$job" 2> /dev/null; done; true',
    "srun": 'exec "$@"',
    "scontrol": 'echo "$@" >> scontrol.log',
    "hostname": "echo 127.0.0.1",
}
"""Stand-ins for SLURM's commands, which run everything here; bash."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        values = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(values).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which SLURM's commands are stand-ins, and dgp-mine and dask are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in FAKE_SLURM.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    yield {**os.environ, "PATH": path, "SLURM_JOB_ID": str(os.getpid())}
    if (tmp_path / "jobs").exists():
        for job in (tmp_path / "jobs").read_text().split():
            subprocess.run([folder / "scancel", job], check=True)


@contextmanager
def background(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen]:
    """A process in `folder` that ends, with all that it has started, when the test does."""
    with (folder / f"{Path(command[0]).name}-{Path(command[1]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def crops_done(store: Path) -> int:
    """Of a store that may not be there yet."""
    try:
        return summarise(Store.open(store))["done"]
    except StoreError:
        return 0


def assert_all_done(store: Path, output: str) -> None:
    assert crops_done(store) == 12, output
    assert "Traceback" not in output


# --- Kubernetes -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifest() -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of the manifest, by kind and name."""
    objects = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def pods(manifest: dict[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The templates of pods, by the name of what makes them."""
    return {
        name: each["spec"]["template"] for (_, name), each in manifest.items() if "template" in each["spec"]
    }


def container(manifest: dict[tuple[str, str], dict[str, Any]], name: str) -> dict[str, Any]:
    (only,) = pods(manifest)[name]["spec"]["containers"]
    return only


def test_the_manifest_fits_together(manifest: dict[tuple[str, str], dict[str, Any]]) -> None:
    templates = pods(manifest)
    assert set(templates) == {"dgp-mine-scheduler", "dgp-mine-worker", "dgp-mine-fit"}
    for (kind, name), each in manifest.items():
        assert (
            each["apiVersion"]
            == {
                "Service": "v1",
                "Deployment": "apps/v1",
                "Job": "batch/v1",
                "NetworkPolicy": "networking.k8s.io/v1",
            }[kind]
        )
        if kind == "Deployment":
            assert each["spec"]["selector"]["matchLabels"] == templates[name]["metadata"]["labels"]
    service = manifest["Service", "dgp-mine-scheduler"]["spec"]
    assert service["selector"] == templates["dgp-mine-scheduler"]["metadata"]["labels"]
    (port,) = service["ports"]
    scheduler = container(manifest, "dgp-mine-scheduler")
    assert {"containerPort": port["targetPort"]} in scheduler["ports"]
    assert scheduler["command"][scheduler["command"].index("--port") + 1] == str(port["targetPort"])
    address = f"tcp://dgp-mine-scheduler:{port['port']}"
    assert address in container(manifest, "dgp-mine-worker")["command"]
    assert container(manifest, "dgp-mine-fit")["command"][-2:] == ["--scheduler", address]
    policy = manifest["NetworkPolicy", "dgp-mine"]["spec"]
    assert policy["podSelector"] == policy["ingress"][0]["from"][0]["podSelector"]
    for template in templates.values():
        assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        (only,) = template["spec"]["containers"]
        assert only["image"] == "registry.example.com/dgp-mine"
        mounted = {mount["name"] for mount in only.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in template["spec"].get("volumes", [])}
    assert f"-t {scheduler['image']}" in (FOLDER / "Dockerfile").read_text()


@pytest.mark.slow
@pytest.mark.alone
def test_the_commands_of_the_manifest_mine(
    manifest: dict[tuple[str, str], dict[str, Any]], photos: Path, tmp_path: Path
) -> None:
    """As in a cluster, the job starts when it likes, fails while there is nobody, and is started again."""
    store = tmp_path / "a.zarr"
    here = {"8786": str(20_000 + os.getpid() % 20_000), "dgp-mine-scheduler": "127.0.0.1"}
    here |= {"s3://my-bucket/dgp.zarr": str(store), "/photographs": str(photos)}

    def command(name: str) -> list[str]:
        words = container(manifest, name)["command"]
        for there, replacement in here.items():
            words = [word.replace(there, replacement) for word in words]
        return [str(Path(sys.executable).with_name(words[0])), *words[1:]]

    fit = [*command("dgp-mine-fit"), *SMALL]
    alone = subprocess.run(fit, capture_output=True, text=True, check=False)
    assert alone.returncode == 1
    assert "No Dask scheduler answers" in alone.stderr
    with (
        background([*command("dgp-mine-scheduler"), "--host", "127.0.0.1"], tmp_path, os.environ),
        background(command("dgp-mine-worker"), tmp_path, os.environ),
    ):
        done = subprocess.run(fit, capture_output=True, text=True, check=False)
    assert_all_done(store, done.stderr)
    assert done.returncode == 0


# --- SLURM ----------------------------------------------------------------------------------------------


def test_a_job_script_has_the_resources_that_were_asked_for(slurm: dict[str, str], tmp_path: Path) -> None:
    options = "--cores 12 --memory 48GB --walltime 01:30:00 --queue short --account me --print"
    command = [sys.executable, str(FOLDER / "slurm.py"), *options.split()]
    done = subprocess.run(command, cwd=tmp_path, env=slurm, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    directives = [
        line.removeprefix("#SBATCH ") for line in done.stdout.splitlines() if line.startswith("#SBATCH")
    ]
    assert {"-J dgp-mine", "-p short", "-A me", "--cpus-per-task=12", "-t 01:30:00"} <= set(directives)
    assert any(directive.startswith("--mem=4") for directive in directives)
    worker = done.stdout.splitlines()[-1 if done.stdout.splitlines()[-1] else -2]
    assert " tls://" in worker
    assert all(f" --{option} " in worker for option in ("nworkers 12", "nthreads 1", "nanny", "tls-key"))
    assert not (tmp_path / "jobs").exists()


LONG = ["--crop", "16", "--max-crops", "12", "--iterations", "50000"]


def interrupt_under_way(command: list[str], store: Path, environment: Mapping[str, str], number: int) -> int:
    """The exit status of a command that is sent a signal when the first crops are done."""
    with background(command, store.parent, environment) as process:
        deadline = time.monotonic() + 200
        while not crops_done(store):
            assert process.poll() is None
            assert time.monotonic() < deadline, "no crop was fitted"
            time.sleep(0.2)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        status = process.wait(timeout=100)
    assert 1 <= crops_done(store) < 12
    return status


@pytest.mark.slow
@pytest.mark.alone
def test_slurm_jobs_mine_and_continue_after_ctrl_c(
    slurm: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "a.zarr"
    command = [sys.executable, str(FOLDER / "slurm.py"), "--jobs", "2", "--cores", "1", "--"]
    command += ["--images", str(photos), "--store", str(store), *LONG]
    assert interrupt_under_way(command, store, slurm, signal.SIGINT) == 130
    assert not list(tmp_path.glob("dgp-mine-*")), "the key is left behind"
    done = subprocess.run(command, cwd=tmp_path, env=slurm, capture_output=True, text=True, check=False)
    assert_all_done(store, done.stderr)
    assert done.returncode == 0
    assert len((tmp_path / "jobs").read_text().split()) >= 4


@pytest.mark.slow
@pytest.mark.alone
def test_one_allocation_mines_and_continues_after_its_time_limit(
    slurm: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "a.zarr"
    command = ["bash", str(FOLDER / "slurm.sbatch"), "--images", str(photos), "--store", str(store), *LONG]
    assert interrupt_under_way(command, store, slurm, signal.SIGTERM) == 143
    assert (tmp_path / "scontrol.log").read_text() == f"requeue {os.getpid()}\n"
    done = subprocess.run(command, cwd=tmp_path, env=slurm, capture_output=True, text=True, check=False)
    assert_all_done(store, done.stderr)
    assert done.returncode == 0
    assert not list(tmp_path.glob(".dgp-mine-*")), "the key is left behind"
