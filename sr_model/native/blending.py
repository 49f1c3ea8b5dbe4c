"""Covariance weighting in float32 on the CPU, without the weights of all cells in memory.

For every cell the mean of a dictionary's kernels, weighted by softmax(query . key) (ContinuousSR, Eq. 9). A
cell's weights exist only while it is computed; the gradients compute them again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import library


def applies(queries: Tensor, keys: Tensor, entries: Tensor) -> bool:
    """Whether `blended` may be called with these tensors; what it is for else, torch must compute."""
    return library.applies(queries, keys, entries) and keys.shape[1] > 0 and entries.shape[1] == 3


def blended(queries: Tensor, keys: Tensor, entries: Tensor) -> Tensor:
    """Return softmax(queries keys^T) entries: [..., D], [K, D] and [K, 3] to [..., 3], differentiable once.

    Raises RuntimeError if there is no library (`applies`).

    >>> queries, keys = torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.tensor([[1.0, 2.0], [-1.0, 0.0]])
    >>> kernels = torch.tensor([[1.0, 0.0, 1.0], [3.0, 0.0, 1.0]])
    >>> if applies(queries, keys, kernels):
    ...     assert blended(queries, keys, kernels).tolist() == [[2.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    """
    tensors = [tensor.contiguous() for tensor in (queries, keys, entries)]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _Blending.apply(*tensors)  # type: ignore[no-untyped-call]  # torch's
    return _forward(*tensors)


class _Blending(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, queries: Tensor, keys: Tensor, entries: Tensor) -> Tensor:
        made = _forward(queries, keys, entries)
        context.save_for_backward(queries, keys, entries, made)
        return made

    @staticmethod
    @once_differentiable
    def backward(context: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        queries, keys, entries, made = context.saved_tensors
        grad = grad.contiguous()
        grads = torch.empty_like(queries), torch.empty_like(keys)
        grad_entries = torch.empty_like(entries) if context.needs_input_grad[2] else None
        arguments = library.BlendBackwardArguments(
            **_sizes(queries, keys),
            queries=queries.data_ptr(),
            keys=keys.data_ptr(),
            entries=entries.data_ptr(),
            blended=made.data_ptr(),
            grad_blended=grad.data_ptr(),
            grad_queries=grads[0].data_ptr(),
            grad_keys=grads[1].data_ptr(),
            grad_entries=None if grad_entries is None else grad_entries.data_ptr(),
        )
        library.call("blend_backward", arguments)
        return *grads, grad_entries


def _forward(queries: Tensor, keys: Tensor, entries: Tensor) -> Tensor:
    made = queries.new_empty(*queries.shape[:-1], 3)
    arguments = library.BlendArguments(
        **_sizes(queries, keys),
        queries=queries.data_ptr(),
        keys=keys.data_ptr(),
        entries=entries.data_ptr(),
        blended=made.data_ptr(),
    )
    library.call("blend", arguments)
    return made


def _sizes(queries: Tensor, keys: Tensor) -> dict[str, int]:
    kernels, latent = keys.shape
    cells = queries.numel() // latent
    return {"cells": cells, "kernels": kernels, "latent": latent, "threads": torch.get_num_threads()}
