"""The rows of the benchmark of presets lead to `light`, and no training is repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from sr_model import PRESETS

FOLDER = Path(__file__).parents[3] / "workflows" / "benchmarks"


def run(folder: Path, rows: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "preset_choices.py"), "--quick", "--rows", rows]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def test_the_first_rows_lead_to_light_one_change_after_the_other(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from preset_choices import rows

    made = [row.preset() for row in rows().values()]
    dear, cheaper, light = (asdict(preset.network) for preset in made[:3])
    assert made[2] == PRESETS["light"]
    assert {name for name in dear if dear[name] != cheaper[name]} == {"dictionary_size", "latent"}
    assert {name for name in dear if cheaper[name] != light[name]} == {"width", "depth"}
    trainings = {(repr(row.preset()), row.public) for row in rows().values()}
    assert len(trainings) == len(made)  # no row is another's training
    assert not any("," in name for name in rows())  # by which --rows is divided


def test_it_prints_a_table_and_repeats_no_training(tmp_path):
    first = run(tmp_path, "demo,light")
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    header = next(index for index, line in enumerate(lines) if line.startswith("network"))
    assert [line.split()[0] for line in lines[header + 2 :]] == ["demo", "light", "bicubic"]
    assert "±" in lines[header + 2]
    log = tmp_path / "preset_choices.jsonl"
    assert [json.loads(line)["name"] for line in log.read_text().splitlines()] == ["demo", "light"]
    second = run(tmp_path, "demo,light")
    assert second.stdout == first.stdout
    assert "steps" not in second.stderr


@pytest.mark.parametrize("rows", ["faster", "demo,,light"])
def test_an_unknown_row_is_named(tmp_path, rows):
    refused = run(tmp_path, rows)
    assert refused.returncode == 1
    assert "--rows" in refused.stderr
    assert "Traceback" not in refused.stderr
