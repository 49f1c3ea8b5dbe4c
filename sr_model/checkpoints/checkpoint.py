"""Checkpoints: safetensors files that carry the network's settings and its dictionary beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgp_mining.shipped import MODEL, shipped_file

from ..networks.base import Network
from ..networks.registry import ARCHITECTURES, Settings, architecture, build_network, settings_from
from .tensor_file import CheckpointError, read_tensors, write_tensors

FORMAT = "sr_model-checkpoint/1"
DICTIONARY = "dictionary.cholesky"
WEIGHTS = "network."


@dataclass(frozen=True)
class Checkpoint:
    """A network that can be used: everything but what training it further takes."""

    network: Settings
    """Its architecture and shape."""
    dictionary: Tensor | None
    """[K, 3] float64: Cholesky factors in grid spacings; None for architectures that blend none."""
    weights: Mapping[str, Tensor]
    """The network's state dict."""
    notes: Mapping[str, Any]
    """JSON-serialisable facts to keep: step, PSNR, the dictionary's metadata, training settings."""

    def build(self) -> Network:
        """The network, with its weights, ready for use. Raises ValueError where these are of another."""
        model = build_network(self.network, self.dictionary)
        try:
            model.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise ValueError("the checkpoint's weights are not those of the network it describes") from error
        return model.eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        tensors = {WEIGHTS + name: tensor for name, tensor in self.weights.items()}
        if self.dictionary is not None:
            tensors[DICTIONARY] = self.dictionary
        named = {"architecture": architecture(self.network), "network": asdict(self.network)}
        write_tensors(path, tensors, FORMAT, {**named, **self.notes})

    @staticmethod
    def load(path: str | Path) -> Checkpoint:
        """Read what `save` wrote. Raises CheckpointError."""
        tensors, notes = read_tensors(path, FORMAT, "a network that sr-train wrote")
        try:
            name = notes.pop("architecture", next(iter(ARCHITECTURES)))
            settings = settings_from(name, notes.pop("network"))
            dictionary = tensors.pop(DICTIONARY, None)
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path} was written by another version of sr-train: {error}.") from error
        weights = {name.removeprefix(WEIGHTS): tensor for name, tensor in tensors.items()}
        return Checkpoint(settings, dictionary, weights, notes)


def load(path: str | Path, device: torch.device | str | None = None) -> Network:
    """The network of a checkpoint, on `device` (default: a GPU where there is one). CheckpointError."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint = Checkpoint.load(path)
    try:
        return checkpoint.build().to(device)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}.") from error


def load_reference() -> Network:
    """The network of the reference model. Raises CheckpointError where this copy came without it."""
    try:
        with shipped_file(MODEL) as path:
            return load(path)
    except FileNotFoundError as error:
        raise CheckpointError(
            "No reference model is installed here: name a checkpoint with --model (in Python, model=)."
        ) from error
