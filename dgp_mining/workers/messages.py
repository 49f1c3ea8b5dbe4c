"""Messages between a run and its workers; their size does not grow with the run."""

from __future__ import annotations

from dataclasses import dataclass

from ..planning.plan import Crop
from ..store.part import Chunk


@dataclass(frozen=True)
class PlannedChunk:
    """The crops of one chunk of the store."""

    number: Chunk
    """The chunk's name in the store."""
    crops: tuple[Crop, ...]
    deadly: frozenset[int] = frozenset()
    """Indices of crops that killed every worker that took them; they are recorded as failed, not fitted."""


@dataclass(frozen=True)
class Task:
    """Chunks to fit, with everything that a worker needs to know."""

    store: str
    """Absolute address of the store."""
    images: str
    """Absolute path of the folder of images."""
    fitter: str
    """Name of the fitting module, see FITTERS."""
    chunks: tuple[PlannedChunk, ...] = ()
    trial: bool = False
    """Whether to fit without writing, to find out whether the worker survives."""


@dataclass(frozen=True)
class Progress:
    """The outcome of one chunk."""

    chunk: Chunk
    """Its name in the store."""
    done: int
    """Crops fitted."""
    failed: int
    """Crops that failed; the reasons are also in the store."""
    psnr: float
    """Sum of the PSNR of the fitted crops, dB."""
    seconds: float
    """Time that the worker took, s."""
    failures: tuple[str, ...] = ()
    """Why crops failed, one sentence each."""
    notes: tuple[str, ...] = ()
    """Notes on what decoding dropped (alpha, further pages), for the images decoded for this chunk."""
    workers: int = 1
    """Workers of the run, from which the time left follows."""
