"""A disk that fills up during a run stops it with one sentence; with more room the same command continues."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from run import assert_same_run, fit_command, run, undisturbed_run

CROPS = 64

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]

SCRIPT = """
set -u
mount -t tmpfs -o size={small}k tmpfs "$1"
shift
"$@"
echo "status $?" >&2
mount -o remount,size=100m tmpfs {disk}
"$@"
status=$?
cp -r {disk}/store.zarr {kept}
exit $status
"""
"""In a mount namespace of its own: a small disk, a run, more room, the same run; then copy the store out."""


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a file system in a namespace of its own."""
    mount = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    try:
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_a_full_disk_loses_nothing(photos: Path, tmp_path: Path, undisturbed: Path, share: float) -> None:
    """The disk has room for a part of the store: for less than its plan, or for half of the crops."""
    disk, kept = tmp_path / "disk", tmp_path / "kept.zarr"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("no file system can be mounted here without privileges (unshare --user --mount)")
    small = int(share * size(undisturbed) / 1024)
    script = SCRIPT.format(small=small, disk=disk, kept=kept)
    fit = [*fit_command(photos, disk / "store.zarr", CROPS), "--log", str(tmp_path / "log")]
    done = run(*NAMESPACE, "bash", "-c", script, "bash", str(disk), *fit)
    assert done.returncode == 0, done.stderr
    first, _, second = done.stderr.partition("status 1\n")
    (sentence,) = [line for line in first.splitlines() if line.startswith("Error: ")]
    assert "room" in sentence
    assert "repeat the command" in sentence
    assert "Error" not in second
    assert_same_run(kept, undisturbed, tmp_path)


@pytest.fixture(scope="module")
def undisturbed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undisturbed_run(photos, tmp_path_factory.mktemp("undisturbed") / "store.zarr", CROPS)


def size(store: Path) -> int:
    """Bytes that a store takes on a disk of pages of 4 KiB."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in store.rglob("*") if path.is_file())
