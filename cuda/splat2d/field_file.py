"""Files of fields: their tensors in the safetensors format, and a header that says how they are rendered."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .atomic_write import atomic_write
from .backends.cpu import MAX_CHANNELS, MAX_EXTENT, check_counts
from .safetensors_header import Header, read_header

FORMAT = "splat2d-field/1"
NEWER_FORMAT = "splat2d-field/2"
"""Of fields not `averaged`, or `normalised`: a reader of version 1 would render them wrongly."""
NAMES = ("means", "cholesky", "colors")
"""The tensors that every file has; some have `counts`, too."""
USUAL = {"averaged": True, "normalised": False}
"""The kind of field that FORMAT has."""
MOST_TEXT = 1000
"""Characters of the longest text that a header may have for the size or the rendering."""

_LEAST = 1 / MAX_EXTENT
_FLOATS = {"F16", "BF16", "F32", "F64"}


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

    Everything but the numbers in the tensors is checked before these are read; rendering checks them.

    Raises ValueError, naming the file, if it is not a field's, OSError if it cannot be read.
    """
    try:
        header = read_header(path)
        size, kind = _size(header.metadata), _kind(header.metadata)
        _check_tensors(header, bool(kind.get("normalised")))
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in header.tensors}
        if (counts := tensors.get("counts")) is not None:
            check_counts(counts, tensors["means"].shape[1])
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{path} is not a Gaussian field ({error})") from error
    return tensors, size, kind


def _size(metadata: Mapping[str, str]) -> tuple[float, float]:
    if metadata.get("format") not in (FORMAT, NEWER_FORMAT):
        raise ValueError(f"no '{FORMAT}' mark in its header")
    size = _parsed(metadata, "size")
    if not (isinstance(size, list) and len(size) == 2 and all(map(_is_extent, size))):
        raise ValueError(
            f"its size must be two numbers, height and width, from {1 / MAX_EXTENT:.0e} to {MAX_EXTENT}"
        )
    return float(size[0]), float(size[1])


def _kind(metadata: Mapping[str, str]) -> dict[str, bool]:
    if metadata["format"] == FORMAT:
        return {}
    kind = _parsed(metadata, "rendering")
    if not isinstance(kind, dict) or not kind.keys() <= USUAL.keys():
        raise ValueError(f"this version of splat2d knows only {' and '.join(USUAL)} of its rendering")
    for name, value in kind.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} of its rendering must be true or false")
    return kind


def _parsed(metadata: Mapping[str, str], name: str) -> Any:
    text = metadata.get(name, "")
    try:
        return json.loads(text[: MOST_TEXT + 1])  # a longer text is cut, and not JSON any more
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {name} is {'not JSON' if text else 'missing'}") from error


def _is_extent(value: Any) -> bool:
    """Whether a value of JSON is a number that both float32 and the renderer can use as a height or width."""
    return isinstance(value, int | float) and not isinstance(value, bool) and _LEAST <= value <= MAX_EXTENT


def _check_tensors(header: Header, normalised: bool) -> None:
    """Raise ValueError unless the tensors have the types and shapes of a field's."""
    stored = header.tensors
    if stored.keys() - {*NAMES, "counts"} or not stored.keys() >= set(NAMES):
        held = ", ".join(map(repr, sorted(stored)))[:300] or "no tensors"
        raise ValueError(f"it holds {held}, not {', '.join(NAMES)}")
    types = {stored[name].dtype for name in NAMES}
    if len(types) > 1 or not types <= _FLOATS:
        raise ValueError(f"means, cholesky and colors must be floats of one type, not {', '.join(types)}")
    batch = stored["means"].shape[:2]
    channels = stored["colors"].shape[-1] if len(stored["colors"].shape) == 3 else 0
    for name, last in zip(NAMES, (2, 3, channels), strict=True):
        if len(batch) != 2 or stored[name].shape != (*batch, last):
            raise ValueError(f"{name} must be [B, N, {last or 'C'}], not {list(stored[name].shape)}")
    # Where one extent is zero, the bytes of the file say nothing about the others.
    if not (1 <= batch[0] <= header.nbytes and batch[1] <= header.nbytes):
        raise ValueError(f"means cannot have the shape {list(stored['means'].shape)}")
    most = MAX_CHANNELS - normalised
    if not 1 <= channels <= most:
        raise ValueError(f"colors must have 1 to {most} channels, not {channels}")
    counts = stored.get("counts")
    if counts is not None and (counts.dtype, counts.shape) != ("I64", batch[:1]):
        raise ValueError(f"counts must be I64 [{batch[0]}], not {counts.dtype} {list(counts.shape)}")
