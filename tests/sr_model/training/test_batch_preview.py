"""A preview shows the LR crops above their HR crops, and raises TrainingError if it cannot be written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sr_model import TrainingError
from sr_model.training.batch_preview import GAP, preview, save_preview
from sr_model.training.samples import Batch


@pytest.fixture
def batch() -> Batch:
    """Two samples at x2 and one at x3, of one colour each."""
    colours = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None]
    lr = colours.expand(3, 3, 4, 4)
    return Batch(lr, (colours[:2].expand(2, 3, 8, 8), colours[2:].expand(1, 3, 12, 12)))


def test_low_resolution_crops_stand_above_their_high_resolution_crops(batch: Batch):
    picture = preview(batch)
    assert picture.shape == (2 * 12 + GAP + GAP, 3 * (12 + GAP), 3)
    for sample, value in enumerate((0, 128)):
        left = sample * (12 + GAP)
        for top in (0, 12 + GAP):
            assert np.all(picture[top : top + 8, left : left + 8] == value)
        assert np.all(picture[8 : 12 + GAP, left : left + 8] == 255)


def test_a_preview_that_cannot_be_written_is_an_error_of_the_training(batch: Batch, tmp_path: Path):
    with pytest.raises(TrainingError, match=r"missing/a\.png cannot be written \(No such file"):
        save_preview(batch, tmp_path / "missing" / "a.png")
