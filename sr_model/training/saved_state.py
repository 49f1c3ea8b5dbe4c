"""What the file of a training's state holds, checked before a training is restored from it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dgp_mining.schema import as_kind, shortened

from ..checkpoints.checkpoint import check_numbers
from ..checkpoints.tensor_file import CheckpointError
from .schedule import MOST, Budget


@dataclass(frozen=True)
class Progress:
    """How far a training had come. Raises ValueError for numbers that no training has."""

    step: int
    """Steps taken."""
    seconds: float
    """Seconds over all sessions."""

    def __post_init__(self) -> None:
        if not (0 <= self.step < MOST and 0 <= self.seconds < MOST):
            raise ValueError(f"step and seconds must be from 0 to {MOST:.0e}")


@dataclass(frozen=True)
class SavedState:
    """The content of the file."""

    identity: dict[str, Any]
    """What a resumed run must share with it."""
    budget: Budget
    """How long it was to train."""
    progress: Progress
    """How far it had come."""
    best: float
    """Highest validation PSNR in dB, -inf before the first."""
    model: dict[str, Tensor]
    """State dict of the network."""
    average: dict[str, Tensor]
    """State dict of the averaged network."""
    moments: dict[int, dict[str, Tensor]]
    """Of each parameter, by its number, what Adam keeps of it, by name."""


def names_digest(names: Sequence[Any]) -> str:
    """What a state records of the names of images, in their order; a list may be too long for its header.

    >>> names_digest(["a.png", "b.png"])[:24]
    '2 names of sha256 fb2083'
    """
    text = json.dumps(names, separators=(",", ":"))
    return f"{len(names)} names of sha256 {hashlib.sha256(text.encode()).hexdigest()}"


def saved_state(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], parts: Sequence[str]
) -> SavedState:
    """Check what `TrainingState.save` wrote to a file, and return it.

    `parts` are the names in its identity that are settings. Raises CheckpointError, naming the field.
    """
    try:
        for name in ("identity", "budget", "progress"):
            if name not in header:
                raise ValueError(f"its header lacks {name}")
        identity = as_kind(header["identity"], dict[str, Any], "identity")
        for part in parts:
            if not isinstance(identity.get(part), dict):
                raise ValueError(f"identity.{part} must be a table")
        if isinstance(images := identity.get("images"), list):  # as releases before 0.2.0 wrote them
            identity["images"] = names_digest(images)
        progress = _checked_best(header["progress"])
        best = progress.pop("best")
        check_numbers(tensors)
        return SavedState(
            identity,
            as_kind(header["budget"], Budget, "budget"),
            as_kind(progress, Progress, "progress"),
            best,
            _under("model.", tensors),
            _under("average.", tensors),
            _moments(tensors),
        )
    except ValueError as error:
        raise CheckpointError(f"{path} is not the state of a training to resume: {error}.") from error


def _checked_best(progress: Any) -> dict[str, Any]:
    """Check `best` of a header's progress, which is the only number that may be infinite."""
    if not isinstance(progress, dict):
        raise ValueError("progress must be a table")
    best = progress.get("best")
    if isinstance(best, bool) or not isinstance(best, int | float) or math.isnan(best):
        raise ValueError("progress.best must be a number")
    return {**progress, "best": float(min(best, MOST))}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _moments(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("adam.", tensors).items():
        match = re.fullmatch(r"(\d{1,9})\.(step|exp_avg|exp_avg_sq)", name, re.ASCII)
        if match is None:
            raise ValueError(f"it has the unknown tensor {shortened('adam.' + name, 60)}")
        moments.setdefault(int(match[1]), {})[match[2]] = tensor
    for index, of_one in moments.items():
        if len(of_one) < 3:
            raise ValueError(f"it lacks some of the moments adam.{index}")
    return moments
