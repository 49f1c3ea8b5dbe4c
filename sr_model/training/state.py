"""The state of a training, one training step, and saving and restoring the state bit-exactly."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from dgp_mining.schema import shortened

from ..checkpoints.tensor_file import CheckpointError, read_tensors, write_tensors
from ..config.training_settings import TrainSettings
from ..memory import ran_out
from ..networks.base import Network, NetworkSettings
from .cuda_graph import GraphedNetwork
from .distributed import DistributedContext
from .errors import Diverged, TrainingError
from .loss import batch_loss
from .memory_limits import build_within_memory
from .newer_settings import with_newer_settings
from .sample_workers import add_gradients, single_samples
from .samples import Batch
from .saved_state import saved_state

log = logging.getLogger(__name__)

STATE, LAST, BEST = "state.safetensors", "last.safetensors", "best.safetensors"
"""Files of a run: what it is resumed from, and its latest and its best checkpoint."""
FORMAT = "sr_model-training/1"
LONGEST = 32_000_000
"""Characters of the longest header that is read: releases before 0.2.0 listed the names of images in it."""
WARM_EMA = 10
"""Warm-up of the averaged weights: their decay is at most (1 + step) / (WARM_EMA + step)."""


@dataclass
class TrainingState:
    """Everything that a training step reads and changes. Random numbers depend on the seed and step alone."""

    model: Network
    """The network being trained."""
    trained: nn.Module
    """The model as it is called: compiled, wrapped for several processes, or itself."""
    average: Network
    """A network with the exponential moving average of the weights, and the model's buffers; it is validated
    and saved for use."""
    optimiser: torch.optim.Adam
    """Adam over the model's parameters, but for those that are frozen."""
    context: DistributedContext
    """The processes that train together."""
    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Wall-clock seconds over all sessions, as of the last update by the training loop."""
    best: float = -math.inf
    """Highest validation PSNR so far, dB."""
    workers: ThreadPoolExecutor | None = None
    """Threads that compute gradients sample by sample; None to compute those of a batch at once."""

    @staticmethod
    def new(
        network: NetworkSettings,
        kernels: Tensor | None,
        settings: TrainSettings,
        seed: int,
        context: DistributedContext,
        weights: Mapping[str, Tensor] | None = None,
    ) -> TrainingState:
        """Step 0, with `weights` (a state dict) or else some drawn from `seed`.

        `kernels` are those that the network blends, [K, 3]. Raises TrainingError if it cannot start on them.
        """
        say_if_precision_is_slow(settings, context)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                model = build_within_memory(network, kernels, context.device)
            except TrainingError:
                raise
            except ValueError as error:
                raise TrainingError(f"This dictionary cannot be trained on: {error}.") from error
        if weights is not None:
            model.load_state_dict(dict(weights))
        if settings.freeze == "encoder":
            model.encoder.requires_grad_(False)
        model = model.to(context.device)
        average = copy.deepcopy(model).eval().requires_grad_(False)
        trained = context.wrap(faster(model, settings, context))
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimiser = torch.optim.Adam(trainable, betas=settings.betas, fused=context.device.type == "cuda")
        return TrainingState(model, trained, average, optimiser, context)

    @property
    def trained_parameters(self) -> int:
        """The number of parameters that are not frozen."""
        return sum(p.numel() for group in self.optimiser.param_groups for p in group["params"])

    def train_step(self, parts: Sequence[Batch], rate: float, settings: TrainSettings) -> float:
        """Take one optimiser step at learning rate `rate`.

        `parts` are this process's share of the batch, in equal micro-batches whose gradients are accumulated.
        Returns the loss of the whole batch, of all processes. Raises Diverged, in all processes at once.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        self.model.begin_step()
        total = torch.zeros((), device=self.context.device)
        if self.workers is not None:
            total += self._accumulate_by_sample(parts, settings, self.workers)
        else:
            for part in parts[:-1]:
                with self.context.no_sync(self.trained):
                    total += self._accumulate_gradient(part, len(parts), settings)
            total += self._accumulate_gradient(parts[-1], len(parts), settings)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        loss = self.context.mean(total)
        if not (math.isfinite(loss) and math.isfinite(norm.item())):
            raise Diverged(f"The training diverged (a loss that is not a number) at step {self.step}")
        self.optimiser.step()
        self.model.end_step(self.context.keep_maximum)
        self.step += 1
        decay = min(settings.ema, (1 + self.step) / (WARM_EMA + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
            torch._foreach_copy_(list(self.average.buffers()), list(self.model.buffers()))
        return loss

    def _accumulate_gradient(self, batch: Batch, parts: int, settings: TrainSettings) -> Tensor:
        """Add the gradient of one micro-batch out of `parts`, and return its contribution to the loss."""
        loss = self._loss(batch.to(self.context.device), settings) / parts
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss.detach()

    def _accumulate_by_sample(
        self, parts: Sequence[Batch], settings: TrainSettings, workers: ThreadPoolExecutor
    ) -> Tensor:
        """Add the gradient of all micro-batches, and return the loss; the result depends on no division."""
        samples = [sample for part in parts for sample in single_samples(part)]

        def loss(sample: Batch) -> Tensor:
            return self._loss(sample, settings) / len(samples)

        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return add_gradients(trainable, loss, samples, workers)

    def _loss(self, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss of a batch on this process's device, a scalar."""
        bf16 = uses_bf16(settings, self.context.device)
        device, alone = batch.lr.device.type, self.workers is None  # autocast's cache is shared by threads
        with torch.autocast(device, torch.bfloat16, enabled=bf16, cache_enabled=alone):
            field = self.trained(batch.lr, batch.scales())
        return batch_loss(field, batch, settings)

    def save(self, path: Path, identity: Mapping[str, Any], budget: Mapping[str, Any]) -> None:
        """Write everything that `restore` needs, atomically. Raises CheckpointError."""
        progress = {"step": self.step, "seconds": self.seconds, "best": self.best}
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        header = {"identity": identity, "budget": budget, "progress": progress}
        write_tensors(path, tensors, FORMAT, header)

    def restore(self, path: Path, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Restore what `save` wrote and return its budget.

        `settings` are the dataclasses in `identity`, by their names in it: a file older than one of their
        fields was written with the field's default.

        Raises TrainingError if the file cannot be read, or `identity` differs from what it was saved with.
        """
        try:
            tensors, header = read_tensors(path, FORMAT, "the state of a training to resume", LONGEST)
            saved = saved_state(path, tensors, header, [*settings])
        except CheckpointError as error:
            raise TrainingError(f"{error} To start a new training, leave resume=True out.") from error
        begun = saved.identity
        begun.setdefault("encoder_weights", identity.get("encoder_weights"))  # 0.1.0 did not record them
        for part, now in settings.items():
            newer = with_newer_settings(begun[part], now)
            begun[part] |= {name: value for name, value in newer.items() if name in identity[part]}
        differing = sorted(shortened(name, 60) for name in _differing(begun, identity))
        if differing:
            named = shortened(", ".join(differing), 500)
            raise TrainingError(
                f"The run in {path.parent} was started with other settings ({named}): resume it with those, "
                "which its settings.toml lists, or name another folder with out=."
            )
        try:
            self.model.load_state_dict(saved.model)
            self.average.load_state_dict(saved.average)
            self._restore_optimiser(saved.moments)
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{path} is not of the network that is trained here ({shortened(str(error))}). To start a "
                "new training, leave resume=True out."
            ) from error
        self.step, self.seconds = saved.progress.step, saved.progress.seconds
        self.best = saved.best
        return asdict(saved.budget)

    def _restore_optimiser(self, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Restore Adam's moments. Raises ValueError if they are not those of the trained parameters."""
        groups = self.optimiser.state_dict()["param_groups"]
        parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        for index, of_one in moments.items():
            if index >= len(parameters):
                raise ValueError(f"it has moments of a parameter {index}, and there are {len(parameters)}")
            for name, tensor in of_one.items():
                if tensor.shape != (() if name == "step" else parameters[index].shape):
                    raise ValueError(f"adam.{index}.{name} is {list(tensor.shape)}")
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})


def faster(model: Network, settings: TrainSettings, context: DistributedContext) -> nn.Module:
    """The model as it is called in training: recorded in CUDA graphs, compiled, or itself."""
    if settings.compile:
        return cast(nn.Module, torch.compile(model))
    alone = context.device.type == "cuda" and context.world_size == 1
    if settings.cuda_graph and alone and settings.accumulate == 1:
        autocast = torch.bfloat16 if uses_bf16(settings, context.device) else None
        try:
            return GraphedNetwork(model, settings.batch, settings.crop, autocast)
        except RuntimeError as error:
            if ran_out(error):
                raise
            log.warning("training without CUDA graphs, since this network cannot be recorded: %s", error)
    return model


def uses_bf16(settings: TrainSettings, device: torch.device) -> bool:
    """Whether the network's convolutions and matrix products are computed in bfloat16."""
    return settings.precision == "bfloat16" or (settings.precision == "auto" and fast_bf16(device))


def say_if_precision_is_slow(settings: TrainSettings, context: DistributedContext) -> None:
    """Log a warning if bfloat16 was asked for on a CPU on which it costs time."""
    if context.is_main_process and settings.precision == "bfloat16" and not fast_bf16(context.device):
        log.warning(
            "bfloat16 is slower than float32 on this CPU, which has no AMX, and many times slower without "
            "AVX-512: leave training.precision at 'auto'"
        )


def fast_bf16(device: torch.device) -> bool:
    """Whether training in bfloat16 is faster than in float32: on GPUs, and CPUs with AMX.

    With AVX512_BF16 alone it is not: convolutions by Winograd's algorithm in float32 are as fast.
    """
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)  # private, absent from old torch
    return device.type == "cuda" or has_amx()


def _differing(before: Any, now: Any, name: str = "") -> list[str]:
    """Dotted names of the entries in which two nested dictionaries differ."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [name] if before != now else []
    keys = before.keys() | now.keys()
    return [
        found
        for key in keys
        for found in _differing(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    ]
