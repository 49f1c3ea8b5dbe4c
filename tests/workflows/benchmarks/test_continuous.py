"""The average time over 45 scales is measured, and extrapolated for LIIF."""

from __future__ import annotations

import pytest


def test_continuous_prints_the_ratio_to_liif(quick):
    printed, written = quick("continuous.py")
    assert "ratio 6x5" in printed
    assert "LIIF is timed at x4, x6" in printed
    assert written["average, s"]["cpu"][0]["LIIF, EDSR-baseline"] > 0


def test_times_at_scales_that_were_not_timed_follow_the_number_of_pixels():
    from continuous import Times

    pixels = {scale: 6 * scale**2 for scale in (4, 5, 6, 7, 8)}
    proportional = Times(encode=0.5, render={s: 1e-3 * pixels[s] for s in (4, 6)})
    assert proportional.average(pixels) == pytest.approx((0.5 + 1e-3 * sum(pixels.values())) / 5)
