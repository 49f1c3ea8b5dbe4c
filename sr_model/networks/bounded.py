"""Building networks of bounded size: settings from a file may describe more than its weights could fill."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)


class TooLarge(ValueError):
    """A network has more parameters or buffers than it may have."""


_SAID_OF_SIZE = ("memory", "overflow", "negative dimension", "buffer size")


def is_of_size(error: Exception) -> bool:
    """Whether an error means that a tensor is too large to be made, for which torch has no class of its own.

    >>> is_of_size(RuntimeError("Storage size calculation overflowed with sizes=[4611686018427387904, 3]"))
    True
    >>> is_of_size(RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"))
    False
    """
    if isinstance(error, MemoryError | OverflowError):
        return True
    return isinstance(error, RuntimeError | TypeError) and any(
        words in str(error).lower() for words in _SAID_OF_SIZE
    )


@contextmanager
def bounded(numbers: int, parameters: int, buffer_bytes: int) -> Iterator[None]:
    """Let this thread build modules only up to a size; building stops at the first layer beyond it.

    The memory of that layer's weights was asked for then, but not yet used: they are drawn afterwards.

    Args:
        numbers: most numbers in all parameters together.
        parameters: most parameters: arrays of weights and of biases.
        buffer_bytes: most bytes of all buffers together.

    Raises:
        TooLarge: inside, by the layer that is beyond a limit.

    >>> with bounded(numbers=1000, parameters=10, buffer_bytes=0):
    ...     nn.Sequential(*(nn.Linear(10, 10) for _ in range(10**9)))
    Traceback (most recent call last):
    sr_model.networks.bounded.TooLarge: it has more than 10 arrays of weights and biases
    """
    thread, counted, held, used = threading.get_ident(), 0, 0, 0

    def on_parameter(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal counted, held
        if parameter is None or threading.get_ident() != thread:
            return
        counted, held = counted + parameter.numel(), held + 1
        if counted > numbers:
            raise TooLarge(f"it has more than {numbers:,} parameters")
        if held > parameters:
            raise TooLarge(f"it has more than {parameters:,} arrays of weights and biases")

    def on_buffer(module: nn.Module, name: str, buffer: Tensor | None) -> None:
        nonlocal used
        if buffer is None or threading.get_ident() != thread:
            return
        used += buffer.nbytes
        if used > buffer_bytes:
            raise TooLarge(f"its constants take more than {buffer_bytes / 1e6:,.0f} MB")

    hooks = (
        register_module_parameter_registration_hook(on_parameter),
        register_module_buffer_registration_hook(on_buffer),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
