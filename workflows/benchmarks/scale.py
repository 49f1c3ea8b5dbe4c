"""The cost of a very large run besides fitting: ten million crops, 1,000 workers, a store on S3.

    python workflows/benchmarks/scale.py [--crops 10000000] [--workers 1000]

Nothing is fitted: stores are laid out for simulated photographs, and one chunk with results stands for all.
Printed are

- the parts of a run, measured at several numbers of crops, with chunks as long as the large run has them and
  with chunks of 12 crops, and extrapolated along a line through the last two: CPU seconds, in all threads
  together, and the requests that S3 would get, which are one for each file that is read, written or deleted,
  and one for every 1,000 entries of a listing;
- the messages of a task, and the time of the scheduler and the run for it, with workers that do nothing;
- files and the time of `verify` for crops whose fit takes long (recipe gaussianimage, 1024x1024), in chunks
  of one crop, as version 0.1.0 made them, of twelve, and in today's.
"""

from __future__ import annotations

import functools
import pickle
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import (
    in_new_process,
    in_turns,
    machine,
    parser,
    peak_above_start,
    print_progress,
    print_table,
    write_json,
)
from overhead import blank_images
from simulated import KINDS, PER_IMAGE, SIDE, cost, simulated_plan, simulated_store, some_result
from simulated_workers import dispatch_milliseconds

from dgp_mining.mining import look_ahead, open_store, plan_run
from dgp_mining.planning.plan import Plan, chunk_length, piece_length
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.signals import Stop
from dgp_mining.store import merge as merging
from dgp_mining.store.store import Chunk, Store
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import verify
from dgp_mining.workers.executors import open_executor
from dgp_mining.workers.messages import PlannedChunk, Progress, Task
from dgp_mining.workers.scheduling import TASK_SECONDS, TaskQueue

BEFORE = 12
"""Crops of a chunk, whatever the number of crops, until chunks grew with it."""

CROP_SECONDS = 1.25
"""A fit of 256x256 pixels on one core, twice, as planning.plan.CHUNK_WORK assumes."""

LATENCY, AT_ONCE = 0.03, 10
"""Seconds of a request, and requests at once (Zarr's async.concurrency), from which waiting is computed."""

LIMITS = {"PUT": 3500, "GET": 5500}
"""Requests per second that S3 promises for one prefix of keys."""


