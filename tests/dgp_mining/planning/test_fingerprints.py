"""Fingerprints differ if, and only if, the results may differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dgp_mining.fitting.recipes import FastRecipe
from dgp_mining.planning.fingerprints import crops_fingerprint, plan_fingerprint, settings_fingerprint
from dgp_mining.planning.plan import make_plan
from dgp_mining.planning.settings import Settings, StoreSettings, resolve_settings


def test_settings_that_leave_a_crop_alone_do_not_count() -> None:
    def fingerprint(warm_up: float = 0.05, **settings: Any) -> str:
        resolved = resolve_settings(Settings(crop=32, **settings))
        if isinstance(resolved.fit, FastRecipe):
            resolved = replace(resolved, fit=replace(resolved.fit, warm_up=warm_up))
        return settings_fingerprint(resolved)

    assert fingerprint() == fingerprint(keep_fields=True) == fingerprint(max_crops=3)
    others = [
        fingerprint(seed=1),
        fingerprint(density=0.2),
        fingerprint(recipe="gaussianimage"),
        fingerprint(target_psnr=40.0),
        fingerprint(white=10_000),
        fingerprint(slice=0),
        fingerprint(0.1),
    ]
    assert len({fingerprint(), *others}) == 8


def test_stores_made_before_a_target_psnr_and_the_reading_could_be_set_go_on() -> None:
    settings = resolve_settings(Settings(crop=32))
    later = ("target_psnr", "white", "window", "axis", "slice", "tone")
    earlier = {key: value for key, value in settings.to_json().items() if key not in later}
    assert settings_fingerprint(StoreSettings.from_json(earlier)) == settings_fingerprint(settings)


def test_a_plan_is_named_by_all_that_it_holds(photos: Path) -> None:
    plan = make_plan(photos, resolve_settings(Settings(crop=32)))
    others = [
        replace(plan, names=[*plan.names[:-1], "other.png"]),
        replace(plan, nbytes=plan.nbytes + 1),
        replace(plan, sizes=plan.sizes + 1),
        replace(plan, image=plan.image[::-1]),
        replace(plan, position=plan.position + 1),
        replace(plan, problems=["bad", *plan.problems[1:]]),
        replace(plan, settings=replace(plan.settings, seed=1)),
    ]
    assert (
        len({plan_fingerprint(other, [1, 2]) for other in (plan, *others)} | {plan_fingerprint(plan, [1, 3])})
        == 9
    )


def test_crops_are_named_by_image_place_and_content_wherever_they_lie(photos: Path, tmp_path: Path) -> None:
    plan = make_plan(photos, resolve_settings(Settings(crop=32)))
    files = np.arange(plan.crops * 32, dtype=np.uint8).reshape(-1, 32)
    some = np.arange(10, 20)

    def fingerprint(
        plan=plan, crops: np.ndarray = some, files: np.ndarray = files, fitting: Sequence[str] = ("1",)
    ) -> str:
        return crops_fingerprint(plan.settings, plan, crops, files, fitting)

    photos.rename(tmp_path / "elsewhere")
    assert fingerprint(make_plan(tmp_path / "elsewhere", plan.settings)) == fingerprint()
    backwards = replace(
        plan, names=plan.names[::-1], image=len(plan.names) - 1 - plan.image, sizes=plan.sizes[::-1]
    )
    assert fingerprint(backwards) == fingerprint()  # the order of the list of images does not matter
    others = [
        fingerprint(crops=some[::-1]),
        fingerprint(crops=some[1:]),
        fingerprint(files=files[::-1]),
        fingerprint(replace(plan, position=plan.position + 1)),
        fingerprint(replace(plan, names=[f"new {name}" for name in plan.names])),
        fingerprint(fitting=["2"]),
        fingerprint(fitting=["1", "2"]),
    ]
    assert len({fingerprint(), *others}) == 8
