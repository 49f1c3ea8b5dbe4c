"""A callback sees every event of a run in order, and what it raises reaches the caller."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dgp_mining import progress
from dgp_mining.callbacks import Callback, TqdmCallback
from dgp_mining.mining import mine
from dgp_mining.planning.plan import Plan
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.retry import RunError
from dgp_mining.store.merge import merge
from dgp_mining.store.store import Store
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import verify
from dgp_mining.workers.messages import Progress

SETTINGS = Settings(crop=32)


class Recorder(Callback):
    """The events, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def on_plan(self, plan: Plan, store: Store) -> None:
        self.events.append(("plan", plan.crops, len(store)))

    def on_chunk(self, progress: Progress) -> None:
        self.events.append(("chunk", progress.done, progress.failed))

    def on_message(self, text: str) -> None:
        self.events.append(("message", text))

    def on_progress(self, what: str, done: int, total: int) -> None:
        self.events.append((what, done, total))

    def on_end(self, store: Store) -> None:
        self.events.append(("end", len(store)))


def test_a_run_is_planned_goes_on_chunk_by_chunk_and_ends(flat: Path, tmp_path: Path, fitter: str) -> None:
    recorder = Recorder()
    mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, callback=recorder)
    assert recorder.events == [("plan", 8, 8), *[("chunk", 1, 0)] * 8, ("end", 8)]
    again = Recorder()
    mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, callback=again)
    assert again.events == [("plan", 8, 8), ("end", 8)]


def test_planning_that_takes_long_tells_how_far_it_is(
    flat: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    recorder = Recorder()
    mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, callback=recorder)
    told = recorder.events[: recorder.events.index(("plan", 8, 8))]
    assert told[0] == ("Looking for images, files", 8, 0)
    assert told[1:] == [("Reading headers", done, 8) for done in range(1, 9)]


def test_everything_that_reads_a_store_counts_up_to_the_end(flat: Path, tmp_path: Path, fitter: str) -> None:
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    last = {}
    for action in (
        lambda callback: summarise(store, callback),
        lambda callback: verify(store.path, callback=callback),
        lambda callback: merge([store.path], tmp_path / "b.zarr", callback=callback),
        lambda callback: build_dictionary(store.path, 8, callback=callback),
    ):
        recorder = Recorder()
        action(recorder)
        done = [event[1] for event in recorder.events]
        assert done == sorted(done)
        what, finished, total = recorder.events[-1]
        assert finished == total
        last[what] = total
    assert last == {"Reading": 8, "Verifying": 8, "Merging": 8}


@pytest.mark.parametrize("event", ["on_plan", "on_chunk", "on_end"])
def test_what_a_callback_raises_ends_the_run(event: str, flat: Path, tmp_path: Path, fitter: str) -> None:
    class Broken(Callback):
        pass

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("broken")

    setattr(Broken, event, fail)
    with pytest.raises(ZeroDivisionError, match="broken"):
        mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, callback=Broken())
    finished = {"on_plan": 0, "on_chunk": 1, "on_end": 8}[event]
    assert int((~Store.open(tmp_path / "a.zarr").unfinished()).sum()) == finished


class Bar:
    """Stands in for tqdm: remembers every bar that was made."""

    made: list[Bar]
    written: list[str]

    def __init__(self, **options: Any) -> None:
        self.options, self.n, self.closed, self.postfix = options, options["initial"], False, ""
        self.made.append(self)

    def update(self, steps: int) -> None:
        self.n += steps

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        self.postfix = text

    def close(self) -> None:
        self.closed = True

    @classmethod
    def write(cls, text: str) -> None:
        cls.written.append(text)


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    """The bars made by a stand-in for tqdm."""
    Bar.made, Bar.written = [], []
    module = ModuleType("tqdm.auto")
    vars(module)["tqdm"] = Bar
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    return Bar.made


def test_tqdm_shows_one_bar_over_all_crops(flat: Path, tmp_path: Path, fitter: str, bars: list[Bar]) -> None:
    callback = TqdmCallback()
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, callback=callback)
    (bar,) = bars
    assert (bar.options["total"], bar.n, bar.closed) == (8, 8, True)
    assert bar.postfix == f"{store.psnr.mean():.2f} dB"
    callback.on_message("Workers are missing.")
    assert Bar.written == ["Workers are missing."]


def test_tqdm_shows_a_bar_for_each_stage(flat: Path, tmp_path: Path, fitter: str, bars: list[Bar]) -> None:
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    callback = TqdmCallback()
    verify(store.path, callback=callback)
    merge([store.path], tmp_path / "b.zarr", callback=callback)
    assert [(bar.options["desc"], bar.n, bar.closed) for bar in bars] == [
        ("Verifying", 8, True),
        ("Merging", 8, True),
    ]


def test_a_missing_tqdm_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(RunError, match=r"needs tqdm: pip install 'dgp-mining\[notebook\]'"):
        TqdmCallback()
