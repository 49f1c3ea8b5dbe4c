"""The CUDA kernels give the CPU's bits: run on the CPU, lane by lane, and on a GPU if the machine has one."""

from __future__ import annotations

import pytest
import torch
import warp_shim
from fields import AWKWARD, awkward_inputs, near_cutoff, random_inputs

from splat2d.backends import cpu, cuda, cuda_launch, dense

CUTOFF = 3.33
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="session")
def shim_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("warp_shim")


@pytest.fixture
def on_cpu(monkeypatch, shim_folder):
    """Kernels launched here run on the CPU."""
    if warp_shim.COMPILER is None:
        pytest.skip("no g++ to compile the host shim with")
    monkeypatch.setattr(cuda_launch, "launcher", warp_shim.host_launcher(shim_folder))
    return torch.device("cpu")


@pytest.fixture(params=["shim", pytest.param("cuda", marks=needs_gpu)])
def device(request):
    """The device of the kernels: the CPU through the shim, or a GPU."""
    return torch.device("cuda") if request.param == "cuda" else request.getfixturevalue("on_cpu")


def to(device, *tensors):
    return tuple(None if t is None else t.to(device) for t in tensors)


def compare(device, inputs, size, counts=None, cutoff=CUTOFF):
    """Output and gradients against dense float64, off the cut-off's edge, and the CPU's bits."""
    clear = ~near_cutoff(*inputs[:2], size, cutoff)[:, None]
    weight = torch.randn(
        inputs[2].shape[0], inputs[2].shape[2], *size, generator=torch.Generator().manual_seed(0)
    )
    weight = (weight * clear).contiguous()
    *placed, used, grad = to(device, *inputs, counts, weight)
    out = cuda.render(*placed, used, size, cutoff).cpu()
    gradients = to("cpu", *cuda.render_backward(grad, *placed, used, cutoff))

    leaves = [t.double().requires_grad_() for t in inputs]
    exact = dense.render(*leaves, size, counts, cutoff)
    (exact * weight).sum().backward()
    scale = inputs[2].abs().sum(1).max().item() + 1e-12
    assert torch.where(clear, out - exact.detach(), 0).abs().max() <= 2e-6 * scale
    # Rounding a coordinate moves v = (dy - l21 dx / l11) / l22 in proportion to l21 / l22.
    condition = 1 + (inputs[1][..., 1] / inputs[1][..., 2]).abs().nan_to_num().max().item()
    for ours, leaf in zip(gradients, leaves, strict=True):
        assert (ours - leaf.grad).abs().max() <= 2e-5 * leaf.grad.abs().max() + 5e-6 * condition

    if cpu.LIBRARY is not None:
        assert torch.equal(out, cpu.render(*inputs, counts, size, cutoff))
        backward = cpu.render_backward(weight, *inputs, counts, cutoff)
        for ours, expected in zip(gradients, backward, strict=True):
            assert torch.equal(ours, expected)


@pytest.mark.parametrize("size", [(17, 23), (1, 1), (40, 70), (5, 130)])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_random_fields_agree_with_the_oracle_and_with_the_cpu_to_the_bit(device, size, channels):
    compare(device, random_inputs(2, 40, channels, size), size)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_gaussians_agree_with_the_oracle_and_with_the_cpu_to_the_bit(device, name):
    compare(device, awkward_inputs([name]), (17, 23))


@pytest.mark.parametrize("cutoff", [0.5, 6.0, 12.0])
def test_narrow_and_wide_cutoffs_agree_with_the_oracle(device, cutoff):
    compare(device, random_inputs(1, 20, 3, (17, 23)), (17, 23), cutoff=cutoff)


def test_ragged_rows_use_their_first_gaussians_only(device):
    inputs = random_inputs(4, 70, 3, (17, 23))
    compare(device, inputs, (17, 23), counts=torch.tensor([0, 70, 33, 1]))
    inputs[1][0] = float("nan")  # an unused Gaussian is never looked at
    used = torch.tensor([0, 70, 33, 1])
    out = cuda.render(*to(device, *inputs, used), (17, 23), CUTOFF)
    assert torch.isfinite(out).all()


