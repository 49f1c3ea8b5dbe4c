"""Tensors in safetensors files with a description of them, written aside and renamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from splat2d.atomic_write import atomic_write


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the message is one sentence naming the file."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], form: str, header: Mapping[str, Any]) -> None:
    """Write a safetensors file, whole or not at all. Raises CheckpointError."""
    whole = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        metadata={"format": form, "header": json.dumps(header, sort_keys=True)},
    )
    try:
        with atomic_write(path, durable=True) as partial:
            partial.write_bytes(whole)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}.") from error


def read_tensors(path: str | Path, form: str, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, header) of a file that `write_tensors` wrote; CheckpointError says that it is not `what`."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is not a file: name {what}.")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != form:
                raise CheckpointError(f"{path} is not {what} (no '{form}' in its header).")
            return {key: file.get_tensor(key) for key in file.keys()}, json.loads(metadata["header"])  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not {what}: {error}.") from error
