"""GSASR's own renderer is timed against splat2d."""

from __future__ import annotations


def test_the_released_renderer_is_compared_with_splat2d(quick):
    printed, written = quick("gsasr_peer.py")
    assert "Algorithm 1 holds" in printed
    figures = written["released renderer"]["cpu"]
    assert figures["gaussians"] == 16 * 12**2
    assert len(figures["seconds"]["splat2d"]) == len(figures["seconds"]["Algorithm 1"]) == 1
    assert all(held > 3 * 48**2 * 4 - 1 for held in figures["bytes"].values())