def test_no_gaussian_is_dropped_when_thousands_meet_in_one_tile(device):
    """More groups of 1,024 than a warp tests at once, all of them over the same few pixels."""
    generator = torch.Generator().manual_seed(1)
    n, size = 33 * 1024 + 7, (6, 9)
    means = 4 + 0.3 * torch.randn(1, n, 2, generator=generator)
    cholesky = torch.tensor([0.8, 0.2, 0.7]).expand(1, n, 3).contiguous()
    colors = torch.rand(1, n, 1, generator=generator)
    out = cuda.render(*to(device, means, cholesky, colors), None, size, CUTOFF).cpu()
    exact = dense.render(means.double(), cholesky.double(), colors.double(), size, None, CUTOFF)
    clear = ~near_cutoff(means, cholesky, size, CUTOFF)[:, None]
    assert clear.sum() > 20
    assert ((out - exact).abs() <= 1e-5 * exact)[clear].all()  # one of them is 3e-5 of the sum
    if cpu.LIBRARY is not None:
        assert torch.equal(out, cpu.render(means, cholesky, colors, None, size, CUTOFF))


def test_a_grid_in_row_order_loses_nothing_to_the_boxes_that_skip_most_of_it(device):
    size, step = (48, 64), 1.2
    y, x = torch.meshgrid(torch.arange(40) * step + 0.3, torch.arange(53) * step + 0.3, indexing="ij")
    means = torch.stack([x.reshape(-1), y.reshape(-1)], -1)[None]
    _, cholesky, colors = random_inputs(1, means.shape[1], 3, size)
    compare(device, (means, 0.4 * cholesky, colors), size)


@pytest.mark.parametrize("rows", [(0, 17), (3, 9), (8, 12), (16, 17), (5, 5)])
def test_a_band_of_rows_is_that_part_of_the_image(device, rows):
    inputs = to(device, *random_inputs(2, 60, 3, (17, 23)))
    whole = cuda.render(*inputs, None, (17, 23), CUTOFF)
    assert torch.equal(cuda.render(*inputs, None, (17, 23), CUTOFF, rows), whole[:, :, slice(*rows)])


def test_empty_fields_images_and_batches_render(device):
    nothing = to(device, *(torch.zeros(2, 0, k) for k in (2, 3, 3)))
    assert torch.equal(cuda.render(*nothing, None, (4, 5), CUTOFF).cpu(), torch.zeros(2, 3, 4, 5))
    gradients = cuda.render_backward(torch.ones(2, 3, 4, 5, device=device), *nothing, None, CUTOFF)
    assert [g.shape for g in gradients] == [(2, 0, 2), (2, 0, 3), (2, 0, 3)]
    some = to(device, *random_inputs(2, 3, 3, (4, 5)))
    assert cuda.render(*some, None, (0, 5), CUTOFF).shape == (2, 3, 0, 5)
    assert cuda.render(*(t[:0] for t in some), None, (4, 5), CUTOFF).shape == (0, 3, 4, 5)


@pytest.mark.parametrize("spoil", ["mean", "diagonal", "color", "count"])
def test_what_cannot_be_rendered_makes_its_row_nan_and_no_other(device, spoil):
    means, cholesky, colors = random_inputs(3, 40, 3, (9, 11))
    counts = torch.tensor([40, 40, 40])
    if spoil == "mean":
        means[1, 35, 0] = float("nan")
    elif spoil == "diagonal":
        cholesky[1, 2, 2] = -1.0
    elif spoil == "color":
        colors[1, 0, 1] = float("inf")
    else:
        counts[1] = 41
    *inputs, used = to(device, means, cholesky, colors, counts)
    out = cuda.render(*inputs, used, (9, 11), CUTOFF)
    gradients = cuda.render_backward(torch.ones_like(out), *inputs, used, CUTOFF)
    for tensor in (out, *gradients):
        assert tensor[1].isnan().all()
        assert tensor[[0, 2]].isfinite().all()


def test_a_rows_bits_depend_on_neither_batch_nor_run(device):
    size = (30, 45)
    inputs = to(device, *random_inputs(3, 200, 3, size))
    grad = torch.randn(3, 3, *size, generator=torch.Generator().manual_seed(2)).to(device)
    together = (cuda.render(*inputs, None, size, CUTOFF), *cuda.render_backward(grad, *inputs, None, CUTOFF))
    row = [t[1:2].contiguous() for t in inputs]
    for _ in range(2):
        alone = (
            cuda.render(*row, None, size, CUTOFF),
            *cuda.render_backward(grad[1:2].contiguous(), *row, None, CUTOFF),
        )
        for one, all_rows in zip(alone, together, strict=True):
            assert torch.equal(one, all_rows[1:2])


