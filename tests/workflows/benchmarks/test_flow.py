"""The benchmark of mining's overhead runs to the end."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[3] / "data" / "samples" / "mining"


@pytest.mark.slow
def test_flow_prints_plan_overhead_and_the_ratio_of_two_workers(quick):
    images = SAMPLES
    printed, written = quick("flow.py", "--images", str(images))
    assert "ratio to twice one" in printed
    assert written["plan"]["crops"] == 2000
    assert {"in this process", "in one worker"} == written["overhead"].keys()
    assert {"fitting", "in all"} == written["scaling"]["2"].keys()
