"""Durations are rounded to a readable unit."""

from dgp_mining.duration import duration


def test_durations_are_rounded_to_a_readable_unit() -> None:
    assert [duration(seconds) for seconds in (7, 99.4, 100, 3000, 20_000, 400_000)] == [
        "7 s", "99 s", "2 min", "50 min", "5.6 h", "4.6 days",
    ]  # fmt: skip
