"""Tensors in safetensors files, with a JSON header that describes them, written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dgp_mining.harmless import harmless
from dgp_mining.schema import MOST_TEXT, parse_json
from splat2d.atomic_write import atomic_write
from splat2d.safetensors_header import read_header

MOST_VALUES = 2_000_000
"""Most lists, tables and entries in a header that is longer than MOST_TEXT, which may have few and long ones:
each takes about a hundred bytes."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the message is one sentence that names the file.

    Files say much that a message repeats: what could control a terminal is replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__(harmless(message))


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
        CheckpointError: if the file cannot be written, or `read_tensors` would refuse the header.
    """
    try:
        text = header_text(header)
    except ValueError as error:
        raise CheckpointError(f"{path} is not written, since it could not be read again: {error}.") from error
    content = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        metadata={"format": form, "header": text},
    )
    try:
        with atomic_write(path) as partial:
            partial.write_bytes(_in_fixed_order(content))
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror or error}): name another file."
        ) from error


def header_text(header: Mapping[str, Any]) -> str:
    """Return a header as it is written. Raises ValueError if it would not be read: too long, nested too deep.

    >>> header_text({"notes": "long" * 2_000_000})
    Traceback (most recent call last):
    ValueError: the entry 'header' of its metadata has 8000013 characters, more than the 8000000 that are read
    """
    text = json.dumps(header, sort_keys=True)
    described({"header": text})
    return text


def _in_fixed_order(content: bytes) -> bytes:
    """Sort the metadata of a safetensors file, which safetensors (0.8 at least) writes in random order."""
    end = 8 + int.from_bytes(content[:8], "little")
    described = json.loads(content[8:end])
    described["__metadata__"] = dict(sorted(described["__metadata__"].items()))
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format aligns tensors to 8 bytes
    return len(text).to_bytes(8, "little") + text + content[end:]


def read_tensors(
    path: str | Path, form: str, what: str, longest: int = MOST_TEXT
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the (tensors, header) of a file that `write_tensors` wrote, with a header of at most `longest`
    characters.

    Raises:
        CheckpointError: if the file is not of the format `form`; the message calls such a file `what`.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is not a file: name {what}.")
    try:
        metadata = read_header(path).metadata
        if metadata.get("format") != form:
            raise CheckpointError(f"{path} is not {what} (no '{form}' in its header).")
        header = described(metadata, longest)
        with safe_open(str(path), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, header  # noqa: SIM118
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    except CheckpointError:
        raise
    except (ValueError, SafetensorError, KeyError, AttributeError, TypeError) as error:
        # of tensors, the last two: types of numbers that this version of torch does not have
        reason = error if type(error) is ValueError else "it holds numbers of an unknown type"
        raise CheckpointError(f"{path} is not {what}: {reason}.") from error


def described(metadata: Mapping[str, str], longest: int = MOST_TEXT) -> dict[str, Any]:
    """Return the description in the metadata of a file, of at most `longest` characters.

    Raises ValueError if it is longer, or not a JSON object.
    """
    if "header" not in metadata:
        raise ValueError("its metadata lacks the entry 'header'")
    text = metadata["header"]
    if len(text) > MOST_TEXT and sum(map(text.count, ",[{")) > MOST_VALUES:
        raise ValueError(
            f"the entry 'header' of its metadata has more than the {MOST_VALUES} values that are read"
        )
    header = parse_json(text, "the entry 'header' of its metadata", longest)
    if not isinstance(header, dict):
        raise ValueError("the entry 'header' of its metadata is not a JSON object")
    return header


def format_of(path: str | Path) -> str | None:
    """Return the format in a file's header, as `write_tensors` wrote it; None for any other file, or none."""
    if not Path(path).is_file():
        return None
    try:
        return read_header(path).metadata.get("format")
    except (OSError, ValueError):
        return None
