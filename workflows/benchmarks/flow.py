"""The cost of mining besides fitting: planning, CPU time per crop, and the gain of a second worker.

    python workflows/benchmarks/flow.py --images PHOTOGRAPHS [--crops 200]

- The plan of 1,000,000 crops over 10,000 images, and the layout of their store.
- A run whose fit does nothing: CPU time per crop of 256x256, in parts (overhead.py, which also compares with
  another checkout).
- Real fits in one and in two workers: crops per second between the end of the first chunk and that of the
  last, and of the whole command including the start of its workers. The machine must be otherwise idle.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from measure import machine, parser, print_progress, print_table, write_json
from overhead import OVERHEAD_MS, blank_images, compare

from dgp_mining.callbacks import Callback
from dgp_mining.images.reader import ImageError
from dgp_mining.mining import mine, open_store, plan_run
from dgp_mining.planning.settings import Settings
from dgp_mining.workers.messages import Progress

PLAN_SECONDS, SCALING = 10, 0.9
"""Targets: the plan, and the speed of two workers divided by twice that of one."""


def main() -> None:
    options = parser(__doc__.splitlines()[0], "flow.json")
    options.add_argument(
        "--images", type=Path, default=Path("data/samples/mining"), help="folder of photographs"
    )
    options.add_argument("--crops", type=int, default=200, help="crops of the real fits (default 200)")
    chosen = options.parse_args()
    images, empty, crops = (20, 128, 4) if chosen.quick else (10_000, 4000, chosen.crops)
    for key, value in machine().items():
        print(f"{key}: {value}")
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, Any] = {
            "plan": plan(Path(folder, "many"), images),
            "overhead": compare(empty, rounds=1)["here"],
        }
        try:
            figures["scaling"] = scaling(chosen.images, Path(folder), crops, quick=chosen.quick)
        except ImageError as error:
            options.exit(1, f"flow: {error}\n")
    report(figures)
    write_json(chosen.out, figures)


def plan(folder: Path, images: int) -> dict[str, float]:
    """Time planning 100 crops in each of `images` images, and laying out the store."""
    blank_images(folder, images, side=2560)
    began = time.perf_counter()
    planned = plan_run(folder, Settings())
    between = time.perf_counter()
    open_store(folder.with_suffix(".zarr"), planned).pending_chunks()
    return {"crops": planned.crops, "plan": between - began, "store": time.perf_counter() - between}


def scaling(photographs: Path, folder: Path, crops: int, quick: bool) -> dict[str, dict[str, float]]:
    """Return crops per second of real fits in one worker and in two."""
    settings = Settings(crop=32 if quick else 256, max_crops=crops, iterations=10 if quick else None)
    found = {}
    for workers in (1, 2):
        print_progress(f"{crops} fits in {workers} worker{'s' * (workers > 1)}")
        watch = Watch()
        mine(photographs, folder / f"{workers}.zarr", settings, workers=workers, callback=watch)
        found[str(workers)] = {"fitting": watch.rate(), "in all": watch.crops / (watch.last - watch.began)}
    return found


class Watch(Callback):
    """Counts crops, and times from the end of the first chunk to that of the last."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.first = self.last = 0.0
        self.crops = self.at_first = 0

    def on_chunk(self, progress: Progress) -> None:
        self.last = time.perf_counter()
        self.crops += progress.done
        if not self.first:
            self.first, self.at_first = self.last, self.crops

    def rate(self) -> float:
        """Crops per second."""
        return (self.crops - self.at_first) / (self.last - self.first)


def report(figures: dict[str, Any]) -> None:
    """The table."""
    planned, one, two = figures["plan"], figures["scaling"]["1"], figures["scaling"]["2"]
    rows = [
        [f"plan of {planned['crops']:,} crops", f"{planned['plan']:.2f} s", f"under {PLAN_SECONDS} s"],
        ["layout of their store", f"{planned['store']:.2f} s", ""],
    ]
    rows += [
        [f"CPU time per crop, {part}", f"{taken:.2f} ms", ""] for part, taken in figures["overhead"].items()
    ]
    total = sum(figures["overhead"].values())
    rows.append(["CPU time per crop, sum", f"{total:.2f} ms", f"at most {OVERHEAD_MS} ms"])
    for what in ("fitting", "in all"):
        rows.append([f"one worker, {what}", f"{one[what]:.3f} crops/s", ""])
        target = f"ratio to twice one: {two[what] / (2 * one[what]):.2f} (at least {SCALING})"
        rows.append([f"two workers, {what}", f"{two[what]:.3f} crops/s", target])
    print_table(["", "measured", "target"], rows)


if __name__ == "__main__":
    main()
