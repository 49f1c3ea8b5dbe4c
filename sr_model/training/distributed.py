"""Training in several processes started by torchrun: each computes its share of every batch."""

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

TIMEOUT = timedelta(hours=2)
"""How long processes wait for each other: one may decode images or validate while the others idle."""


@dataclass(frozen=True)
class DistributedContext:
    """The processes that train together, as seen by one of them."""

    device: torch.device
    """The device of this process."""
    rank: int = 0
    """The number of this process. Only rank 0, the main process, writes files."""
    world_size: int = 1
    """The number of processes."""

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module, in DistributedDataParallel if there are several processes.

        Its gradients are then averaged over all processes in each backward pass. Its buffers are not sent
        around: they are constant, or change alike in all processes (`Network.end_step`).
        """
        if self.world_size == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.13's name for it is unknown to 2.6
            return DistributedDataParallel(
                module, devices, broadcast_buffers=False, gradient_as_bucket_view=True
            )

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Context manager that accumulates gradients locally, without all-reduce (DDP's no_sync)."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def maximum(self, *values: float) -> tuple[float, ...]:
        """The maximum of each value over all processes; waits for all of them."""
        if self.world_size == 1:
            return values
        together = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(together, distributed.ReduceOp.MAX)
        return tuple(together.tolist())

    def keep_maximum(self, value: Tensor) -> None:
        """Replace a tensor by its maximum over all processes; waits for all of them but for no GPU."""
        if self.world_size > 1:
            distributed.all_reduce(value, distributed.ReduceOp.MAX)

    def mean(self, value: Tensor) -> float:
        """The mean over all processes of a tensor of one number."""
        if self.world_size > 1:
            distributed.all_reduce(value)
        return value.item() / self.world_size

    def barrier(self) -> None:
        """Wait for all processes."""
        self.maximum()


def is_main_process() -> bool:
    """Whether this process writes files and prints, also before its process group is initialised."""
    return int(os.environ.get("RANK", 0)) == 0


def started_by_torchrun() -> bool:
    """Whether torchrun started this process, alone or as one of several."""
    return distributed.is_torchelastic_launched()


@contextmanager
def init_process_group() -> Iterator[DistributedContext]:
    """Join torchrun's process group; if torchrun did not start this process, it trains alone.

    Raises ValueError if this machine has fewer GPUs than processes.
    """
    world_size, rank, local = (int(os.environ.get(key, 0)) for key in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    on_gpu = torch.cuda.is_available()
    if world_size < 2:
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
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=TIMEOUT)
    try:
        yield DistributedContext(device, rank, world_size)
    finally:
        distributed.destroy_process_group()
