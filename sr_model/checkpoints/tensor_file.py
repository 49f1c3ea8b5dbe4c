"""Tensors in safetensors files, with a JSON header that describes them, written atomically."""

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
    """A checkpoint that cannot be read or written; the message is one sentence that names the file."""


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], form: str, header: Mapping[str, Any]
) -> None:
    """Write a safetensors file atomically, with the same bytes for the same content.

    Args:
        path: of the file.
        tensors: by name.
        form: name and version of the format, such as "sr_model-checkpoint/1".
        header: JSON-serialisable description of the tensors.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    content = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        metadata={"format": form, "header": json.dumps(header, sort_keys=True)},
    )
    try:
        with atomic_write(path) as partial:
            partial.write_bytes(_in_fixed_order(content))
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror or error}): name another file."
        ) from error


def _in_fixed_order(content: bytes) -> bytes:
    """Sort the metadata of a safetensors file, which safetensors (0.8 at least) writes in random order."""
    end = 8 + int.from_bytes(content[:8], "little")
    described = json.loads(content[8:end])
    described["__metadata__"] = dict(sorted(described["__metadata__"].items()))
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format aligns tensors to 8 bytes
    return len(text).to_bytes(8, "little") + text + content[end:]


def read_tensors(path: str | Path, form: str, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the (tensors, header) of a file that `write_tensors` wrote.

    Raises:
        CheckpointError: if the file is not of the format `form`; the message calls such a file `what`.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is not a file: name {what}.")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != form:
                raise CheckpointError(f"{path} is not {what} (no '{form}' in its header).")
            return {key: file.get_tensor(key) for key in file.keys()}, json.loads(metadata["header"])  # noqa: SIM118
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not {what}: it is not a whole safetensors file.") from error


def format_of(path: str | Path) -> str | None:
    """Return the format in a file's header, as `write_tensors` wrote it; None for any other file, or none."""
    if not Path(path).is_file():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            return (file.metadata() or {}).get("format")
    except (OSError, SafetensorError):
        return None
