"""On a full disk every command ends with one sentence; what was there stays whole, and nothing else is left.

A small file system is mounted in a namespace of its own; where that needs privileges, the tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "${@:2}"'

WHOLE = 1
PARTLY = 3
"""Exit status of commands that go on with other images."""

CASES = {
    "dictionary build": WHOLE,
    "dictionary import": WHOLE,
    "dictionary export .npy": WHOLE,
    "dictionary export .csv": WHOLE,
    "dictionary show .png": WHOLE,
    "dictionary show .pdf": WHOLE,
    "dictionary show .svg": WHOLE,
    "report": WHOLE,
    "export-field .png": WHOLE,
    "export-field .safetensors": WHOLE,
    "export-field .ply": WHOLE,
    "merge": WHOLE,
    "fit": WHOLE,
    "fit --overwrite": WHOLE,
    "sr-upscale .png": WHOLE,
    "sr-upscale .jpg": WHOLE,
    "sr-upscale .webp": WHOLE,
    "sr-upscale .tif": WHOLE,
    "sr-upscale --save-field": WHOLE,
    "sr-upscale of a folder": PARTLY,
    "sr-eval --save": PARTLY,
    "sr-eval --save-table": WHOLE,
    "sr-convert": WHOLE,
    "sr-train settings": WHOLE,
    "sr-train": WHOLE,
    "sr-train --dry-run": WHOLE,
    "sr-train --cache": WHOLE,
}
"""Of full_disk_commands.py -> the exit status."""

MAKES = {"sr-train": "settings.toml", "sr-train --dry-run": "settings.toml", "sr-train --cache": "lock"}
"""What is written, whole, before the disk is full, in a folder of the command's own."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    disk, elsewhere = (tmp_path_factory.mktemp(name) for name in ("disk", "elsewhere"))
    try:
        mount = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(disk)]
        possible = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("no file system can be mounted here without privileges (unshare --user --mount)")
    program = [
        sys.executable,
        str(Path(__file__).with_name("full_disk_commands.py")),
        str(disk),
        str(elsewhere),
    ]
    run = [*NAMESPACE, "bash", "-c", MOUNT, "bash", str(disk), *program]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_every_case_is_known(results: dict[str, list]) -> None:
    assert set(results) == set(CASES)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_full_disk_is_one_sentence_and_costs_nothing(results: dict[str, list], name: str) -> None:
    if name.endswith(".ply") and importlib.util.find_spec("gsplat") is None:
        pytest.skip("gsplat is not installed")
    status, said, before, after, beside = results[name]
    assert status == CASES[name], said
    assert "Traceback" not in said
    assert beside == []
    start = "Error: " if status == WHOLE else ("failed: ", "skipped: ")
    (sentence,) = [line for line in said.splitlines() if line.startswith(start)]
    assert any(words in sentence for words in ("(No space left on device)", "room left", "B are free"))
    if name in MAKES:
        assert [one.partition(":")[0] for one in after.split()] == [MAKES[name]]
    elif name in ("fit", "merge"):  # parts of a layout, which is no store yet; the same command goes on
        assert not re.search(r"(^| )zarr\.json:", after)
        assert ".partial" not in after
    else:
        assert before == after
