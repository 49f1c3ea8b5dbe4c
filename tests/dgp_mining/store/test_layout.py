"""An array with other metadata than were written is refused, and repaired."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dgp_mining.cli import main
from dgp_mining.planning.plan import Plan, make_plan
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.store.store import Store

SETTINGS = Settings(crop=32, max_crops=9)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 1 and arguments[0] != "verify":
        assert result.stderr.splitlines()[-1].startswith("Error: ")
    return result


@pytest.fixture
def plan(photos: Path) -> Plan:
    return make_plan(photos, resolve_settings(SETTINGS))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "codecs",
            [{"name": "vlen-utf8"}, {"name": "numcodecs.zlib", "configuration": {"level": 1}}],
            "encoding",
        ),
        ("codecs", [{"name": "pickle"}, {"name": "zstd"}, {"name": "crc32c"}], "damaged"),
        ("data_type", "object", "damaged"),
        ("data_type", "float32", "damaged"),
        ("shape", [10**15], "shape"),
        ("shape", [8], "shape"),
        ("fill_value", "done", "fill value"),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [9]}}, "chunks"),
        ("zarr_format", 2, "damaged"),
        ("node_type", "group", "damaged"),
    ],
)
def test_an_array_of_another_kind_is_refused(
    tmp_path: Path, plan: Plan, key: str, value: object, said: str
) -> None:
    store = Store.create(tmp_path / "a.zarr", plan, chunk=4, gaussians=60)
    file = Path(str(store.parts[0].place)) / "crops/error/zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    result = run("status", "--store", tmp_path / "a.zarr")
    assert result.exit_code == 1
    assert "crops/error is damaged" in result.stderr
    assert said in result.stderr
    assert run("verify", "--store", tmp_path / "a.zarr", "--repair").exit_code == 0
    assert run("status", "--store", tmp_path / "a.zarr").exit_code == 0
