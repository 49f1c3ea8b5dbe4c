"""What travels between a run and its workers: small, whatever the size of the run."""

from __future__ import annotations

from dataclasses import dataclass

from ..planning.plan import Crop
from ..store.part import Chunk


@dataclass(frozen=True)
class PlannedChunk:
    """The crops of one chunk of the store."""

    number: Chunk
    """How the store names the chunk."""
    crops: tuple[Crop, ...]
    deadly: frozenset[int] = frozenset()
    """Those, by their index, that have killed every worker that took them: not to be fitted again."""


@dataclass(frozen=True)
class Task:
    """Some chunks to fit: all that a worker needs to know."""

    store: str
    """Where the store is, for a process in any folder."""
    images: str
    """Absolute path of the folder of images."""
    fitter: str
    """Name of the fitting module, see FITTERS."""
    chunks: tuple[PlannedChunk, ...] = ()
    trial: bool = False
    """Whether to fit only, and to write nothing: to see whether the worker survives."""


@dataclass(frozen=True)
class Progress:
    """How one chunk has ended."""

    chunk: Chunk
    """How the store names it."""
    done: int
    """Crops fitted."""
    failed: int
    """Crops that cannot be, for the reasons in the store."""
    psnr: float
    """Sum of the PSNR of the fitted crops, dB."""
    seconds: float
    """Time it took its worker."""
    failures: tuple[str, ...] = ()
    """Why crops have failed, a sentence for each."""
    notes: tuple[str, ...] = ()
    """What has been left out of its images, a sentence for each that has been decoded for this chunk."""
