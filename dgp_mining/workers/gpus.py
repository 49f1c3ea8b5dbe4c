"""Listing the visible GPUs without initialising CUDA, which would take memory on a GPU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

_LISTED = re.compile(r"^\s*(GPU|MIG) .*\(UUID: (\S+)\)", re.MULTILINE)


def visible_gpus() -> list[str]:
    """Return the names of the GPUs for CUDA_VISIBLE_DEVICES; for a partitioned GPU, its MIG instances.

    These are the GPUs in CUDA_VISIBLE_DEVICES if that is set, otherwise all that nvidia-smi lists.
    """
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return _until_invalid([name.strip() for name in chosen.split(",")])
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    names: list[str] = []
    whole = ""
    for kind, uuid in _LISTED.findall(listed):
        if kind == "GPU":
            whole = uuid
        elif whole in names:
            names.remove(whole)
        names.append(uuid)
    return names


def _until_invalid(names: list[str]) -> list[str]:
    """Return the names before the first invalid or repeated one, as CUDA does."""
    valid: list[str] = []
    for name in names:
        if not re.fullmatch(r"\d+|(GPU|MIG)-\S+", name) or name in valid:
            break
        valid.append(name)
    return valid
