"""Runs whose fits are real but small: crops of 16 px, some hundredths of a second each."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # cluster.py, run.py


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photographs of smooth noise, 96x96."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(10):
        coarse = np.random.default_rng(i).integers(0, 256, (13, 13, 3), np.uint8)
        Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder
