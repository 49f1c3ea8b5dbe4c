"""Set operations on plans: union, difference, and the canonical order of crops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .headers import is_copy, original_of
from .plan import Plan
from .settings import StoreSettings


def union(plans: Sequence[Plan], settings: StoreSettings, folder: str | None) -> Plan:
    """Concatenate the crops of several plans over one list of images.

    Images are identified by name, dimensions and file size. If an image is unusable in one plan and usable in
    another, only the usable entry is kept.
    """
    usable = {name for plan in plans for name, *_, problem in _described(plan) if not problem}
    rows: dict[tuple[Any, ...], int] = {}
    problems: list[str] = []
    image = []
    for plan in plans:
        numbers = []
        for *described, problem in _described(plan):
            if problem and described[0] in usable:
                numbers.append(-1)  # it has no crops
                continue
            number = rows.setdefault((*described, bool(problem)), len(rows))
            problems[number:] = problems[number:] or [problem]
            numbers.append(number)
        image.append(np.array(numbers, np.int64)[plan.image])
    table = list(rows)
    return Plan(
        folder=folder,
        settings=settings,
        names=[row[0] for row in table],
        sizes=np.array([row[1:3] for row in table], np.int64).reshape(-1, 2),
        nbytes=np.array([row[3] for row in table], np.int64),
        problems=problems,
        image=np.concatenate(image),
        position=np.concatenate([plan.position for plan in plans]),
    )


def sorted_crops(plan: Plan) -> np.ndarray:
    """Return the indices [n] that sort the crops of `plan` by image name, row and column.

    The sort is stable, because merged stores may have two images of the same name.
    """
    _, rank = np.unique(np.array(plan.names, str), return_inverse=True)
    row, column = plan.position.T
    return np.lexsort([column, row, rank[plan.image]])


def missing_crops(plan: Plan, stored: Plan) -> Plan:
    """Return the crops of `plan` that `stored` lacks, with their images and any newly found unusable images.

    An image with a copy that was mined before it came, under another name, is not mined again. `max_crops`
    limits both together. If there is room only for some of the crops, because the stored ones
    were chosen from other images, they are drawn at random with the run's seed.
    """
    here, there = crop_keys(plan, stored)
    described = _described(stored, text=False)
    usable = {name for name, *_, problem in described if not problem}  # a store may hold both of two copies
    again = {
        original_of(problem)
        for name, problem in zip(plan.names, plan.problems, strict=True)
        if is_copy(problem) and name in usable
    }
    repeated = np.array([name in again - usable for name in plan.names], bool)
    crops = np.flatnonzero(~np.isin(here, there) & ~repeated[plan.image])
    if (most := plan.settings.max_crops) is not None and len(crops) > (room := max(0, most - stored.crops)):
        crops = np.sort(np.random.default_rng(plan.settings.seed).choice(crops, room, replace=False))
    unusable = {about for about in described if about[-1]}
    wanted = set(plan.image[crops].tolist())
    wanted |= {
        i
        for i, about in enumerate(_described(plan, text=False))
        if about[-1] and about not in unusable and about[0] not in usable
    }
    images = np.array(sorted(wanted), np.int64)
    return replace(
        plan,
        names=[plan.names[i] for i in images],
        sizes=plan.sizes[images],
        nbytes=plan.nbytes[images],
        problems=[plan.problems[i] for i in images],
        image=np.searchsorted(images, plan.image[crops]),
        position=plan.position[crops],
    )


def describe_images(plan: Plan, images: Iterable[int] | None = None) -> dict[str, tuple[int, int, int]]:
    """Return (height, width, bytes) by name, for all images or the given ones."""
    chosen = range(len(plan.names)) if images is None else images
    return {plan.names[i]: (*plan.sizes[i].tolist(), int(plan.nbytes[i])) for i in chosen}


def _described(plan: Plan, text: bool = True) -> list[tuple[Any, ...]]:
    """Return (name, height, width, bytes, problem) of each image; the problem as a bool unless `text`."""
    problems = plan.problems if text else [bool(problem) for problem in plan.problems]
    return list(zip(plan.names, *plan.sizes.T.tolist(), plan.nbytes.tolist(), problems, strict=True))


def crop_keys(*plans: Plan) -> list[np.ndarray]:
    """Return an int64 key for each crop of each plan, equal for equal image names and positions."""
    names = {name: i for i, name in enumerate(sorted({name for plan in plans for name in plan.names}))}
    image = np.concatenate([np.array([names[n] for n in plan.names], np.int64)[plan.image] for plan in plans])
    position = np.concatenate([plan.position for plan in plans])
    _, place = np.unique(position[:, 0] << 32 | position[:, 1], return_inverse=True)
    keys = image * len(place) + place
    return np.split(keys, np.cumsum([plan.crops for plan in plans])[:-1])
