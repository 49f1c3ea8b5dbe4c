"""Which GPUs a process may use, found without touching them: what initialises CUDA holds memory on a GPU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

_LISTED = re.compile(r"^\s*(GPU|MIG) .*\(UUID: (\S+)\)", re.MULTILINE)


def visible_gpus() -> list[str]:
    """Names of the GPUs here, each good for CUDA_VISIBLE_DEVICES; of a partitioned GPU, its MIG instances.

    Those of CUDA_VISIBLE_DEVICES where that is set, otherwise all that nvidia-smi lists.
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
    """As CUDA reads the list: what follows an invalid name is not visible, either."""
    valid: list[str] = []
    for name in names:
        if not re.fullmatch(r"\d+|(GPU|MIG)-\S+", name) or name in valid:
            break
        valid.append(name)
    return valid
