"""Checkpoints: safetensors files that carry the network's settings and its dictionary beside the weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .continuoussr import ContinuousSR
from .settings import NetworkSettings

FORMAT = "sr_model-checkpoint/1"
DICTIONARY = "dictionary.cholesky"
WEIGHTS = "network."


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the message is one sentence naming the file."""


@dataclass(frozen=True)
class Checkpoint:
    """A network that can be used: everything but what training it further takes."""

    network: NetworkSettings
    """Its shape."""
    dictionary: Tensor
    """[K, 3] float64: Cholesky factors in grid spacings."""
    weights: Mapping[str, Tensor]
    """The network's state dict."""
    notes: Mapping[str, Any]
    """JSON-serialisable facts to keep: step, PSNR, the dictionary's metadata, training settings."""

    def build(self) -> ContinuousSR:
        """The network, with its weights, ready for use. Raises ValueError where these are of another."""
        model = ContinuousSR(self.network, self.dictionary)
        try:
            model.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise ValueError("the checkpoint's weights are not those of the network it describes") from error
        return model.eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        tensors = {WEIGHTS + name: tensor for name, tensor in self.weights.items()}
        header = {"network": asdict(self.network), **self.notes}
        write_tensors(path, {DICTIONARY: self.dictionary, **tensors}, FORMAT, header)

    @staticmethod
    def load(path: str | Path) -> Checkpoint:
        """Read what `save` wrote. Raises CheckpointError."""
        tensors, notes = read_tensors(path, FORMAT, "a network that sr-train wrote")
        try:
            settings = network_settings(notes.pop("network"))
            dictionary = tensors.pop(DICTIONARY)
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path} was written by another version of sr-train: {error}.") from error
        weights = {name.removeprefix(WEIGHTS): tensor for name, tensor in tensors.items()}
        return Checkpoint(settings, dictionary, weights, notes)


def network_settings(header: Mapping[str, Any]) -> NetworkSettings:
    """The settings in a file's header; fields newer than the file have their defaults.

    Raises ValueError for fields that are unknown here, TypeError where one is missing that has no default.
    """
    unknown = header.keys() - {field.name for field in fields(NetworkSettings)}
    if unknown:
        raise ValueError(f"there is no network setting {', '.join(sorted(unknown))} here")
    return NetworkSettings(**{k: tuple(v) if isinstance(v, list) else v for k, v in header.items()})


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


def load(path: str | Path, device: torch.device | str | None = None) -> ContinuousSR:
    """The network of a checkpoint, on `device` (default: a GPU where there is one). CheckpointError."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint = Checkpoint.load(path)
    try:
        return checkpoint.build().to(device)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}.") from error
