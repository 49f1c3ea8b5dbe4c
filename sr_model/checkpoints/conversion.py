"""What the conversions of released checkpoints share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .layout import Signature
from .recognition import advice, read_public_weights
from .tensor_file import CheckpointError

SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")
"""Of files of weights in a folder."""


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


def read_released(path: Path, layout: Signature, key: str) -> Mapping[str, Tensor]:
    """Return the tensors of a file in the layout of a released network, taken from `key` if it is not "".

    Raises CheckpointError if the file has other weights or none.
    """
    found = read_public_weights(path, key)
    if found.layout is not layout:
        raise CheckpointError(f"{path} holds {found.layout.name}, not {layout.name}: {advice(found.layout)}.")
    return found.tensors


def part_file(folder: Path, part: str, trained: str) -> Path:
    """Return the file of one part of a network that is released as a folder.

    Args:
        folder: of the parts.
        part: what the file is called but for its suffix, such as "encoder".
        trained: what its training code calls it before the number of steps, such as "net_g".

    Raises:
        CheckpointError: if there is no such file, or several.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    for found in (
        [file for file in files if file.stem == part],
        [file for file in files if file.stem.startswith(f"{trained}_")],
    ):
        if len(found) > 1:
            names = ", ".join(file.name for file in found[:3])
            raise CheckpointError(
                f"{folder} holds {part}s in several files ({names}): leave only the one to convert there."
            )
        if found:
            return found[0]
    held = ", ".join(file.name for file in files[:3]) or "no weights"
    raise CheckpointError(
        f"{folder / part}.pth is missing: a released GSASR has two files, and the folder holds {held}."
    )
