"""A part with an impossible plan is refused: what a store holds cannot be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner, Result

from dgp_mining.cli import main
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
    for name, said in (
        ("../../elsewhere", "cannot have a part"),
        (str(tmp_path), "cannot have a part"),
        (7, "must be text, not a whole number"),
        (store.parts[0].name.upper() + "/", "cannot have a part"),
    ):
        root.update_attributes(seal(about | {"parts": [name]}))
        result = run("status", "--store", tmp_path / "a.zarr")
        assert result.exit_code == 1
        assert said in result.stderr
