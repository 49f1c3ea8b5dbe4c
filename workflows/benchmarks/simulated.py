"""Stores of crops that nobody fitted, and the requests that S3 would get from what is done with them."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from no_fit import fit_image
from zarr.storage import LocalStore

from dgp_mining.fitting.content import CONTENT
from dgp_mining.fitting.statistics import measure
from dgp_mining.planning.plan import Plan, choose_crops
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.store.crop_results import CropResult
from dgp_mining.store.location import Location
from dgp_mining.store.store import Chunk, Store

SIDE, PER_IMAGE = 2560, 100
"""Pixels of a simulated photograph, and the crops of 256 pixels that it has."""

KINDS = ("GET", "PUT", "LIST")
"""Kinds of requests; deleting counts as PUT, and a listing once more for every 1,000 entries."""


def simulated_plan(crops: int, settings: Settings) -> Plan:
    """Return a plan of `crops` crops, without files of images."""
    images = -(-crops // (SIDE // settings.crop) ** 2)
    resolved = resolve_settings(settings)
    names = [f"{i // 1000:05}/{i:09}.jpg" for i in range(images)]
    sizes = np.full((images, 2), SIDE)
    image, position = choose_crops(names, sizes, resolved)
    nbytes = np.full(images, 2_000_000)
    return Plan("photographs", resolved, names, sizes, nbytes, [""] * images, image[:crops], position[:crops])


def simulated_store(path: Path, plan: Plan, chunk: int, arrays: str = "**") -> Store:
    """Return a store of `plan` whose crops all have the same result, but for its last chunk.

    Only the arrays that match `arrays` have their chunks.
    """
    store = Store.create(path, plan, chunk, 1)
    (part,) = store.parts
    store.record_writer()
    store.write(Chunk(part.name, 0), [some_result()] * chunk)
    for made in sorted(path.glob(f"parts/*/{arrays}/c/0")):
        if made.parts[-3] in ("image", "position") or made.parts[-4] == "images":
            continue
        fill(made, part.chunks - 1)
    return store


def fill(made: Path, chunks: int) -> None:
    """Link a chunk, a file or a folder with it, under other numbers; a file has at most 65,000 names."""
    files = [made] if made.is_file() else [path for path in made.rglob("*") if path.is_file()]
    for source in files:
        below, linked = source.relative_to(made), source
        for number in range(1, chunks):
            target = made.with_name(str(number)) / below
            target.parent.mkdir(parents=True, exist_ok=True)
            if number % 30_000:
                os.link(linked, target)
            else:
                shutil.copy(source, target)
                linked = target


def some_result() -> CropResult:
    """Return the result of a fit that does nothing."""
    fit = fit_image(np.full((64, 64, 3), 0.5), density=0.25, recipe="fast", iterations=0, seed=0)
    statistics = measure(fit.field, fit.start.numpy(), np.random.default_rng(0))
    return CropResult(bytes(31) + b"1", "", 40.0, 30.0, 300, 1.0, statistics, None, np.ones(len(CONTENT)))


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the requests that S3 would get."""
    found: Counter[str] = Counter()
    kinds = {"get": "GET", "exists": "GET", "set": "PUT", "set_if_not_exists": "PUT", "delete": "PUT"}
    before = {name: getattr(LocalStore, name) for name in (*kinds, "list_dir")}
    here = {name: getattr(Location, name) for name in ("modified", "files", "read", "write", "remove")}

    def counting(name: str, kind: str) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            found[kind] += 1
            return await before[name](*arguments, **named)

        return call

    async def list_dir(self: LocalStore, prefix: str) -> Any:
        found["LIST"] += 1
        async for name in before["list_dir"](self, prefix):
            yield name

    def listing(name: str) -> Callable[..., Any]:
        def call(self: Location) -> Any:
            entries = here[name](self)
            found["LIST"] += 1 + len(entries) / 1000
            return entries

        return call

    def single(name: str, kind: str) -> Callable[..., Any]:
        def call(self: Location, *arguments: Any) -> Any:
            found[kind] += 1
            return here[name](self, *arguments)

        return call

    try:
        for name, kind in kinds.items():
            setattr(LocalStore, name, counting(name, kind))
        LocalStore.list_dir = list_dir
        for name in ("modified", "files"):
            setattr(Location, name, listing(name))
        for name, kind in (("read", "GET"), ("write", "PUT"), ("remove", "PUT")):
            setattr(Location, name, single(name, kind))
        yield found
    finally:
        for name, function in before.items():
            setattr(LocalStore, name, function)
        for name, function in here.items():
            setattr(Location, name, function)


def cost(run: Callable[[], object]) -> dict[str, float]:
    """Return the CPU seconds and requests of `run`."""
    with counted() as requests:
        began = time.process_time()
        run()
        seconds = time.process_time() - began
    return {"seconds": seconds, **{kind: requests[kind] for kind in KINDS}}
