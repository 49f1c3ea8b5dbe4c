"""What a training is made of while it runs, and how it is put down and taken up again to the bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dgp_mining.prior.dictionary import Dictionary

from ..checkpoints.tensor_file import CheckpointError, read_tensors, write_tensors
from ..config.training_settings import TrainSettings
from ..networks.base import Network, NetworkSettings
from ..networks.registry import build_network
from .distributed import DistributedContext
from .loss import batch_loss
from .samples import Batch

FORMAT = "sr_model-training/1"
WARM_EMA = 10
"""The averaged weights forget faster at first: their decay is at most (1 + step) / (WARM_EMA + step)."""


class TrainingError(ValueError):
    """A training that cannot start or go on; the message is one sentence saying what to do."""


class Diverged(TrainingError):
    """A step whose loss or gradient is not a number; the weights are those before it."""


@dataclass
class TrainingState:
    """Everything that a training step reads and writes; random numbers depend on the step alone."""

    model: Network
    """The network being trained."""
    trained: nn.Module
    """The same as it is called: compiled, shared with other processes, or itself."""
    average: Network
    """The exponential moving average of its weights: what is validated and used."""
    optimiser: torch.optim.Adam
    """Adam over the model's parameters."""
    world: DistributedContext
    """Who trains."""
    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Wall clock spent, over all sessions, when the state was last written."""
    best: float = -math.inf
    """Highest validation PSNR so far, dB."""

    @staticmethod
    def new(
        network: NetworkSettings,
        dictionary: Dictionary | None,
        settings: TrainSettings,
        seed: int,
        world: DistributedContext,
    ) -> TrainingState:
        """Step 0: weights drawn from `seed`. Raises TrainingError where the start kernel cannot be had."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                kernels = None if dictionary is None else torch.tensor(dictionary.cholesky)
                model = build_network(network, kernels)
            except ValueError as error:
                raise TrainingError(f"This dictionary cannot be trained on: {error}.") from error
        model = model.to(world.device)
        average = copy.deepcopy(model).eval().requires_grad_(False)
        trained = world.share(torch.compile(model) if settings.compile else model)
        optimiser = torch.optim.Adam(model.parameters(), betas=settings.betas)
        return TrainingState(model, trained, average, optimiser, world)

    def train_step(self, parts: Sequence[Batch], rate: float, settings: TrainSettings) -> float:
        """One step at learning rate `rate`, on this process's share of a batch in equal parts.

        Returns the loss of the whole batch. Raises Diverged, in all processes together.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        total = torch.zeros((), device=self.world.device)
        for part in parts[:-1]:
            with self.world.no_sync(self.trained):
                total += self._descend(part, len(parts), settings)
        total += self._descend(parts[-1], len(parts), settings)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        loss = self.world.mean(total)
        if not (math.isfinite(loss) and math.isfinite(norm.item())):
            raise Diverged(f"The training diverged (a loss that is not a number) at step {self.step}")
        self.optimiser.step()
        self.step += 1
        decay = min(settings.ema, (1 + self.step) / (WARM_EMA + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        return loss

    def _descend(self, batch: Batch, parts: int, settings: TrainSettings) -> Tensor:
        """Add the gradient of one part of a batch, and return its part of the loss."""
        batch = batch.to(self.world.device)
        bf16 = settings.precision == "bfloat16" or (
            settings.precision == "auto" and fast_bf16(self.world.device)
        )
        with torch.autocast(batch.lr.device.type, torch.bfloat16, enabled=bf16):
            field = self.trained(batch.lr, batch.scales())
        loss = batch_loss(field, batch, settings) / parts
        loss.backward()
        return loss.detach()

    def save(self, path: Path, identity: Mapping[str, Any], budget: Mapping[str, Any]) -> None:
        """Write everything that `restore` needs, whole or not at all."""
        progress = {"step": self.step, "seconds": self.seconds, "best": self.best}
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        header = {"identity": identity, "budget": budget, "progress": progress}
        write_tensors(path, tensors, FORMAT, header)

    def restore(self, path: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Take up what `save` wrote and return its budget. Raises TrainingError where `identity` differs."""
        try:
            tensors, header = read_tensors(path, FORMAT, "the state of a training to resume")
        except CheckpointError as error:
            raise TrainingError(f"{error} To train afresh, leave --resume out.") from error
        differing = sorted(_differing(header["identity"], identity))
        if differing:
            raise TrainingError(
                f"The run in {path.parent} was begun with other settings ({', '.join(differing)}): "
                "resume it with those, or name another folder with --out."
            )
        self.model.load_state_dict(_under("model.", tensors))
        self.average.load_state_dict(_under("average.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("adam.", tensors).items():
            index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        for name, value in header["progress"].items():
            setattr(self, name, value)
        return header["budget"]


def fast_bf16(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 pay: on GPUs, and on CPUs with AMX."""
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)  # private, absent from old torch
    return device.type == "cuda" or has_amx()


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _differing(before: Any, now: Any, name: str = "") -> list[str]:
    """Names, with dots, of what is not the same in two nested dictionaries."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [name] if before != now else []
    keys = before.keys() | now.keys()
    return [
        found
        for key in keys
        for found in _differing(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    ]
