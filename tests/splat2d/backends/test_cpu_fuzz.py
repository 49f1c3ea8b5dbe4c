"""Any input gives an error message or a finite image: never a crash, never a hang."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from dgp_mining import fit_image
from splat2d import render
from splat2d.backends import cpu

SEARCH = settings(max_examples=400, deadline=None, derandomize=True)

NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
awkward = st.sampled_from(
    [*NOT_FINITE, 0.0, -0.0, -1.0, 0.5, 4.0, 1e-45, 1e-15, -1e-15, 1e-6, 1e6, 1e15, -1e15, 1e16, 3.4e38]
)
near = st.floats(-30, 60, width=32)
number = st.one_of(near, near, st.floats(width=32), awkward)
in_range = st.one_of(near, st.sampled_from([0.0, 1e-45, 1e-15, -1e-15, 1e6, -1e6, 1e15, -1e15]))
positive = st.one_of(st.floats(2**-13, 50, width=32), st.sampled_from([1e-15, 1e-6, 1e-3, 1e3, 1e6, 1e15]))


@st.composite
def arbitrary_fields(draw):
    """A field of up to seven Gaussians with a size, counts and a cut-off; half of them are valid."""
    channels, n = draw(st.integers(1, 8)), draw(st.integers(0, 7))
    wrong = draw(st.sampled_from(["nothing"] * 4 + ["values", "counts", "size", "cutoff"]))
    value, diagonal = (number, number) if wrong == "values" else (in_range, positive)
    rows = [
        [draw(value), draw(value), draw(diagonal), draw(value), draw(diagonal), *[draw(value)] * channels]
        for _ in range(n)
    ]
    values = torch.tensor(rows, dtype=torch.float32).reshape(1, n, 5 + channels)
    counts, size, cutoff = None, [draw(st.integers(0, 40)), draw(st.integers(0, 40))], 3.33
    if wrong == "counts":
        counts = torch.tensor(
            [draw(st.one_of(st.integers(-2, 8), st.sampled_from([2**31, 2**62, -(2**62)])))]
        )
    elif wrong == "size":
        size[draw(st.integers(0, 1))] = draw(st.sampled_from([-1, 2**24 + 1, 2**40]))
    elif wrong == "cutoff":
        cutoff = draw(st.sampled_from([0.5, 12.0, 0.0, -1.0, 13.0, *NOT_FINITE]))
    return values, counts, tuple(size), cutoff


@st.composite
def possible_fields(draw):
    """Gaussians that can be rendered, however extreme, in an image of up to 40x40 pixels."""
    moderate = st.floats(-100, 100, width=32)
    scale = st.sampled_from([1e-6, 1e-3, 0.3, 1.0, 10.0, 1e4, 1e6])
    rows = [
        [draw(moderate), draw(moderate), draw(scale), draw(scale) * draw(st.floats(-2, 2)), draw(scale)]
        + [draw(moderate) for _ in range(3)]
        for _ in range(draw(st.integers(1, 7)))
    ]
    size = (draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    return torch.tensor(rows, dtype=torch.float32)[None], size


@pytest.fixture(scope="module")
def instruction_sets():
    """The instruction sets of this machine; the library's own choice is restored afterwards."""
    if cpu.LIBRARY is None:
        pytest.skip("built without the C++ library")
    chosen = cpu.instruction_set()
    available = []
    for name in cpu.INSTRUCTION_SETS:
        try:
            cpu.set_instruction_set(name)
        except ValueError:
            continue
        available.append(name)
    yield available
    cpu.set_instruction_set(chosen)


def on_each(instruction_sets, run):
    """The result of `run`, a list of tensors or None, on every instruction set: it must be the same."""
    results = []
    for name in instruction_sets:
        cpu.set_instruction_set(name)
        results.append(run())
    for name, result in zip(instruction_sets, results, strict=True):
        assert (result is None) == (results[0] is None), name
        if result is not None:
            for ours, portable in zip(result, results[0], strict=True):
                assert ((ours == portable) | (ours.isnan() & portable.isnan())).all(), name
    return results[0]


