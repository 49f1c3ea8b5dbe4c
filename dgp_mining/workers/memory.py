"""The memory that a worker needs: for a task, and what its imports take besides.

`workflows/benchmarks/worker_memory.py` measures it.
"""

from __future__ import annotations

import math

from ..planning.plan import Plan
from .messages import Task

IMPORTS = 200_000_000
"""Bytes that each worker's imports take, besides what all workers of a machine share."""

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
        pixels = settings.crop**2
        gaussians = math.ceil(settings.density * pixels)
        self.fit = FIT + FIT_PIXEL * pixels + FIT_GAUSSIAN * gaussians
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
