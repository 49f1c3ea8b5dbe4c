"""Files of fields: their tensors in the safetensors format, and a header that says how they are rendered."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .atomic_write import atomic_write

FORMAT = "splat2d-field/1"
NEWER_FORMAT = "splat2d-field/2"
"""Of fields not `averaged`, or `normalised`: a reader of version 1 would render them wrongly."""
NAMES = ("means", "cholesky", "colors")
"""The tensors that every file has; some have `counts`, too."""
USUAL = {"averaged": True, "normalised": False}
"""The kind of field that FORMAT has."""


def write_parts(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    size: tuple[float, float],
    kind: Mapping[str, bool],
    metadata: Mapping[str, str],
) -> None:
    """Write a field's tensors, its size (height, width) and kind (`USUAL`), and further strings, atomically.

    Raises OSError if the file cannot be written.
    """
    header = {"format": FORMAT, "size": json.dumps([float(s) for s in size]), **metadata}
    if kind != USUAL:
        header |= {"format": NEWER_FORMAT, "rendering": json.dumps(kind)}
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as partial:
        try:
            save_file(stored, str(partial), metadata=header)
        except SafetensorError as error:
            raise _of_the_system(error, partial) from error


def _of_the_system(error: SafetensorError, path: Path) -> OSError:
    """The error of the operating system, such as a full disk, that safetensors tells of in words only."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    if not found:
        return OSError(str(error))
    return OSError(int(found[1]), os.strerror(int(found[1])), str(path))


def read_parts(path: str | Path) -> tuple[dict[str, Tensor], tuple[float, float], dict[str, bool]]:
    """Return what `write_parts` wrote: tensors, size, and kind, as far as the file states it.

    Raises ValueError, naming the file, if it is not a field's, OSError if it cannot be read.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") not in (FORMAT, NEWER_FORMAT):
                raise ValueError(f"{path} is not a Gaussian field (no '{FORMAT}' mark in its header)")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a Gaussian field (it is not a whole safetensors file)") from error
    unknown = tensors.keys() - {*NAMES, "counts"}
    if unknown or not tensors.keys() >= set(NAMES):
        raise ValueError(
            f"{path} is not a Gaussian field (it holds {', '.join(sorted(tensors)) or 'no tensors'}, "
            f"not {', '.join(NAMES)})"
        )
    try:
        height, width = (float(extent) for extent in json.loads(header["size"]))
        kind = json.loads(header["rendering"]) if header["format"] == NEWER_FORMAT else {}
        if not kind.keys() <= USUAL.keys() or not all(isinstance(value, bool) for value in kind.values()):
            raise ValueError("unknown rendering")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a Gaussian field that this version of splat2d can read (its header has size "
            f"{header.get('size')} and rendering {header.get('rendering')})"
        ) from error
    return tensors, (height, width), kind