@SEARCH
@given(field=arbitrary_fields())
def test_anything_is_refused_in_a_sentence_or_renders_finite(instruction_sets, field):
    values, counts, size, cutoff = field

    def run():
        leaves = [t.clone().requires_grad_() for t in (values[..., :2], values[..., 2:5], values[..., 5:])]
        try:
            image = render(*leaves, size, counts=counts, cutoff=cutoff)
        except ValueError:
            event("refused")
            return None
        image.sum().backward()  # must end; a gradient may exceed what a float holds
        return [image.detach(), *(leaf.grad for leaf in leaves)]

    result = on_each(instruction_sets, run)
    if result is not None:
        assert torch.isfinite(result[0]).all()


@SEARCH
@given(field=possible_fields(), seed=st.integers(0, 100))
def test_gradients_of_extreme_gaussians_are_finite(instruction_sets, field, seed):
    values, size = field

    def run():
        leaves = [t.clone().requires_grad_() for t in (values[..., :2], values[..., 2:5], values[..., 5:])]
        image = render(*leaves, size)
        image.backward(torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)))
        return [image.detach(), *(leaf.grad for leaf in leaves)]

    assert all(torch.isfinite(t).all() for t in on_each(instruction_sets, run))


@SEARCH
@given(
    pixels=st.lists(st.one_of(st.floats(0, 1, width=32), awkward), min_size=1, max_size=12),
    size=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    channels=st.integers(1, 9),
    density=st.sampled_from([0.25, 0.25, 1.0, 4.0, 1e-3, 0.0, 1e9, float("nan")]),
    recipe=st.sampled_from(["fast", "lattice", "gaussianimage"]),
)
def test_any_image_is_refused_in_a_sentence_or_fitted_by_a_finite_field(
    pixels, size, channels, density, recipe
):
    image = np.resize(np.array(pixels, np.float32), (*size, channels))
    try:
        fit = fit_image(image, density=density, recipe=recipe, iterations=12)
    except ValueError:
        event("refused")
        return
    field = fit.field
    assert all(torch.isfinite(t).all() for t in (field.means, field.cholesky, field.colors))
    assert (field.cholesky[..., ::2] > 0).all()


@SEARCH
@given(
    rows=st.lists(st.lists(number, min_size=6, max_size=6), min_size=0, max_size=7),
    value=number,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    rate=st.sampled_from([1e-2, 1.0, 1e30, float("nan")]),
)
def test_the_fused_fast_fit_ends_for_any_parameters(instruction_sets, rows, value, size, rate):
    """Callers check their arguments, but a fit may diverge: memory must be safe for any parameters."""
    parameters = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6).T.contiguous()
    target = torch.full((1, *size), value)
    rates = torch.full((4, 3), rate)

    def run():
        state = [parameters.clone(), torch.zeros_like(parameters), torch.zeros_like(parameters)]
        settings = {"start": 0, "cutoff": 3.33, "min_sigma": 0.4, "betas": (0.8, 0.98), "epsilon": 1e-4}
        return [cpu.fit_fast(target, *state, rates, **settings), *state]

    on_each(instruction_sets, run)


@SEARCH
@given(
    rows=st.lists(st.lists(number, min_size=6, max_size=6), min_size=0, max_size=7),
    value=number,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    rate=st.sampled_from([1e-2, 1.0, 1e30, float("nan")]),
)
def test_the_fused_gaussianimage_fit_ends_for_any_parameters(instruction_sets, rows, value, size, rate):
    parameters = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6).T.contiguous()
    target, rates = torch.full((1, *size), value), torch.full((4,), rate)
    settings = {
        "start": 0,
        "cutoff": 3.33,
        "bound": (0.5, 0, 0.5),
        "betas": (0.98, 0.92, 0.99),
        "epsilon": 1e-8,
    }

    def run():
        state = [parameters.clone(), torch.zeros(4, *parameters.shape)]
        return [cpu.fit_gaussianimage(target, *state, rates, **settings), *state]

    on_each(instruction_sets, run)
