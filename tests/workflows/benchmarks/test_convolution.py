"""The benchmark of convolutions runs, and compares two that compute the same."""

from __future__ import annotations


def test_both_ways_are_timed_and_compute_the_same(quick):
    printed, written = quick("convolution.py")
    assert "relative errors" in printed
    figures = written["quick"]
    assert all(figures[f"{way}, {part}"] > 0 for way in ("torch", "ours") for part in ("result", "gradients"))
    assert max(figures["error of torch"], figures["error of ours"]) < 1e-5
