"""Recognises files that were given as a checkpoint of this project, but are something else."""

from __future__ import annotations

from pathlib import Path

from .recognition import advice, identify
from .tensor_file import CheckpointError

NETWORKS = ("best.safetensors", "last.safetensors")
"""What a run's folder holds for use."""


def describe_foreign(path: str | Path) -> str:
    """Return the sentence on a file or folder that is no checkpoint; "" if there is nothing more to say."""
    path = Path(path)
    if not path.exists():
        return ""
    if path.is_dir() and not (path / ".metadata").exists():
        if inside := [name for name in NETWORKS if (path / name).is_file()]:
            return f"{path} is the folder of a training: name a file in it, {path / inside[0]}."
        return (
            f"{path} is a folder: name the file of a network, or convert the folder of a released GSASR "
            "with sr-convert."
        )
    try:
        layout = identify(path)
    except CheckpointError as error:
        return str(error)
    if layout is None:
        return ""
    return f"{path} holds {layout.name}, not a network of this project: {advice(layout)}."