def test_fast_fits_of_a_batch_are_those_of_the_cpu_to_the_bit(device):
    if cpu.LIBRARY is None:
        pytest.skip("built without the C++ library")
    crops, n, size = 2, 70, (20, 26)
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(crops, 3, *size, generator=generator)
    root = torch.tensor([[1.2], [0.1], [0.9]]) + 0.2 * torch.rand(crops, 3, n, generator=generator)
    means = torch.rand(crops, 2, n, generator=generator) * torch.tensor([[26.0], [20.0]])
    parameters = torch.cat([means, root, torch.rand(crops, 3, n, generator=generator)], 1)
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    rates = torch.rand(6, 3, generator=generator) * torch.tensor([0.1, 0.05, 0.05])
    settings = {"cutoff": CUTOFF, "min_sigma": 0.8, "betas": (0.8, 0.98), "epsilon": 1e-4}
    settings["opposed"] = 0.3

    state = [t.clone() for t in (parameters, first, second)]
    expected = torch.empty(crops, 6, dtype=torch.float64)
    for crop in range(crops):
        rows = [t[crop] for t in state]
        for begin in (0, 4):
            block = rates[begin : begin + 4].contiguous()
            expected[crop, begin : begin + 4] = cpu.fit_fast(
                target[crop], *rows, block, start=begin, **settings
            )

    ours = list(to(device, parameters, first, second))
    losses = [
        cuda.fit_fast(target.to(device), *ours, rates[begin : begin + 4], start=begin, **settings)
        for begin in (0, 4)
    ]
    assert torch.allclose(torch.cat(losses, 1).cpu(), expected, rtol=1e-6)
    for name, mine, cpus in zip(("parameters", "first", "second"), ours, state, strict=True):
        assert torch.equal(mine.cpu(), cpus), name


def test_gaussianimage_fits_of_a_batch_are_those_of_the_cpu_to_the_bit(device):
    if cpu.LIBRARY is None:
        pytest.skip("built without the C++ library")
    crops, n, size = 2, 70, (20, 26)
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(crops, 3, *size, generator=generator)
    parameters = torch.randn(
        crops, 8, n, generator=generator
    )  # some of the diagonal negative, colours beyond 1
    parameters[0, 2, 0] = -0.4995
    rates = 0.02 * torch.rand(6, generator=generator)
    settings = {"cutoff": CUTOFF, "bound": (0.5, 0.0, 0.5), "betas": (0.98, 0.92, 0.99), "epsilon": 1e-8}

    theirs = [parameters.clone(), torch.zeros(crops, 4, 8, n)]
    ours = list(to(device, parameters.clone(), torch.zeros(crops, 4, 8, n)))
    for begin in (0, 4):
        block = rates[begin : begin + 4].contiguous()
        losses = cuda.fit_gaussianimage(target.to(device), *ours, block, start=begin, **settings)
        for crop in range(crops):
            rows = [t[crop] for t in theirs]
            expected = cpu.fit_gaussianimage(target[crop], *rows, block, start=begin, **settings)
            assert torch.allclose(losses[crop].cpu(), expected, rtol=1e-6)
    assert not torch.equal(theirs[0], parameters)
    for name, mine, cpus in zip(("parameters", "state"), ours, theirs, strict=True):
        assert torch.equal(mine.cpu(), cpus), name


@needs_gpu
def test_render_on_a_gpu_is_differentiable_and_agrees_with_the_cpu():
    from splat2d import render

    inputs = random_inputs(2, 300, 3, (64, 40))
    results = []
    for where in ("cpu", "cuda"):
        leaves = [t.detach().to(where).requires_grad_() for t in inputs]
        out = render(*leaves, (64, 40))
        out.square().sum().backward()
        results.append([out.detach().cpu(), *(leaf.grad.cpu() for leaf in leaves)])
    for on_cpu, on_gpu in zip(*results, strict=True):
        assert torch.equal(on_cpu, on_gpu)
