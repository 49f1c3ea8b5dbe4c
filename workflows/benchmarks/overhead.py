"""The CPU time that mining takes for a crop besides decoding and fitting, in parts, and a worker's memory.

    python workflows/benchmarks/overhead.py [--crops 4000] [--rounds 3] [--against CHECKOUT] [--memory]

- Milliseconds of CPU time, in all threads, per crop of 256x256 with 16,384 Gaussians, whose fit does nothing
  (no_decoding.py), between the end of the first chunk and that of the last: cutting it out of its image, its
  statistics, the descriptors of its content, writing it to the store, and all else. Medians of several runs,
  each in a process of its own.
- With --against, another checkout, built, takes turns with this one. It must have the same modules.
- With --memory instead: the resident memory of a process that mines 500 small images, every 500 crops.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from checkouts import checkouts, run
from measure import machine, parser, print_progress, print_table, write_json
from PIL import Image

from dgp_mining.callbacks import Callback
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.store.store import Store
from dgp_mining.workers import worker
from dgp_mining.workers.messages import Progress

OVERHEAD_MS = 3
"""Target for the CPU time of all parts together."""

PARTS = ("load", "statistics", "content", "write", "other")
"""The parts: the crop from its decoded image; `measure`; `measure_content`; `Store.write`; all else."""


def main() -> None:
    options = parser(__doc__.splitlines()[0], "overhead.json")
    options.add_argument("--crops", type=int, default=4000, help="crops of a run (default 4000)")
    options.add_argument("--rounds", type=int, default=3, help="runs of each checkout (default 3)")
    options.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout, built")
    options.add_argument("--memory", action="store_true", help="memory over 2,000 crops instead of time")
    options.add_argument(
        "--one", type=Path, metavar="FOLDER", help="one run on a folder, for this program itself"
    )
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(parts(chosen.one, chosen.crops)))
        return
    for key, value in machine().items():
        print(f"{key}: {value}")
    if chosen.memory:
        figures: dict[str, Any] = {"memory": memory(*((20, 4) if chosen.quick else (500, 500)))}
        report_memory(figures["memory"])
    else:
        crops, rounds = (128, 1) if chosen.quick else (chosen.crops, chosen.rounds)
        figures = {"overhead": compare(crops, rounds, chosen.against)}
        report(figures["overhead"])
    write_json(chosen.out, figures)


def compare(crops: int, rounds: int, against: Path | None = None) -> dict[str, dict[str, float]]:
    """Return the milliseconds of CPU time per crop of each part, by checkout."""
    compared = checkouts(against)
    for checkout in compared.values():
        run(checkout, __file__, "--help")  # exits at once if it lacks a module
    found: dict[str, list[dict[str, float]]] = {name: [] for name in compared}
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images")
        blank_images(images, -(-crops // 64), side=2048)
        for number in range(rounds):
            for name, checkout in compared.items():
                found[name].append(_run_in(checkout, images, crops))
                print_progress(
                    f"round {number + 1} of {rounds}, {name}: {sum(found[name][-1].values()):.2f} ms"
                )
    return {name: {part: median(run[part] for run in runs) for part in PARTS} for name, runs in found.items()}


def _run_in(checkout: Path, images: Path, crops: int) -> dict[str, float]:
    """Call `parts` in a new process with the packages of a checkout."""
    printed = run(checkout, __file__, "--one", str(images), "--crops", str(crops))
    return dict(json.loads(printed.splitlines()[-1]))


def parts(images: Path, crops: int) -> dict[str, float]:
    """Mine in this process and return milliseconds of CPU time per crop of each of PARTS."""
    clock = _Clock()
    worker.load_crops = clock.each("load", worker.load_crops)
    worker.statistics.measure = clock.of("statistics", worker.statistics.measure)
    worker.measure_content = clock.of("content", worker.measure_content)
    Store.write = clock.of("write", Store.write)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(max_crops=crops)
        mine(
            images,
            Path(folder, "store.zarr"),
            settings,
            scheduler="sync",
            fitter="no_decoding",
            callback=clock,
        )
    return clock.per_crop()


class _Clock(Callback):
    """CPU time of all threads, in functions and in all, between the ends of the first and the last chunk."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.crops = 0
        self.first: tuple[float, int, dict[str, float]] | None = None

    def of(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same, and counts its time as that of `part`."""

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[part] += time.process_time() - began

        return timed

    def each(self, part: str, generator: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return a generator that yields the same, and counts its time as that of `part`."""

        def timed(*arguments: Any, **options: Any) -> Iterator[Any]:
            advance = self.of(part, iter(generator(*arguments, **options)).__next__)
            while True:
                try:
                    item = advance()
                except StopIteration:
                    return
                yield item

        return timed

    def on_chunk(self, progress: Progress) -> None:
        self.crops += progress.done
        self.last = time.process_time()
        if self.first is None:
            self.first = self.last, self.crops, dict(self.seconds)

    def per_crop(self) -> dict[str, float]:
        """Return milliseconds per crop of each of PARTS."""
        if self.first is None:
            raise RuntimeError("no chunk was written")
        began, crops, before = self.first
        spent = {part: self.seconds[part] - before.get(part, 0) for part in PARTS[:-1]}
        spent["other"] = self.last - began - sum(spent.values())
        return {part: 1e3 * seconds / (self.crops - crops) for part, seconds in spent.items()}


class _Memory(Callback):
    """The resident memory of this process whenever `step` more crops are done."""

    def __init__(self, step: int) -> None:
        self.step, self.crops = step, 0
        self.seen: dict[str, float] = {}

    def on_chunk(self, progress: Progress) -> None:
        before, self.crops = self.crops, self.crops + progress.done
        if before // self.step < self.crops // self.step:
            self.seen[str(self.crops)] = psutil.Process().memory_info().rss / 2**20


def memory(images: int, step: int) -> dict[str, float]:
    """Mine four crops of each of `images` generated photographs, and return the resident memory.

    In MiB by the number of crops done, at every `step` crops. The images are decoded, the fit does nothing.
    """
    watch, rng = _Memory(step), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        photographs = Path(folder, "images")
        photographs.mkdir()
        for i in range(images):
            pixels = rng.integers(0, 256, (128, 128, 3), np.uint8)
            Image.fromarray(pixels).save(photographs / f"{i:05}.png", compress_level=1)
        store, settings = Path(folder, "store.zarr"), Settings(crop=64, max_crops=4 * images)
        mine(photographs, store, settings, scheduler="sync", fitter="no_fit", callback=watch)
    return watch.seen


def report(figures: dict[str, dict[str, float]]) -> None:
    """The table."""
    here, against = figures["here"], figures.get("against")
    rows = []
    for part in (*PARTS, "sum"):
        ours, theirs = (
            sum(found.values()) if part == "sum" else found[part] for found in (here, against or here)
        )
        row = [part, f"{ours:.2f} ms", f"at most {OVERHEAD_MS} ms" if part == "sum" else ""]
        rows.append(row + ([f"{theirs:.2f} ms", f"{ours / theirs:.2f}"] if against else []))
    print_table(["CPU time per crop", "here", "target", *(["against", "ratio"] if against else [])], rows)


def report_memory(seen: dict[str, float]) -> None:
    """The table."""
    print_table(["crops done", "resident memory"], [[crops, f"{mib:.1f} MiB"] for crops, mib in seen.items()])


def blank_images(folder: Path, count: int, side: int) -> None:
    """Make `count` black PNG images that differ in the last row: copies would be mined once."""
    folder.mkdir()
    black = bytes(1 + 3 * side)
    rows = black * (side - 1)
    squeezer = zlib.compressobj(wbits=-15)
    start = squeezer.compress(rows) + squeezer.flush(zlib.Z_FULL_FLUSH)  # the same in all images
    check = zlib.adler32(rows)
    image = io.BytesIO()
    Image.new("RGB", (side, side)).save(image, "png")
    header = image.getvalue()[:33]  # signature and IHDR
    for i in range(count):
        row = b"\0" + i.to_bytes(4, "big") + black[5:]
        end = zlib.compress(row, wbits=-15)
        data = b"\x78\x9c" + start + end + zlib.adler32(row, check).to_bytes(4, "big")
        (folder / f"{i:05}.png").write_bytes(header + _chunk(b"IDAT", data) + _chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


if __name__ == "__main__":
    main()
