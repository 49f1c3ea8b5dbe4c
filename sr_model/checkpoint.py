"""Checkpoints: safetensors files that carry the network's settings and its dictionary beside the weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .architectures import ARCHITECTURES, Settings, architecture, build_network, settings_from
from .network import Network

FORMAT = "sr_model-checkpoint/1"
DICTIONARY = "dictionary.cholesky"
WEIGHTS = "network."


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the message is one sentence naming the file."""


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


def write_tensors(path: Path, tensors: Mapping[str, Tensor], form: str, header: Mapping[str, Any]) -> None:
    """Write a safetensors file, whole or not at all. Raises CheckpointError."""
    whole = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        metadata={"format": form, "header": json.dumps(header, sort_keys=True)},
    )
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
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


def load(path: str | Path, device: torch.device | str | None = None) -> Network:
    """The network of a checkpoint, on `device` (default: a GPU where there is one). CheckpointError."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint = Checkpoint.load(path)
    try:
        return checkpoint.build().to(device)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}.") from error
