"""TensorBoard gets a point every tenth step and at each validation; those of a lost session are hidden."""

import logging
import threading
from pathlib import Path

import pytest

from sr_model import TensorBoard
from sr_model.evaluation.protocol import Score
from sr_model.training.callbacks import StepDone, Validated


class Writer:
    """A stand-in for torch's SummaryWriter."""

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.purge_step, self.points, self.closed = folder, purge_step, [], False

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.points.append((name, value, step))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def board(tmp_path: Path, monkeypatch) -> TensorBoard:
    pytest.importorskip("tensorboard")
    made = TensorBoard(str(tmp_path))
    made.make = Writer
    return made


def test_points_are_of_every_tenth_step_and_each_validation(board: TensorBoard, tmp_path: Path):
    for step in range(8, 21):
        board.on_step(StepDone(step, 0.5, 1e-3, 0.1))
    board.on_validation(Validated(21, Score(30.0, 0.9, 28.0, 0.8), is_best=True))
    board.on_end()
    assert (board.writer.folder, board.writer.purge_step) == (str(tmp_path), 8)
    assert [step for name, _, step in board.writer.points if name == "loss"] == [10, 20]
    assert ("learning_rate", 1e-3, 10) in board.writer.points
    assert ("validation/psnr", 30.0, 21) in board.writer.points
    assert board.writer.closed


def test_a_training_that_took_no_step_leaves_no_file(board: TensorBoard, tmp_path: Path):
    board.on_end()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_the_curves_with_one_line_and_not_the_training(
    board: TensorBoard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys
):
    def full(*point: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "add_scalar", full)
    before = threading.excepthook
    with caplog.at_level(logging.WARNING):
        board.on_step(StepDone(10, 0.5, 1e-3, 0.1))
        board.on_step(StepDone(20, 0.5, 1e-3, 0.1))
        thread = threading.Thread(target=full)  # as TensorBoard's, which writes later
        thread.start()
        thread.join()
        board.on_end()
    assert caplog.text.count("cannot be written (No space left on device)") == 1
    assert "Traceback" not in capsys.readouterr().err
    assert threading.excepthook is before
