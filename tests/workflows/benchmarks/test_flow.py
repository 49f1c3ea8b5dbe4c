"""The benchmarks of mining's overhead run to the end."""

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
    assert written["overhead"].keys() == {"load", "statistics", "content", "write", "other"}
    assert {"fitting", "in all"} == written["scaling"]["2"].keys()


@pytest.mark.slow
def test_overhead_is_printed_in_parts_next_to_another_checkout(quick):
    printed, written = quick("overhead.py", "--against", str(Path(__file__).parents[3]))
    assert "ratio" in printed
    here, against = written["overhead"]["here"], written["overhead"]["against"]
    assert here.keys() == against.keys() == {"load", "statistics", "content", "write", "other"}
    assert all(0 < here[part] < 1000 for part in ("load", "statistics", "content", "write"))


def test_memory_is_printed_while_images_are_mined(quick):
    printed, written = quick("overhead.py", "--memory")
    assert "resident memory" in printed
    seen = {int(crops): mib for crops, mib in written["memory"].items()}
    assert max(seen) == 80
    assert seen[max(seen)] < 1.2 * seen[min(seen)], "a worker's memory grows with the crops that it mined"


@pytest.mark.slow
def test_the_memory_of_imports_images_and_fits_is_measured_apart(quick):
    printed, written = quick("worker_memory.py")
    taken = {name: figure["bytes"] for name, figure in written["memory"].items()}
    assert all(name in printed for name in taken)
    fit = taken.pop("fit of 128x128 pixels at density 0.25")
    imports = taken.pop("imports")
    assert taken.keys() == {f"{suffix} image" for suffix in ("png", "jpg", "webp", "tif")}
    assert max(taken.values()) < fit < imports, (
        "an image of 300x200 pixels takes less than a fit's code and threads"
    )


@pytest.mark.slow
def test_a_crop_is_timed_next_to_another_checkout(quick):
    checkout = str(Path(__file__).parents[3])
    printed, written = quick("crop.py", "--images", str(SAMPLES), "--against", checkout)
    assert "ratio of crops per second" in printed
    here, against = written["here"], written["against"]
    assert here["PSNR"] == against["PSNR"] > 40
    assert here["share"] == 0.25
    taken = here["fit"] + 0.25 * here["held-out check"] + here["statistics"]
    assert here["crops_per_second"] == pytest.approx(1e3 / taken)
