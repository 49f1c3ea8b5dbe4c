"""Held-out-pixel PSNR is measured on a share of the crops; a store keeps its share, and its recipe."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dgp_mining.fitting.recipes import FAST_OF_0_1_0, FastRecipe, former_recipe, make_recipe
from dgp_mining.mining import look_ahead, mine, plan_run
from dgp_mining.planning import settings as planning_settings
from dgp_mining.planning.plan import fit_seed, is_measured
from dgp_mining.planning.settings import Settings, StoreSettings, resolve_settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.report.report import write_report
from dgp_mining.store.columns import ArrayName
from dgp_mining.store.merge import merge
from dgp_mining.store.store import Store, StoreError
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import verify

SETTINGS = Settings(crop=16, max_crops=40)
SOME = replace(SETTINGS, held_out_share=0.4)


def mined(photos: Path, path: Path, settings: Settings, fitter: str) -> Store:
    return mine(photos, path, settings, scheduler="sync", fitter=fitter)


def test_a_share_is_measured_and_everything_else_is_the_same(
    photos: Path, tmp_path: Path, fitter: str
) -> None:
    every = mined(photos, tmp_path / "every.zarr", SETTINGS, fitter)
    some = mined(photos, tmp_path / "some.zarr", SOME, fitter)
    assert every.settings.held_out_share == 1.0
    assert np.isfinite(every.held_out_psnr).all()
    assert verify(some.path).sound
    known = np.isfinite(some.held_out_psnr)
    assert 0.2 < known.mean() < 0.6
    assert (some.held_out_psnr[known] == every.held_out_psnr[known]).all()
    for name in (ArrayName.SAMPLES, ArrayName.MOMENTS, ArrayName.COUNTS):
        assert some.read(name).tobytes() == every.read(name).tobytes()
    one, other = (build_dictionary(store.path, size=8) for store in (every, some))
    assert one.cholesky.tobytes() == other.cholesky.tobytes()
    assert one.metadata["fingerprint"] == other.metadata["fingerprint"]
    assert other.metadata["off_lattice_psnr"] == some.held_out_psnr[known].mean()
    assert summarise(some)["held_out_psnr"]["mean"] == some.held_out_psnr[known].mean()


def test_which_crops_are_measured_does_not_depend_on_the_run() -> None:
    seeds = [fit_seed(0, ("a.png", row, 0))[0] for row in range(4000)]
    assert np.mean([is_measured(seed, 0.25) for seed in seeds]) == pytest.approx(0.25, abs=0.02)
    assert all(is_measured(seed, 1.0) for seed in seeds)
    assert {seed for seed in seeds if is_measured(seed, 0.1)} < {
        seed for seed in seeds if is_measured(seed, 0.2)
    }


def test_the_report_says_how_many_were_measured(photos: Path, tmp_path: Path, fitter: str) -> None:
    store = mined(photos, tmp_path / "some.zarr", SOME, fitter)
    write_report(store.path, tmp_path / "report.html", images=photos)
    page = (tmp_path / "report.html").read_text()
    known = int(np.isfinite(store.held_out_psnr).sum())
    assert f"It was measured on {known} of the 40 crops." in page
    assert not re.search(r"\bnan\b", re.sub(r'base64,[^"]*', "", page), re.IGNORECASE)


def test_stores_of_different_shares_are_merged(photos: Path, tmp_path: Path, fitter: str) -> None:
    mined(photos, tmp_path / "a.zarr", SETTINGS, fitter)
    mined(photos, tmp_path / "b.zarr", replace(SOME, max_crops=44), fitter)
    assert len(merge([tmp_path / "a.zarr", tmp_path / "b.zarr"], tmp_path / "c.zarr")) == 44


def test_all_of_a_few_crops_are_measured_by_default(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan_run(photos, SETTINGS).settings.held_out_share == 1.0
    assert plan_run(photos, SOME).settings.held_out_share == 0.4
    monkeypatch.setattr("dgp_mining.mining.ALL_HELD_OUT", 39)
    assert plan_run(photos, SETTINGS).settings.held_out_share == planning_settings.HELD_OUT_SHARE


def test_a_store_goes_on_with_its_share(photos: Path, tmp_path: Path, fitter: str) -> None:
    path = tmp_path / "some.zarr"
    mined(photos, path, SOME, fitter)
    grown = mined(photos, path, replace(SETTINGS, max_crops=44), fitter)
    assert (len(grown), grown.settings.held_out_share) == (44, 0.4)
    with pytest.raises(StoreError, match=r"held_out_share is 0\.4 there and 1 here"):
        mined(photos, path, replace(SETTINGS, held_out_share=1.0), fitter)


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="held_out_share= must be above 0 and at most 1"):
        Settings(held_out_share=share)


def test_older_stores_measure_all_crops() -> None:
    stored = resolve_settings(Settings()).to_json()
    del stored["held_out_share"]
    begun = StoreSettings.from_json(stored)
    assert begun.held_out_share == 1.0
    assert begun.to_json() == stored
    assert resolve_settings(Settings(), begun=begun).held_out_share == 1.0


def test_a_store_begun_with_former_numbers_goes_on_with_them(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former, path = FastRecipe(iterations=50, start_sigma=0.7), tmp_path / "old.zarr"
    with monkeypatch.context() as before:
        before.setattr("dgp_mining.fitting.recipes._NAMED", {"fast": former})
        mined(photos, path, SETTINGS, fitter)
    with pytest.raises(StoreError, match=r"start_sigma is 0\.7 there"):  # numbers that no version had
        mined(photos, path, SETTINGS, fitter)
    monkeypatch.setattr("dgp_mining.fitting.recipes._FORMER", {"fast": (former,)})
    more = replace(SETTINGS, max_crops=44)
    (note,) = look_ahead(path, plan_run(photos, more, store=path)).notes
    assert "was begun with the numbers that recipe 'fast' had in an earlier version" in note
    assert "50 iterations" in note
    grown = mined(photos, path, more, fitter)
    assert (grown.settings.fit, grown.settings.iterations, len(grown)) == (former, 50, 44)
    assert look_ahead(path, plan_run(photos, more, store=path)).notes == ()  # nothing is left to fit
    with pytest.raises(StoreError, match="iterations is 50 there and 60 here"):
        mined(photos, path, replace(SETTINGS, iterations=60), fitter)
    fresh = mine(photos, path, SETTINGS, scheduler="sync", fitter=fitter, overwrite=True)
    assert fresh.settings.fit == make_recipe("fast")


def test_stores_of_0_1_0_go_on_with_its_recipe() -> None:
    stored = resolve_settings(Settings()).to_json()
    of_0_1_0 = {
        "start_sigma": 0.6,
        "min_sigma": 0.2,
        "rate_mean": 0.15,
        "rate_shape": 0.05,
        "rate_color": 0.025,
        "warm_up": 0.05,
        "final": 0.02,
        "beta1": 0.8,
        "beta2": 0.95,
        "epsilon": 0.0001,
    }
    begun = StoreSettings.from_json({**stored, "iterations": 300, "fit": of_0_1_0})
    assert former_recipe("fast", begun.fit) == begun.fit
    assert begun.to_json()["fit"] == of_0_1_0
    resolved = resolve_settings(Settings(), begun=begun)
    assert (resolved.fit, resolved.iterations) == (begun.fit, 300)
    assert resolve_settings(Settings(recipe="lattice"), begun=begun).fit == make_recipe("lattice")


def test_a_store_of_0_1_0_with_late_snapshots_goes_on_with_its_command() -> None:
    asked = Settings(snapshots=(0, 300))
    begun = replace(resolve_settings(replace(asked, iterations=300)), fit=FAST_OF_0_1_0)
    assert resolve_settings(asked, begun=begun).snapshots == (0, 300)
    with pytest.raises(ValueError, match="snapshots= has 300, but a fit has 225 iterations"):
        resolve_settings(asked)
    with pytest.raises(ValueError, match="snapshots= has 301, but a fit has 225 iterations"):
        Settings(snapshots=(0, 301))
