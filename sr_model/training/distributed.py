"""Training in several processes, as torchrun starts them: each goes through its share of every batch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: one decodes images or validates while the others do nothing."""


@dataclass(frozen=True)
class DistributedContext:
    """The processes that train together, seen from one of them."""

    device: torch.device
    """What this process computes on."""
    rank: int = 0
    """Its number. Only the first, number 0, writes files."""
    size: int = 1
    """How many there are."""

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def share(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over all processes after each backward pass."""
        if self.size == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.13's name for it is unknown to 2.6
            return DistributedDataParallel(
                module, devices, broadcast_buffers=False, gradient_as_bucket_view=True
            )

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Inside, a shared module's gradients add up and are not averaged yet."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def largest(self, *values: float) -> tuple[float, ...]:
        """The largest of each of the values that the processes bring."""
        if self.size == 1:
            return values
        together = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(together, distributed.ReduceOp.MAX)
        return tuple(together.tolist())

    def mean(self, value: Tensor) -> float:
        """The mean of the values that the processes bring, each a single number."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value.item() / self.size


def is_main_process() -> bool:
    """Whether this process is the one that writes files and speaks, before any world is joined."""
    return int(os.environ.get("RANK", 0)) == 0


@contextmanager
def init_process_group() -> Iterator[DistributedContext]:
    """The world that torchrun has started this process in, or else a world of this process alone."""
    size, rank, local = (int(os.environ.get(key, 0)) for key in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    on_gpu = torch.cuda.is_available()
    if size < 2:
        yield DistributedContext(torch.device("cuda" if on_gpu else "cpu"))
        return
    if on_gpu and local >= torch.cuda.device_count():
        raise ValueError(
            f"torchrun started process {local} on a machine with {torch.cuda.device_count()} GPUs: "
            "start one for each with --nproc-per-node."
        )
    device = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield DistributedContext(device, rank, size)
    finally:
        distributed.destroy_process_group()
