"""Callbacks are called after each step and validation; the log gets a line every few seconds."""

import itertools
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs import StopAfter

from dgp_mining.prior.dictionary import Dictionary
from sr_model import Preset, TrainingCallback, train
from sr_model.training.callbacks import ProgressLog, StepDone, Validated
from sr_model.training.schedule import learning_rate


class Recorder(TrainingCallback):
    """Record the events in order; interrupt the training after some steps, if asked to."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.events: list[object] = []
        self.interrupt_after = interrupt_after

    def on_start(self, step: int) -> None:
        self.events.append(("start", step))

    def on_step(self, done: StepDone) -> None:
        self.events.append(done)
        if done.step == self.interrupt_after:
            raise KeyboardInterrupt

    def on_validation(self, validated: Validated) -> None:
        self.events.append(validated)

    def on_end(self) -> None:
        self.events.append("end")

    def steps(self, kind: type) -> list[int]:
        return [event.step for event in self.events if isinstance(event, kind)]


def test_a_callback_is_told_of_start_every_step_every_validation_and_end(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    recorder = Recorder()
    train(dictionary, photographs, tiny, tmp_path, val=photographs, callbacks=[recorder])
    assert recorder.events[0] == ("start", 0)
    assert recorder.events[-1] == "end"
    assert recorder.steps(StepDone) == [1, 2, 3, 4, 5, 6]
    assert recorder.steps(Validated) == [3, 6]
    first = next(event for event in recorder.events if isinstance(event, StepDone))
    assert first.learning_rate == learning_rate(tiny.train, 0, 0)
    assert first.spent == 0
    assert 0 < first.loss < 1
    assert next(event for event in recorder.events if isinstance(event, Validated)).is_best


def test_a_callback_is_told_of_the_end_also_after_an_error(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    recorder = Recorder(interrupt_after=2)
    with pytest.raises(KeyboardInterrupt):
        train(dictionary, photographs, tiny, tmp_path, callbacks=[recorder])
    assert recorder.events[-1] == "end"


def test_any_callback_may_stop_the_training(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    recorder = Recorder()
    train(dictionary, photographs, tiny, tmp_path, callbacks=[recorder, StopAfter(2)])
    assert recorder.steps(StepDone) == [1, 2]


def test_reports_say_how_far_a_training_is_and_how_long_it_will_take(monkeypatch, caplog):
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 6.0).__next__)  # every look at it is 6 s later
    monkeypatch.setattr("sr_model.training.callbacks.time", clock)
    report = ProgressLog()
    with caplog.at_level(logging.INFO, "sr_model"):
        for step in range(100, 105):
            report.on_step(StepDone(step + 1, step / 100, 1e-3, spent=step / 400))
    assert caplog.messages == [
        "step 102 (25 %, about 60 min left): loss 1.0050",  # 12 s for a step's part, and 299 to go
        "step 104 (26 %, about 40 min left): loss 1.0250",  # 24 s for three, and 297
    ]
