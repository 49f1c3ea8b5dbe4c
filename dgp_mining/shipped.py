"""Files that are shipped with the packages: the reference prior and the reference model (data/README.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

PRIOR = "priors/natural-730.npz"
FORMER_PRIOR = "priors/natural-730-0.1.0.npz"
"""The reference prior of 0.1.0, on which trainings have begun."""
MODEL = "models/reference.safetensors"


@contextlib.contextmanager
def shipped_file(name: str) -> Iterator[Path]:
    """Yield the path of a shipped file, such as PRIOR, in an installed wheel or a checkout.

    Raises FileNotFoundError if this installation lacks it.

    >>> with shipped_file(PRIOR) as path:
    ...     path.name
    'natural-730.npz'
    """
    package = files("dgp_mining")
    for data in (package.joinpath("data"), package.joinpath("..", "data")):  # installed, or a checkout
        resource = data.joinpath(*name.split("/"))
        if resource.is_file():
            with as_file(resource) as path:
                yield path
            return
    raise FileNotFoundError(f"{name} is not part of this installation")
