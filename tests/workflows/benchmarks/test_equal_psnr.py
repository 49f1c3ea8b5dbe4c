"""Time to equal PSNR: resumable, and with one schedule for all crops."""

from __future__ import annotations

import json

import numpy as np
import pytest


def test_equal_psnr_resumes_with_the_same_settings_only(tmp_path, monkeypatch):
    import equal_psnr

    monkeypatch.setattr(equal_psnr, "SCHEDULES", (5, 10))
    random = np.random.default_rng(0)
    crops = {name: random.random((16, 16, 3), dtype=np.float32) for name in ("one", "two")}
    path = tmp_path / "fit.json"
    first = equal_psnr.measure({"one": crops["one"]}, 10, path, resume=True)
    measured = []
    once = equal_psnr.timed_fit
    monkeypatch.setattr(equal_psnr, "timed_fit", lambda *a: measured.append(a[1]) or once(*a))
    both = equal_psnr.measure(crops, 10, path, resume=True)
    assert both["one"] == first["one"]
    assert measured == ["gaussianimage", "lattice", "lattice"]
    assert json.loads(path.read_text())["equal PSNR"] == both
    with pytest.raises(SystemExit, match="other --iterations"):
        equal_psnr.measure(crops, 20, path, resume=True)


def test_one_schedule_for_all_crops_is_the_shortest_whose_mean_is_enough():
    import equal_psnr

    def crop(goal: float, *reached: float) -> dict:
        rows = [{"iterations": n, "psnr": psnr} for n, psnr in zip((10, 20, 30), reached, strict=False)]
        return {"gaussianimage": {"psnr": goal}, "lattice": rows}

    crops = [crop(40, 30, 39, 45), crop(30, 20, 32, 33)]
    assert [fit["iterations"] for fit in equal_psnr.reaching_the_mean(crops)] == [20, 20]
    crops = [crop(40, 30, 39), crop(30, 20, 30, 33)]  # never; the first has no third
    assert [fit["iterations"] for fit in equal_psnr.reaching_the_mean(crops)] == [20, 20]
