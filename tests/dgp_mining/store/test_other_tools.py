"""Stores among other tools: attributes and consolidated metadata that these add, and their own readers."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

from dgp_mining.mining import mine
from dgp_mining.planning.plan import make_plan
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.store.integrity import DamagedError
from dgp_mining.store.layout import _AXES, crop_arrays, plan_arrays
from dgp_mining.store.store import DONE, Store
from dgp_mining.store.verify import verify

SETTINGS = Settings(crop=32, max_crops=6, keep_fields=True)
MORE = Settings(crop=32, max_crops=9, keep_fields=True)
SAMPLES = Path(__file__).resolve().parents[3] / "data/samples"

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")


@pytest.fixture
def store(photos: Path, tmp_path: Path, fitter: str) -> Path:
    mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    return tmp_path / "a.zarr"


def part_of(store: Path) -> Path:
    (name,) = Store.open(store)._attributes["parts"]
    return store / "parts" / name


def edit(group: Path, change: Callable[[dict], object]) -> None:
    """Change the attributes of a group or array, as a program would that knows nothing of stores."""
    file = group / "zarr.json"
    content = json.loads(file.read_text())
    change(content["attributes"])
    file.write_text(json.dumps(content))


def attributes(group: Path) -> dict:
    return json.loads((group / "zarr.json").read_text())["attributes"]


# --- attributes ---------------------------------------------------------------------------------------------


def test_attributes_of_other_tools_are_kept_and_do_no_damage(store: Path, photos: Path, fitter: str) -> None:
    places = [store, part_of(store), part_of(store) / "crops", part_of(store) / "crops/result"]
    for place in places:
        edit(place, lambda found: found.update(title="mine", nested={"a": [1, None]}))
    assert verify(store).damage == []
    verify(store, repair=True)
    assert (mine(photos, store, MORE, scheduler="sync", fitter=fitter).status == DONE).all()
    assert len(Store.open(store).parts) == 2
    assert verify(store).damage == []
    for place in places:
        assert attributes(place)["title"] == "mine"
        assert attributes(place)["nested"] == {"a": [1, None]}


def changes(names: list[str]) -> Iterator[Callable[[dict], object]]:
    for name in names:
        yield lambda found, name=name: found.update({name: 5})
        yield lambda found, name=name: found.pop(name, None)


def test_our_attributes_of_the_store_are_still_sealed(store: Path) -> None:
    before = (store / "zarr.json").read_text()
    for change in changes(["format", "settings", "versions", "parts", "digest"]):
        edit(store, change)
        with pytest.raises(ValueError, match=r"is damaged|is not a store"):
            verify(store)
        (store / "zarr.json").write_text(before)


def test_our_attributes_of_a_part_are_sealed_and_found_again(store: Path, photos: Path, fitter: str) -> None:
    part = part_of(store)
    before = attributes(part)
    edit(part, lambda found: found.update(title="mine"))
    for change in changes(["crops", "images", "chunk", "gaussians", "digest", "snapshots", "folder"]):
        edit(part, change)
        if attributes(part) == {**before, "title": "mine"}:
            continue  # there were no snapshots, so nothing was removed
        with pytest.raises(DamagedError, match="its digest does not fit"):
            verify(store)
        found = verify(store, repair=True)
        assert [damage.chunk for damage in found.damage] == [None]
        assert found.sound
        after = attributes(part)
        assert after.pop("title") == "mine"
        if after["folder"] is None:  # it stands nowhere else
            before |= {"folder": None, "digest": after["digest"]}
        assert after == before
        assert verify(store).damage == []
    assert before["folder"] is None
    assert len(mine(photos, store, MORE, scheduler="sync", fitter=fitter)) == 9


def test_lost_metadata_of_a_part_are_found_again(store: Path) -> None:
    before = Store.open(store).at().results
    for content in (None, "{", '{"zarr_format": 3, "node_type": "group", "attributes": {}}'):
        file = part_of(store) / "zarr.json"
        file.write_text(content) if content else file.unlink()
        assert verify(store, repair=True).sound
        np.testing.assert_array_equal(Store.open(store).at().results, before)


def test_attributes_of_the_store_are_sealed_again_only_if_its_parts_prove_them(store: Path) -> None:
    before = (store / "zarr.json").read_text()
    for change in (
        lambda found: found["settings"].update(density=0.3),
        lambda found: found["settings"].update(iterations=299),
        lambda found: found["settings"].update(max_crops=5),
        lambda found: found["settings"].update(keep_fields=False),
        lambda found: found["settings"].update(snapshots=[0, 1]),
        lambda found: found["settings"].pop("density"),
        lambda found: found.update(parts=[]),
        lambda found: found.update(versions=7),
    ):
        edit(store, change)
        with pytest.raises(DamagedError, match="its digest does not fit"):
            verify(store, repair=True)
        (store / "zarr.json").write_text(before)
    edit(store, lambda found: found.pop("digest"))
    assert verify(store, repair=True).sound
    assert verify(store).damage == []
    assert json.loads((store / "zarr.json").read_text()) == json.loads(before)


def test_changed_columns_of_an_array_are_found_and_written_again(store: Path) -> None:
    array = part_of(store) / "crops/result"
    before = attributes(array)
    for change in (lambda found: found.pop("columns"), lambda found: found["columns"].reverse()):
        edit(array, change)
        (damage,) = verify(store).damage
        assert "crops/result has damaged metadata" in damage.what
        edit(array, lambda found: found.update(title="mine"))
        assert verify(store, repair=True).sound
        assert attributes(array) == {**before, "title": "mine"}


# --- consolidated metadata ----------------------------------------------------------------------------------


def test_consolidated_metadata_are_renewed_when_the_store_grows(
    store: Path, photos: Path, fitter: str
) -> None:
    zarr.consolidate_metadata(store)
    zarr.consolidate_metadata(store, path="parts")
    edit(store, lambda found: found.update(title="mine"))
    assert verify(store).damage == []
    mine(photos, store, MORE, scheduler="sync", fitter=fitter)
    for root, below in ((zarr.open_group(store, mode="r"), "parts/"), (zarr.open_group(store / "parts"), "")):
        assert root.metadata.consolidated_metadata is not None
        for part in Store.open(store).parts:
            assert root[f"{below}{part.name}/crops/status"][:].all()
    assert attributes(store)["title"] == "mine"
    assert verify(store).damage == []


def test_outdated_consolidated_metadata_are_found_and_renewed(store: Path, photos: Path, fitter: str) -> None:
    mine(photos, store, MORE, scheduler="sync", fitter=fitter)
    last = Store.open(store).parts[-1].name
    zarr.consolidate_metadata(store)
    zarr.consolidate_metadata(store / "parts" / last)
    for group in (store, store / "parts" / last):
        file = group / "zarr.json"
        content = json.loads(file.read_text())
        known = content["consolidated_metadata"]["metadata"]
        for path in [path for path in known if "statistics" in path]:
            del known[path]
        file.write_text(json.dumps(content))
    assert len(verify(store).damage) == 2
    assert all("consolidated metadata" in damage.what for damage in verify(store).damage)
    assert verify(store, repair=True).sound
    assert verify(store).damage == []
    assert zarr.open_group(store, mode="r")[f"parts/{last}/statistics/count"].shape == (3, 6)


def test_consolidated_metadata_that_cannot_be_read_leave_the_store_as_it_is(store: Path) -> None:
    file = store / "zarr.json"
    content = json.loads(file.read_text())
    content["consolidated_metadata"] = {"kind": "inline", "metadata": {"a": {"zarr_format": 7}}}
    file.write_text(json.dumps(content))
    assert (Store.open(store).status == DONE).all()
    (damage,) = verify(store).damage
    assert "out of date" in damage.what
    assert verify(store, repair=True).sound
    assert verify(store).damage == []


# --- names of axes ------------------------------------------------------------------------------------------


def test_an_axis_name_has_one_length_and_is_not_the_name_of_an_array(photos: Path, tmp_path: Path) -> None:
    settings = Settings(crop=32, max_crops=6, keep_fields=True, snapshots=(0, 5))
    plan = make_plan(photos, resolve_settings(settings))
    (part,) = Store.create(tmp_path / "a.zarr", plan, chunk=4, gaussians=60).parts
    layouts = plan_arrays(part.extent) | crop_arrays(part.extent)
    assert layouts.keys() == _AXES.keys()
    lengths: dict[str, int] = {}
    for name, layout in layouts.items():
        axes = zarr.open_array(tmp_path / "a.zarr", path=f"parts/{part.name}/{name}").metadata.dimension_names
        assert len(set(axes)) == len(layout.shape)
        for axis, length in zip(axes, layout.shape, strict=True):
            assert lengths.setdefault(axis, length) == length, axis
            assert f"{name.partition('/')[0]}/{axis}" not in layouts


def test_xarray_opens_the_groups_of_a_part(store: Path) -> None:
    xarray = pytest.importorskip("xarray")
    part, opened = part_of(store), Store.open(store)
    groups = {
        name: xarray.open_zarr(store, group=f"parts/{part.name}/{name}", consolidated=False)
        for name in ("images", "crops", "statistics", "fields")
    }
    np.testing.assert_array_equal(groups["crops"]["result"][:, 0], opened.psnr)
    assert groups["images"]["name"].dims == ("image",)
    assert groups["images"]["name"].values.tolist() == opened.plan.names
    assert groups["crops"].sizes["crop"] == 6
    assert groups["crops"]["status"].dtype == np.uint8
    assert groups["statistics"]["histogram"].dims == ("crop", "weight", "entry", "bin")
    assert groups["statistics"]["count"].attrs["columns"][0] == "gaussians"
    assert xarray.merge([groups["crops"], groups["statistics"], groups["fields"]]).sizes["crop"] == 6


def test_arrays_of_version_0_1_0_stay_valid_and_get_axis_names_by_repair(tmp_path: Path, fitter: str) -> None:
    xarray = pytest.importorskip("xarray")
    with tarfile.open(SAMPLES / "stores/0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    store = tmp_path / "small.zarr"
    shutil.copytree(store, tmp_path / "before.zarr")
    part = part_of(store)
    edit(part / "crops/result", lambda found: found.update(title="mine"))
    assert verify(store).damage == []
    assert zarr.open_array(part / "crops/result").metadata.dimension_names is None
    assert verify(store, repair=True).damage == []
    opened = xarray.open_zarr(store, group=f"parts/{part.name}/statistics", consolidated=False)
    assert opened["sample"].dims == ("crop", "slot", "sample_column")
    assert attributes(part / "crops/result")["title"] == "mine"
    np.testing.assert_array_equal(
        Store.open(store).at().results, Store.open(tmp_path / "before.zarr").at().results
    )
