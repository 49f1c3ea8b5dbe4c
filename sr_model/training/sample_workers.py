"""Steps whose bytes do not depend on the number of threads: a thread computes whole samples.

On the CPU, torch divides a single sum among its threads, in the gradients of convolutions and norms and in
some matrix products. Its rounding depends on how many threads there are, and grows from step to step. Here
one thread computes the gradient of a sample, and the gradients of the samples are added in order.

What still depends on the processor is stated in sr_model/README.md, "Reproducibility".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..config.training_settings import TrainSettings
from .distributed import DistributedContext
from .errors import TrainingError
from .samples import Batch


@contextmanager
def sample_workers(
    settings: TrainSettings, context: DistributedContext
) -> Iterator[ThreadPoolExecutor | None]:
    """Yield as many workers as torch has threads if the training is `deterministic`, otherwise None.

    Inside, torch uses a single thread in this thread and in those that start later.

    Raises:
        TrainingError: if a deterministic training is asked of a GPU or of several processes.
    """
    if not settings.deterministic:
        yield None
        return
    if context.device.type != "cpu" or context.world_size > 1:
        raise TrainingError(
            "training.deterministic is for one process on the CPU: leave it out on a GPU and in several "
            "processes."
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers:
            yield workers
    finally:
        torch.set_num_threads(threads)


def single_samples(batch: Batch) -> Iterator[Batch]:
    """Split a batch into its samples, in order."""
    start = 0
    for crops in batch.hr:
        for hr in crops:
            yield Batch(batch.lr[start : start + 1], (hr[None],))
            start += 1


def add_gradients(
    parameters: Sequence[nn.Parameter],
    loss: Callable[[Batch], Tensor],
    samples: Iterable[Batch],
    workers: ThreadPoolExecutor,
) -> Tensor:
    """Add the gradient of the samples' summed losses to that of the parameters, and return the sum, a scalar.

    `loss` maps a sample to a scalar, and may be called by several threads at once.
    """

    def differentiate(sample: Batch) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        value = loss(sample)
        return value.detach(), torch.autograd.grad(value, parameters, allow_unused=True)

    total = torch.zeros(())
    for value, gradients in workers.map(differentiate, samples):
        total += value
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None:
                continue
            parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)
    return total
