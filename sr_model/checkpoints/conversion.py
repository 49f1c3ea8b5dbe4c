"""What the conversions of released checkpoints share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .tensor_file import CheckpointError


@dataclass(frozen=True)
class Converted:
    """The result of a conversion, for a message."""

    architecture: str
    """Name of the architecture, as its paper writes it."""
    encoder: str
    """Name of the layout of the encoder's weights."""
    parameters: int
    """Number of parameters of the whole network."""
    licence: str
    """Licence of the released weights."""


def check_target(target: Path, overwrite: bool) -> None:
    """Raise CheckpointError if the file exists and must not be replaced."""
    if target.exists() and not overwrite:
        raise CheckpointError(
            f"{target} exists already: name another file, or replace it with overwrite=True."
        )
