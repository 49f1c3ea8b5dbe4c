"""The study of metrics compares what is installed, names what is not, and installs nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[3] / "workflows" / "studies" / "metrics_of_libraries.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("metrics_of_libraries", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_a_row_for_every_library(study, monkeypatch, capsys):
    for name in ("cv2", "kornia", "skimage", "torchmetrics", "sewar", "resize_right"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, "argv", ["study", "--images", str(study.SAMPLES / "heldout")])
    study.main()
    lines = capsys.readouterr().out.splitlines()
    for table in (study.RESIZERS, study.PSNRS, study.SSIMS):
        for name in table:
            assert any(line.startswith(name) for line in lines), name
    assert [line for line in lines if line.startswith("OpenCV")] != []
    assert all("not installed" in line for line in lines if line.startswith(("OpenCV", "kornia", "sewar")))
    torch_rows = [line for line in lines if line.startswith("torch ")]
    assert len(torch_rows) == 2  # with and without antialias
    assert not any("not installed" in line for line in torch_rows)


def test_pillow_and_torch_are_matlabs_away_from_the_borders(study):
    image = torch.rand(3, 60, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = study.imresize(image, scale=0.5)
    for resize in (study.by_pillow, study.by_torch(True)):
        found = resize(image, (30, 30), 0.5)
        torch.testing.assert_close(found.double()[:, 6:-6, 6:-6], expected[:, 6:-6, 6:-6], atol=1e-5, rtol=0)
    plain = study.by_torch(False)(image, (30, 30), 0.5)
    assert (plain - expected)[:, 6:-6, 6:-6].abs().max() > 0.05
