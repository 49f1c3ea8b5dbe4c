"""The memory of a task is that of its largest image, its crop size and its density."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dgp_mining.mining import mine, plan_run
from dgp_mining.planning.settings import Settings
from dgp_mining.retry import RunError
from dgp_mining.workers import executors
from dgp_mining.workers.memory import FIT, IMAGE_PIXEL, IMPORTS, TaskMemory
from dgp_mining.workers.messages import PlannedChunk, Task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small and a large photograph."""
    for name, side in (("small", 64), ("large", 1024)):
        Image.effect_noise((side, side), 50).convert("RGB").save(tmp_path / f"{name}.png")
    return tmp_path


def task(*names: str) -> Task:
    return Task("a.zarr", "photos", "fitter", (PlannedChunk(0, tuple((name, 0, 0) for name in names)),))


def test_a_task_needs_what_its_largest_image_takes(folder: Path) -> None:
    need = TaskMemory(plan_run(folder, Settings(crop=32)))
    size = (folder / "large.png").stat().st_size - (folder / "small.png").stat().st_size
    assert need(task("small.png")) > FIT
    assert need(task("small.png", "large.png")) == need(task("large.png"))
    more = need(task("large.png")) - need(task("small.png"))
    assert more == IMAGE_PIXEL * (1024**2 - 64**2) + size
    assert need(task("no longer there.png")) < need(task("small.png"))


def test_larger_crops_more_gaussians_and_kept_fields_need_more(folder: Path) -> None:
    plan = plan_run(folder, Settings(crop=32))
    base = TaskMemory(plan)(task("small.png"))
    for changes in ({"crop": 64}, {"density": 1.0}, {"keep_fields": True}):
        changed = replace(plan, settings=replace(plan.settings, **changes))
        assert TaskMemory(changed)(task("small.png")) > base


def test_a_machine_short_of_memory_gets_fewer_workers_than_it_has_cores(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = TaskMemory(plan_run(folder, Settings(crop=32))).most
    assert need > FIT + IMAGE_PIXEL * 1024**2
    for free, cores, workers in ((0, 8, 1), (10**12, 8, 8), (3 * (IMPORTS + need), 8, 3), (10**12, 1, 1)):
        monkeypatch.setattr(executors, "available_memory", lambda free=free: free)
        monkeypatch.setattr(executors, "available_cores", lambda cores=cores: cores)
        assert executors.default_workers("local", need) == workers


def test_a_machine_on_which_no_worker_fits_is_one_sentence_before_anything_is_made(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "available_memory", lambda: 250_000_000)
    store = tmp_path / "a.zarr"
    settings = Settings(crop=16, max_crops=1, iterations=2)
    with pytest.raises(RunError, match=r"worker takes up to 0\.\d\d GB .* 0\.25 GB are free: .*'sync'"):
        mine(folder, store, settings)
    assert not store.exists()
    assert mine(folder, store, settings, scheduler="sync").status.tolist() == [1]
