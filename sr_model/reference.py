"""The reference model that is shipped, for whoever has trained none."""

from __future__ import annotations

from importlib.resources import as_file, files

from .checkpoint import CheckpointError, load
from .network import Network

NAME = "reference.safetensors"
"""In `data/models/`."""


def load_reference() -> Network:
    """The network of the reference model. Raises CheckpointError where this copy came without it."""
    package = files("dgp_mining")
    for data in (package.joinpath("data"), package.joinpath("..", "data")):  # installed, or a bare checkout
        resource = data.joinpath("models", NAME)
        if resource.is_file():
            with as_file(resource) as path:
                return load(path)
    raise CheckpointError(
        "No reference model is installed here: name a checkpoint of sr-train by --model (in Python, model=)."
    )
