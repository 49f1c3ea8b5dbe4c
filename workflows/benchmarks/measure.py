"""Shared by the benchmarks: a description of the machine, alternating timing, tables, the JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import torch

from splat2d import backend
from splat2d.atomic_write import atomic_write
from splat2d.backends import cpu

NOT_MEASURED = "not measured yet"
T = TypeVar("T")


def parser(description: str, json_name: str) -> argparse.ArgumentParser:
    """Return a command line with the options that every benchmark has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that it runs: the figures mean nothing"
    )
    made.add_argument("--out", type=Path, default=Path(json_name), help=f"JSON file (default {json_name})")
    return made


def machine() -> dict[str, str | int]:
    """Describe this machine, for the readers of the figures."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "CPU": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "instruction set": cpu.instruction_set() if backend() == "cpu" else "torch",
        "GPU": gpu,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def in_turns(
    runs: dict[str, Callable[[], object]],
    rounds: int,
    what: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time each of `runs` in seconds, once per round, so that load on the machine affects all of them alike.

    One more round before the first warms up and is not counted. Each round prints a line on stderr. With
    `clock` time.process_time, the times are those of the processor, in all threads together.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = clock()
            run()
            seconds[name].append(clock() - began)
        if number:
            line = ", ".join(f"{name} {1e3 * taken[-1]:.4g} ms" for name, taken in seconds.items())
            print_progress(f"{what}, round {number} of {rounds}: {line}")
    return {name: taken[1:] for name, taken in seconds.items()}


def in_new_process(function: Callable[..., T], *arguments: object) -> T:
    """Call a function of a module in a process of its own, which ends with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_above_start(run: Callable[[], object]) -> int:
    """Return the bytes by which a run raises the largest memory of this process above what it takes now.

    On Linux the largest memory is counted from here on. Where it cannot be (macOS, or a kernel that refuses),
    from the start of the process, so that what was larger before hides the run. What the C library kept of
    freed memory is used first and not counted, so measure in a new process. Never below zero.
    """
    _forget_peak()
    before = psutil.Process().memory_info().rss
    run()
    return max(peak_memory() - before, 0)


def _forget_peak() -> None:
    """Set the largest memory of this process to what it takes now, where Linux lets it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Return the largest memory of this process until now, in bytes.

    On Linux not by getrusage, whose ru_maxrss starts at that of the process by which this one was started.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        for line in lines:  # gVisor has no such line
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(taken) for name, taken in seconds.items()}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Context manager: torch and splat2d use `count` threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def print_progress(line: str) -> None:
    """Print progress on stderr, away from the table."""
    print(line, file=sys.stderr, flush=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, the first to the left, the others to the right."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = [
            cell.ljust(w) if k == 0 else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def write_json(path: Path, figures: dict[str, object]) -> None:
    """Write the figures and the machine's description; exit with a sentence if the file cannot be written."""
    try:
        with atomic_write(path) as partial:
            partial.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")
    except OSError as error:
        sys.exit(f"{path} cannot be written ({error.strerror}): name another file with --out")
    print(f"written: {path}")
