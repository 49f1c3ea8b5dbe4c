"""The memory that a worker needs: for a task, and what its imports take besides.

`workflows/benchmarks/worker_memory.py` measures it.
"""

from __future__ import annotations

import math

from ..machine import amount, available_memory
from ..planning.plan import Plan
from ..planning.settings import Settings
from .messages import Task

IMPORTS = 200_000_000
"""Bytes that each worker's imports take, besides what all workers of a machine share."""

CLUSTER = 100_000_000
"""Bytes that a local cluster takes in the process that starts it."""

FIT = 95_000_000
"""Bytes that the first fit takes whatever its size: code, threads and tables."""

FIT_PIXEL, FIT_GAUSSIAN = 40, 450
"""Bytes per pixel of a crop and per Gaussian, while it is fitted."""

IMAGE_PIXEL = 24
"""Bytes per pixel of an image while it is decoded, besides the bytes of its file: float32 RGB and a copy."""

FIELD_GAUSSIAN = 32
"""Bytes per Gaussian that is kept until its chunk is written."""


class TaskMemory:
    """Estimates the memory of tasks from the sizes of their images and crops."""

    def __init__(self, plan: Plan) -> None:
        settings = plan.settings
        gaussians = math.ceil(settings.density * settings.crop**2)
        self.fit = FIT + _fit_bytes(settings)
        self.kept = FIELD_GAUSSIAN * gaussians if settings.keep_fields else 0
        decoded = IMAGE_PIXEL * plan.sizes.prod(axis=1) + plan.nbytes
        self.decoded = dict(zip(plan.names, decoded.tolist(), strict=True))

    @property
    def most(self) -> int:
        """Bytes that a task of one crop takes if it is of the largest image."""
        return self.fit + self.kept + max(self.decoded.values(), default=0)

    def __call__(self, task: Task) -> int:
        """Return the bytes that a task takes at most: one image at a time is decoded and cut into crops."""
        images = {name for chunk in task.chunks for name, _, _ in chunk.crops}
        kept = self.kept * max((len(chunk.crops) for chunk in task.chunks), default=0)
        return self.fit + kept + max((self.decoded.get(name, 0) for name in images), default=0)


def check_memory(settings: Settings, scheduler: str, workers: int | None = None) -> None:
    """Raise ValueError if this machine has no memory for a fit, or for so many local workers.

    What other machines and GPUs have is not known here: there, a task that is too large ends with a sentence.

    >>> check_memory(Settings(), "local", workers=10**9)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: workers=1000000000 do not fit into memory: there is room for ... here.
    """
    if scheduler not in ("local", "sync"):
        return
    free = available_memory()
    if (need := _fit_bytes(settings)) > free:
        raise ValueError(
            f"A fit with crop={settings.crop} and density={settings.density:g} takes {amount(need)} of "
            f"memory, and {amount(free)} are free: take smaller crops."
        )
    most = max(1, free // IMPORTS)
    if workers and workers > most:
        raise ValueError(f"workers={workers} do not fit into memory: there is room for {most} here.")


def _fit_bytes(settings: Settings) -> int:
    """Return the bytes that a fit takes beyond FIT."""
    pixels = settings.crop**2
    return FIT_PIXEL * pixels + FIT_GAUSSIAN * math.ceil(settings.density * pixels)
