"""The benchmark of very large runs runs to the end, and counts the files and requests that it is to save."""

from __future__ import annotations

import pytest

from dgp_mining.workers.messages import Task


@pytest.mark.slow
def test_scale_counts_files_and_requests(quick):
    printed, written = quick("scale.py")
    assert "10,000,000 crops of 256x256 pixels, extrapolated" in printed
    before, now = written["parts"]["12"], written["parts"]["128"]
    for part in ("start or resume", "status", "verify", "build a dictionary"):
        assert 10 * now[part]["GET"] <= before[part]["GET"]
    assert 10 * now["merge"]["PUT"] <= before["merge"]["PUT"]
    assert written["fitting"]["PUT_per_second"] < 3500
    assert written["fitting"]["GET_per_second"] < 5500
    before, now, _ = written["long_crops"].values()
    assert before["files_and_folders"] > 19
    assert now["files_and_folders"] <= 4
    assert now["chunk"] == 12


def test_where_workers_outnumber_tasks_a_task_is_asked_for_once_at_each_end():
    """And not by every idle worker, each of which then looks at all others."""
    from simulated_workers import simulated_run

    asked = []

    def next_task(threads: int) -> Task | None:
        asked.append(threads)
        return Task("store", "images", "fitter") if len(asked) <= 300 else None

    assert len(list(simulated_run(200, next_task))) == 300
    assert len(asked) <= 2 * 300 + 2