def main() -> None:
    options = parser(__doc__.splitlines()[0], "scale.json")
    options.add_argument("--crops", type=int, default=10_000_000, help="crops of the large run")
    options.add_argument("--workers", type=int, default=1000, help="workers of the large run")
    options.add_argument("--long-crops", action="store_true", help="only the chunks of crops that take long")
    chosen = options.parse_args()
    few = (640, 1_280) if chosen.quick else (5_120, 10_240)
    many = (1_280, 2_560) if chosen.quick else (10_000, 100_000, 1_000_000)
    long = 24 if chosen.quick else 480
    images = (10, 20) if chosen.quick else (500, 1_000)
    for key, value in machine().items():
        print(f"{key}: {value}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        figures: dict[str, Any] = {"long_crops": long_crops(folder, long)}
        report_long_crops(figures["long_crops"], long)
        if not chosen.long_crops:
            figures |= {"crops": chosen.crops, "workers": chosen.workers}
            figures["tasks"] = tasks(
                100 if chosen.quick else 2000, (1, 2) if chosen.quick else (2, 8), chosen.workers
            )
            figures["parts"] = {
                str(length): parts_of_a_run(folder, length, few, many, chosen.crops)
                for length in sorted({BEFORE, chunk_length(chosen.crops, 256, 300)})
            }
            figures["images"] = read_images(folder, images, chosen.crops)
            figures["memory"] = memory(folder, many[-1], chosen.crops)
            figures["fitting"] = fitting(figures, chosen.crops, chosen.workers)
            report(figures)
    write_json(chosen.out, figures)


# --- the parts of a run -------------------------------------------------------------------------------------


def parts_of_a_run(
    folder: Path, chunk: int, few: tuple[int, ...], many: tuple[int, ...], crops: int
) -> dict[str, dict[str, float]]:
    """Return the cost of each part of a run of `crops` crops, extrapolated."""
    measured: dict[str, dict[int, dict[str, float]]] = {}

    def add(what: str, n: int, run: Callable[[], object]) -> None:
        measured.setdefault(what, {})[n] = cost(run)

    for n in many:
        n = n // chunk * chunk
        path = folder / f"many-{chunk}-{n}.zarr"
        print_progress(f"{n:,} crops in chunks of {chunk}: planning and resuming")
        add("plan, without reading the images", n, lambda n=n: simulated_plan(n, Settings()))
        plan = simulated_plan(n, Settings())
        add("lay out the store", n, lambda plan=plan, path=path: Store.create(path, plan, chunk, 1))
        shutil.rmtree(path)
        simulated_store(path, plan, chunk, "crops/status")
        add("start or resume", n, lambda plan=plan, path=path: resumed(path, plan))
        shutil.rmtree(path)
    for n in few:
        n = n // chunk * chunk
        path = folder / f"few-{chunk}-{n}.zarr"
        print_progress(f"{n:,} crops in chunks of {chunk}: status, verify, merge, build")
        store = simulated_store(path, simulated_plan(n, Settings()), chunk)
        store.write(store.pending_chunks()[0]._replace(first=None), [some_result()] * chunk)
        add("status", n, lambda path=path: summarise(path))
        add("verify", n, lambda path=path: verify(path))
        merging.chunk_length = lambda *_, chunk=chunk: chunk  # as with all crops
        add("merge", n, lambda path=path: merging.merge([path], path.with_suffix(".merged")))
        add("build a dictionary", n, lambda path=path: build_dictionary(path))
        shutil.rmtree(path)
        shutil.rmtree(path.with_suffix(".merged"))
    return {what: extrapolated(at, crops) for what, at in measured.items()}


def read_images(folder: Path, counts: tuple[int, ...], crops: int) -> dict[str, float]:
    """Return the cost of planning with the headers of images, PER_IMAGE crops in each."""
    measured = {}
    for count in counts:
        print_progress(f"{count} images: planning")
        blank_images(folder / str(count), count, SIDE)
        measured[count * PER_IMAGE] = cost(lambda: plan_run(folder / str(count), Settings()))  # noqa: B023
    return extrapolated(measured, crops)


def memory(folder: Path, crops: int, all_crops: int) -> dict[str, float]:
    """Return the MB that a run needs for its plan, store and tasks, for `crops` and in proportion for all."""
    chunk = chunk_length(all_crops, 256, 300)
    simulated_store(folder / "memory.zarr", simulated_plan(crops, Settings()), chunk, "crops/status")
    print_progress(f"{crops:,} crops: memory")
    found = in_new_process(resumed_megabytes, str(folder / "memory.zarr"), crops)
    shutil.rmtree(folder / "memory.zarr")
    return {"crops": crops, "MB": found, "MB of all": found * all_crops / crops}


def resumed_megabytes(path: str, crops: int) -> float:
    """Return what `resumed` needs in this process, with the plan."""
    return peak_above_start(lambda: resumed(Path(path), simulated_plan(crops, Settings()))) / 1e6


def resumed(path: Path, plan: Plan) -> None:
    """Do what `mine` does before its first task."""
    look_ahead(path, plan)
    open_store(path, plan).pending_chunks()


def extrapolated(measured: dict[int, dict[str, float]], crops: int) -> dict[str, float]:
    """Return the values at `crops` on a line through the last two measurements, and the last one."""
    (n1, first), (n2, last) = sorted(measured.items())[-2:]
    found = {
        key: max(last[key] + (last[key] - first[key]) / (n2 - n1) * (crops - n2), last[key]) for key in last
    }
    requests = sum(found[kind] for kind in KINDS)
    lists = found["LIST"] * LATENCY
    found["waiting"] = (requests - found["LIST"]) * LATENCY / AT_ONCE + lists
    return {**found, "measured_crops": n2, "measured_seconds": last["seconds"]}


# --- tasks --------------------------------------------------------------------------------------------------


def tasks(count: int, workers: tuple[int, ...], most: int) -> dict[str, float]:
    """Return the bytes of a task and of its result, and the ms of the scheduler and the run."""
    bundle = round(TASK_SECONDS / CROP_SECONDS / BEFORE) * BEFORE or BEFORE
    crops = tuple(("00012/000012345.jpg", 256 * i, 512) for i in range(BEFORE))
    chunks = tuple(PlannedChunk(Chunk("0123456789abcdef", i), crops) for i in range(max(1, bundle // BEFORE)))
    task = Task("s3://bucket/some/folder/dgp.zarr", "/photographs", "dgp_mining.fitting.fit", chunks)
    ended = [Progress(chunk.number, len(chunk.crops), 0, 500.0, 15.0) for chunk in chunks]
    found: dict[str, float] = {
        "crops": len(chunks) * BEFORE,
        "task_bytes": len(pickle.dumps(task)),
        "result_bytes": len(pickle.dumps(ended)),
        "queue_ms": queue_milliseconds(task, count),
        "dispatch_ms": dispatch_milliseconds(task, 3 * most, most),
    }
    for number in workers:
        print_progress(f"{count} empty tasks on {number} workers")
        found[f"ms_with_{number}_workers"], found[f"idle_with_{number}_workers"] = dask_milliseconds(
            task, count, number
        )
    return found


def queue_milliseconds(task: Task, count: int) -> float:
    """Return the time in which the run makes a task and records its end."""
    numbers = [chunk.number for chunk in task.chunks] * count
    queue = TaskQueue(task, numbers, lambda number: PlannedChunk(number, task.chunks[0].crops))
    began, made = time.process_time(), 0
    while (one := queue.next(1)) is not None:
        queue.record(one, [Progress(chunk.number, 12, 0, 500.0, 15.0) for chunk in one.chunks])
        made += 1
    return 1e3 * (time.process_time() - began) / made


def dask_milliseconds(task: Task, count: int, workers: int) -> tuple[float, float]:
    """Return CPU ms per empty task, and CPU seconds per second of idling, of the scheduler and the run.

    Both are in this process, the workers are not.
    """
    made = iter([task] * count)
    with open_executor("local", workers) as run:
        began, idle = time.process_time(), time.perf_counter()
        time.sleep(2)
        idle = (time.process_time() - began) / (time.perf_counter() - idle)
        began = time.process_time()
        done = sum(1 for _ in run(bool, lambda number: next(made, None), Stop()))
        return 1e3 * (time.process_time() - began) / done, idle


def fitting(figures: dict[str, Any], crops: int, workers: int) -> dict[str, float]:
    """Return the load of the run while it fits: tasks and requests per second, and the scheduler's share."""
    task = figures["tasks"]
    fewest = next(value for key, value in task.items() if key.startswith("ms_with"))
    rate = workers / (task["crops"] * CROP_SECONDS)
    per_task = written(crops)
    return {
        "hours": crops * CROP_SECONDS / workers / 3600,
        "tasks_per_second": rate,
        "scheduler_load": rate * (fewest + task["queue_ms"] + task["dispatch_ms"]) / 1e3,
        **{f"{kind}_per_second": per_task[kind] * workers / CROP_SECONDS for kind in KINDS},
    }


def written(crops: int) -> dict[str, float]:
    """Return the requests for each fitted crop of one chunk, written as a run of `crops` crops does."""
    chunk = chunk_length(crops, 256, 300)
    with tempfile.TemporaryDirectory() as folder:
        plan = simulated_plan(2 * chunk, Settings())
        made = Store.create(Path(folder, "a.zarr"), plan, chunk, 1)
        pieces = [one for one in made.pending_chunks() if one.number == 0]
        per_task = max(1, round(TASK_SECONDS / CROP_SECONDS / piece_length(256, 300)))

        def fit() -> None:
            for i, one in enumerate(pieces):
                if i % per_task == 0:
                    store = Store.open(made.path)
                    store.record_writer()
                store.write(one, [some_result()] * len(store.chunk_crops(one)))

        return {kind: value / chunk for kind, value in cost(fit).items()}


# --- crops that take long -----------------------------------------------------------------------------------


def long_crops(folder: Path, crops: int) -> dict[str, dict[str, float]]:
    """Return files per crop and CPU milliseconds of `verify` per crop, by what the chunks are."""
    long, short = Settings(crop=1024, recipe="gaussianimage"), Settings()
    found: dict[str, dict[str, float]] = {}
    stores: dict[str, Callable[[], object]] = {}
    for name, settings, chunk in (
        ("gaussianimage, 1024x1024, as before", long, 1),
        ("gaussianimage, 1024x1024, today", long, chunk_length(crops, 1024, 50_000)),
        ("fast, 256x256", short, BEFORE),
    ):
        print_progress(f"{crops} crops: {name}")
        path = folder / f"long-{len(stores)}.zarr"
        store = Store.create(path, simulated_plan(crops, settings), chunk, 1)
        empty = set(path.rglob("*"))
        for one in store.pending_chunks():
            store.write(one, [some_result()] * len(store.chunk_crops(one)))
        files = set(path.rglob("*")) - empty
        found[name] = {
            "chunk": chunk,
            "files": sum(file.is_file() for file in files) / crops,
            "files_and_folders": len(files) / crops,
        }
        stores[name] = functools.partial(verify, path)
    taken = in_turns(stores, 5, "verify", clock=time.process_time)
    return {name: {**one, "verify_ms": 1e3 * min(taken[name]) / crops} for name, one in found.items()}


# --- the table ----------------------------------------------------------------------------------------------


def report(figures: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"\n{figures['crops']:,} crops of 256x256 pixels, extrapolated; waiting for S3 at {LATENCY} s a")
    print(f"request, {AT_ONCE} at once, but listings one after the other:")
    rows = []
    for chunk, parts in figures["parts"].items():
        for what, found in parts.items():
            rows.append(
                [
                    what,
                    chunk,
                    f"{found['measured_crops']:,}",
                    f"{found['measured_seconds']:.1f}",
                    f"{found['seconds'] / 60:,.1f}",
                    *(f"{found[kind]:,.0f}" for kind in KINDS),
                    f"{found['waiting'] / 60:,.1f}",
                ]
            )
    print_table(["", "crops a chunk", "measured at", "CPU s there", "CPU min", *KINDS, "waiting, min"], rows)
    images, needed = figures["images"], figures["memory"]
    count = figures["crops"] // PER_IMAGE
    print(f"\nplanning with the headers of {count:,} images, {PER_IMAGE} crops each: CPU min ", end="")
    print(f"{images['seconds'] / 60:.1f} ({images['measured_seconds']:.1f} s for ", end="")
    print(f"{images['measured_crops']:,} crops)")
    print(f"memory of a run: {needed['MB']:.0f} MB for {needed['crops']:,} crops, ", end="")
    print(f"{needed['MB of all']:,.0f} MB for all")
    load, task = figures["fitting"], figures["tasks"]
    print(f"\n{figures['workers']:,} workers, {CROP_SECONDS} s a crop:")
    rows = [
        ["fitting", f"{load['hours']:.1f} h", ""],
        ["tasks", f"{load['tasks_per_second']:.0f} a second", f"of {task['crops']:.0f} crops"],
        ["bytes of a task, of its result", f"{task['task_bytes']:.0f}", f"{task['result_bytes']:.0f}"],
        ["CPU of the scheduler and the run", f"{100 * load['scheduler_load']:.0f} %", "of one core"],
    ]
    rows.append(
        ["of it, the run itself", f"{task['dispatch_ms']:.2f} ms a task", "with as many simulated workers"]
    )
    for name, value in task.items():
        if name.startswith("ms_with"):
            rows.append(
                [f"CPU of a task {name.removeprefix('ms_').replace('_', ' ')}", f"{value:.2f} ms", ""]
            )
        if name.startswith("idle_with"):
            rows.append(
                [f"CPU idle {name.removeprefix('idle_').replace('_', ' ')}", f"{100 * value:.0f} %", ""]
            )
    rows += [
        [f"{kind} to S3", f"{load[f'{kind}_per_second']:.0f} a second", f"S3 promises {LIMITS[kind]:,}"]
        for kind in LIMITS
    ]
    rows.append(["LIST to S3", f"{load['LIST_per_second']:.0f} a second", ""])
    print_table(["", "", ""], rows)


def report_long_crops(figures: dict[str, dict[str, float]], crops: int) -> None:
    """Print the table of `long_crops`."""
    print(f"\n{crops} crops:")
    print_table(
        ["", "crops a chunk", "files a crop", "with folders", "verify, CPU ms a crop"],
        [
            [
                name,
                f"{found['chunk']:.0f}",
                f"{found['files']:.2f}",
                f"{found['files_and_folders']:.2f}",
                f"{found['verify_ms']:.2f}",
            ]
            for name, found in figures.items()
        ],
    )


if __name__ == "__main__":
    main()
