"""The summary of a store counts what failed and why, and how fast a run is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dgp_mining.cli import main
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.store.store import Chunk, Store
from dgp_mining.store.summary import reason, recent


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 1 and arguments[0] != "verify":
        assert result.stderr.splitlines()[-1].startswith("Error: ")
    return result


def test_status_exits_with_3_only_for_what_is_finished_with_failures(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (64, 64)).save(photos / "black.png")
    path = tmp_path / "a.zarr"
    store = mine(photos, path, Settings(crop=32), scheduler="sync", fitter=fitter)
    finished = run("status", "--store", path)
    assert finished.exit_code == 3
    assert "failed    4 crops: the crop is black" in finished.stdout
    as_json = json.loads(run("status", "--store", path, "--json").stdout)
    assert as_json["reasons"]["failed"] == {"the crop is black": 4}
    assert as_json["failures"] == [
        {"image": "black.png", "error": "black.png: the crop is black", "crops": 4}
    ]
    assert as_json["recent"] is None
    store.mark_pending(Chunk(store.parts[0].name, len(store) - 1))
    running = run("status", "--store", path, "--json")
    assert running.exit_code == 0
    assert json.loads(running.stdout)["recent"]["crops_per_second"] > 0
    now = time.time()
    speeds = []
    for seconds in (100, 200):  # in which nothing is written
        monkeypatch.setattr(time, "time", lambda seconds=seconds: now + seconds)
        speeds.append((recent(Store.open(path)) or {})["crops_per_second"])
    assert speeds[1] == pytest.approx(speeds[0] / 2, rel=0.1)


def test_a_reason_has_no_brackets_even_if_they_hold_others() -> None:
    error = (
        "a.jpg cannot be decoded (image file is truncated (11 bytes not processed)): replace or remove it."
    )
    assert reason("a.jpg", error) == "cannot be decoded"
