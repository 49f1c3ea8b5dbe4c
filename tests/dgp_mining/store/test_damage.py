"""Whatever has happened to the files of a store, every command ends in a sentence or in the right result."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner, Result

from dgp_mining import mining
from dgp_mining.cli import main
from dgp_mining.mining import mine
from dgp_mining.planning.plan import Plan, make_plan
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.store.integrity import seal
from dgp_mining.store.store import Store

SETTINGS = Settings(crop=32, max_crops=9)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 1 and arguments[0] != "verify":
        assert result.stderr.splitlines()[-1].startswith("Error: ")
    return result


def spoil(file: Path, rng: np.random.Generator) -> str:
    """Do to a file what happens to files; says what it was."""
    content = bytearray(file.read_bytes())
    match how := ["flip", "cut", "delete", "empty", "foreign"][rng.integers(5)]:
        case "flip":
            for place in rng.integers(len(content), size=1 + rng.integers(3)):
                content[place] ^= 1 << rng.integers(8)
        case "cut":
            del content[rng.integers(len(content)) :]
        case "delete":
            file.unlink()
            return how
        case "empty":
            content.clear()
        case "foreign":
            content = bytearray(rng.bytes(40))
    file.write_bytes(content)
    return how


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 150), marks=pytest.mark.slow)])
def test_every_command_ends_in_a_sentence_or_in_the_right_result(
    seeds: range, photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "mine", lambda *a, **k: mine(*a, **k | {"fitter": fitter}))
    monkeypatch.chdir(tmp_path)
    mine(photos, "whole.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    build = ["dictionary", "build", "--kernels", 64]
    fit = ["fit", "--images", photos, "--crop", 32, "--max-crops", 9, "--scheduler", "sync"]
    assert run(*build, "--store", "whole.zarr", "--out", "whole.npz").exit_code == 0
    whole = Path("whole.npz").read_bytes()
    ends = {"right": 0, "refused": 0, "repaired": 0}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        shutil.rmtree("a.zarr", ignore_errors=True)
        shutil.rmtree("b.zarr", ignore_errors=True)
        shutil.copytree("whole.zarr", "a.zarr")
        files = sorted(path for path in Path("a.zarr").rglob("*") if path.is_file())
        file = files[rng.integers(len(files))]
        what = f"seed {seed}: {spoil(file, rng)} {file}"
        run("status", "--store", "a.zarr", "--json")
        sound = run("verify", "--store", "a.zarr").exit_code == 0
        built = run(*build, "--store", "a.zarr", "--out", "a.npz").exit_code == 0
        if built:
            assert Path("a.npz").read_bytes() == whole, what
        merged = run("merge", "a.zarr", "--out", "b.zarr").exit_code == 0
        if merged and built:
            assert run(*build, "--store", "b.zarr", "--out", "b.npz").exit_code == 0, what
            assert Path("b.npz").read_bytes() == whole, what
        assert built or not sound or Store.open("a.zarr").pending_chunks(), what
        if run("verify", "--store", "a.zarr", "--repair").exit_code == 0:
            assert run(*fit, "--store", "a.zarr").exit_code == 0, what
            assert run(*build, "--store", "a.zarr", "--out", "a.npz").exit_code == 0, what
            assert Path("a.npz").read_bytes() == whole, what
            ends["right" if built else "repaired"] += 1
        else:
            assert run(*fit, "--store", "a.zarr").exit_code == 1, what
            ends["refused"] += 1
    assert len(seeds) < 20 or min(ends.values()) > 0, ends


@pytest.fixture
def plan(photos: Path) -> Plan:
    return make_plan(photos, resolve_settings(SETTINGS))


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a\\..\\secret.png", "C:/secret.png"])
def test_a_store_that_names_what_lies_outside_of_the_images_is_refused(
    tmp_path: Path, plan: Plan, name: str
) -> None:
    names = [name, *plan.names[1:]]
    Store.create(tmp_path / "a.zarr", replace(plan, names=names, image=0 * plan.image), chunk=4, gaussians=60)
    for command in (["status", "--store", tmp_path / "a.zarr"], ["verify", "--store", tmp_path / "a.zarr"]):
        assert "secret.png', which" in run(*command).stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"position": [[0, 65]] * 9}, "lie outside of their images"),
        ({"position": [[-1, 0]] * 9}, "lie outside of their images"),
        ({"image": [6] * 9}, "images that it does not list"),
        ({"image": [-1] * 9}, "images that it does not list"),
    ],
)
def test_a_store_of_crops_that_cannot_be_is_refused(
    tmp_path: Path, plan: Plan, change: dict[str, list[int]], said: str
) -> None:
    made = {key: np.array(value) for key, value in change.items()}
    Store.create(tmp_path / "a.zarr", replace(plan, **made), chunk=4, gaussians=60)
    result = run("status", "--store", tmp_path / "a.zarr")
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_part_outside_of_the_store_is_refused(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "a.zarr", plan, chunk=4, gaussians=60)
    root = zarr.open_group(tmp_path / "a.zarr")
    about = {key: value for key, value in root.attrs.asdict().items() if key != "digest"}
    for name in ("../../elsewhere", str(tmp_path), 7, store.parts[0].name.upper() + "/"):
        root.update_attributes(seal(about | {"parts": [name]}))
        result = run("status", "--store", tmp_path / "a.zarr")
        assert result.exit_code == 1
        assert "cannot have a part" in result.stderr


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
