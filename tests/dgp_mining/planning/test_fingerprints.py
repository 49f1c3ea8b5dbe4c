"""Fingerprints tell apart what makes other results, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dgp_mining.planning.fingerprints import crops_fingerprint, plan_fingerprint, settings_fingerprint
from dgp_mining.planning.plan import make_plan
from dgp_mining.planning.settings import Settings


def test_settings_that_leave_a_crop_alone_do_not_count(photos: Path) -> None:
    def fingerprint(rate: int = 1, **settings: object) -> str:
        return settings_fingerprint(make_plan(photos, Settings(crop=32, **settings), {"rate": rate}).settings)

    assert fingerprint() == fingerprint(keep_fields=True) == fingerprint(max_crops=3)
    others = [
        fingerprint(seed=1),
        fingerprint(density=0.2),
        fingerprint(recipe="gaussianimage"),
        fingerprint(target_psnr=40.0),
        fingerprint(2),
    ]
    assert len({fingerprint(), *others}) == 6


def test_stores_made_before_a_target_psnr_could_be_set_go_on(photos: Path) -> None:
    settings = make_plan(photos, Settings(crop=32), {}).settings
    earlier = {key: value for key, value in settings.items() if key != "target_psnr"}
    assert settings_fingerprint(earlier) == settings_fingerprint(settings)


def test_a_plan_is_named_by_all_that_it_holds(photos: Path) -> None:
    plan = make_plan(photos, Settings(crop=32), {})
    others = [
        replace(plan, names=[*plan.names[:-1], "other.png"]),
        replace(plan, nbytes=plan.nbytes + 1),
        replace(plan, sizes=plan.sizes + 1),
        replace(plan, image=plan.image[::-1]),
        replace(plan, position=plan.position + 1),
        replace(plan, problems=["bad", *plan.problems[1:]]),
        replace(plan, settings={**plan.settings, "seed": 1}),
    ]
    assert (
        len({plan_fingerprint(other, [1, 2]) for other in (plan, *others)} | {plan_fingerprint(plan, [1, 3])})
        == 9
    )


def test_crops_are_named_by_image_place_and_content_wherever_they_lie(photos: Path, tmp_path: Path) -> None:
    plan = make_plan(photos, Settings(crop=32), {})
    files = np.arange(plan.crops * 32, dtype=np.uint8).reshape(-1, 32)
    some = np.arange(10, 20)

    def fingerprint(plan=plan, crops: np.ndarray = some, files: np.ndarray = files) -> str:
        return crops_fingerprint(plan.settings, plan, crops, files)

    photos.rename(tmp_path / "elsewhere")
    assert fingerprint(make_plan(tmp_path / "elsewhere", Settings(crop=32), {})) == fingerprint()
    backwards = replace(
        plan, names=plan.names[::-1], image=len(plan.names) - 1 - plan.image, sizes=plan.sizes[::-1]
    )
    assert fingerprint(backwards) == fingerprint()  # the order of the list of images is nobody's business
    others = [
        fingerprint(crops=some[::-1]),
        fingerprint(crops=some[1:]),
        fingerprint(files=files[::-1]),
        fingerprint(replace(plan, position=plan.position + 1)),
        fingerprint(replace(plan, names=[f"new {name}" for name in plan.names])),
    ]
    assert len({fingerprint(), *others}) == 6
