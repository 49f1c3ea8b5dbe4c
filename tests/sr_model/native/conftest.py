"""Calling a function with every instruction set, several threads, and other defaults of torch."""

from __future__ import annotations

import pytest
import torch

from sr_model.native import library


@pytest.fixture
def every_way():
    """A function that calls another in all these ways, and yields the results."""
    instruction_set, threads = library.instruction_set(), torch.get_num_threads()

    def results(function):
        for name in library.INSTRUCTION_SETS[: 1 + library.INSTRUCTION_SETS.index(instruction_set)]:
            library.set_instruction_set(name)
            for count in (1, 3):
                torch.set_num_threads(count)
                yield function()

    yield results
    library.set_instruction_set(instruction_set)
    torch.set_num_threads(threads)


@pytest.fixture
def with_other_defaults():
    """A function that calls another while new tensors of torch are float64 and have no memory."""

    def result(function):
        torch.set_default_dtype(torch.float64)
        try:
            with torch.device("meta"):
                return function()
        finally:
            torch.set_default_dtype(torch.float32)

    return result
