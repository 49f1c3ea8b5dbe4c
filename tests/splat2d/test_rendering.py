"""`render` means the same in every backend, forward and backward."""

from __future__ import annotations

import pytest
import torch
from fields import AWKWARD, awkward_inputs, near_cutoff, random_inputs

from splat2d import render
from splat2d.backends import cpu, dense

SIZES = [(17, 23), (1, 1), (64, 40), (5, 130)]
needs_library = pytest.mark.skipif(cpu.LIBRARY is None, reason="built without the C++ library")


def compare(means, cholesky, colors, size, counts=None, cutoff=3.33, seed=0):
    """Output and gradients of `render` in float32 against dense float64's, off the cut-off's edge."""
    clear = ~near_cutoff(means, cholesky, size, cutoff)
    outputs, gradients = [], []
    weight = torch.randn(
        colors.shape[0], colors.shape[2], *size, generator=torch.Generator().manual_seed(seed)
    )
    weight = weight * clear[:, None]
    for dtype in (torch.float32, torch.float64):
        leaves = [t.detach().to(dtype).requires_grad_() for t in (means, cholesky, colors)]
        out = render(*leaves, size, counts=counts, cutoff=cutoff)
        (out * weight.to(dtype)).sum().backward()
        outputs.append(torch.where(clear[:, None], out.detach(), 0).double())
        gradients.append([leaf.grad.double() for leaf in leaves])
    scale = colors.abs().sum(1).max().item() + 1e-12
    assert (outputs[0] - outputs[1]).abs().max() <= 2e-6 * scale
    # Rounding a coordinate moves v = (dy - l21 dx / l11) / l22 in proportion to l21 / l22.
    condition = 1 + (cholesky[..., 1] / cholesky[..., 2]).abs().max().item() if cholesky.numel() else 1
    for ours, exact in zip(*gradients, strict=True):
        assert torch.isfinite(ours).all()
        if exact.numel():
            assert (ours - exact).abs().max() <= 2e-5 * exact.abs().max() + 5e-6 * condition


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_random_fields_agree_with_the_oracle(implementation, size, channels):
    compare(*random_inputs(2, 40, channels, size), size)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_gaussians_agree_with_the_oracle(implementation, name):
    compare(*awkward_inputs([name]), (17, 23))


def test_a_narrow_and_a_wide_cutoff_agree_with_the_oracle(implementation):
    for cutoff in (0.5, 6.0, 12.0):
        compare(*random_inputs(1, 20, 3, (17, 23)), (17, 23), cutoff=cutoff)


def test_ragged_rows_use_their_first_gaussians_only(implementation):
    means, cholesky, colors = random_inputs(3, 30, 3, (17, 23))
    counts = torch.tensor([0, 30, 11])
    compare(means, cholesky, colors, (17, 23), counts=counts)
    cholesky[0] = float("nan")  # an unused Gaussian is never looked at
    out = render(means, cholesky, colors, (17, 23), counts=counts)
    assert torch.equal(out[0], torch.zeros(3, 17, 23))
    assert torch.equal(out[2:], render(means[2:, :11], cholesky[2:, :11], colors[2:, :11], (17, 23)))


def test_empty_fields_images_and_batches_render(implementation):
    nothing = [torch.zeros(2, 0, k, requires_grad=True) for k in (2, 3, 3)]
    out = render(*nothing, (4, 5))
    assert torch.equal(out, torch.zeros(2, 3, 4, 5))
    out.sum().backward()
    assert nothing[0].grad.shape == (2, 0, 2)
    assert render(*random_inputs(2, 3, 3, (4, 5)), (0, 5)).shape == (2, 3, 0, 5)
    assert render(*(t[:0] for t in random_inputs(2, 3, 3, (4, 5))), (4, 5)).shape == (0, 3, 4, 5)


def test_non_contiguous_inputs_render_as_their_copies(implementation):
    means, cholesky, colors = random_inputs(2, 30, 4, (17, 23))
    strided = [t.transpose(0, 1).contiguous().transpose(0, 1) for t in (means, cholesky, colors)]
    assert not strided[0].is_contiguous()
    expected = render(means, cholesky, colors, (17, 23))
    assert torch.equal(render(*strided, (17, 23)), expected)
    leaves = [t.detach().requires_grad_() for t in strided]
    render(*leaves, (17, 23)).transpose(2, 3).square().sum().backward()  # a non-contiguous gradient
    exact = [t.detach().double().requires_grad_() for t in strided]
    render(*exact, (17, 23)).square().sum().backward()
    assert torch.allclose(leaves[0].grad.double(), exact[0].grad, rtol=1e-3, atol=1e-3)


def test_gradients_agree_with_finite_differences():
    means, cholesky, colors = (t.double() for t in random_inputs(1, 6, 2, (9, 11)))
    weight = torch.randn(1, 2, 9, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(*inputs):
        return (dense.render(*inputs, (9, 11), None, 12.0) * weight).sum()  # no edge within 12 sigma to cross

    leaves = [t.float().requires_grad_() for t in (means, cholesky, colors)]
    (render(*leaves, (9, 11), cutoff=12.0) * weight.float()).sum().backward()
    step = 1e-5
    for which, leaf in enumerate(leaves):
        flat = [means, cholesky, colors][which].reshape(-1)
        for i in range(flat.numel()):
            kept = flat[i].item()
            flat[i] = kept + step
            above = loss(means, cholesky, colors)
            flat[i] = kept - step
            below = loss(means, cholesky, colors)
            flat[i] = kept
            slope = (above - below) / (2 * step)
            assert leaf.grad.reshape(-1)[i].item() == pytest.approx(slope.item(), rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_rows_bits_depend_on_neither_batch_nor_threads(implementation, threads):
    size = (150, 90)
    inputs = random_inputs(3, 800, 3, size)
    alone = [t[1:2].clone().requires_grad_() for t in inputs]
    together = [t.clone().requires_grad_() for t in inputs]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        out = render(*alone, size)
        out.square().sum().backward()
        torch.set_num_threads(threads)
        batch = render(*together, size)
        batch.square().sum().backward()
    finally:
        torch.set_num_threads(before)
    assert torch.equal(batch[1:2], out)
    for leaf, whole in zip(alone, together, strict=True):
        assert torch.equal(whole.grad[1:2], leaf.grad)


def test_a_crop_of_the_canvas_renders_the_same_pixels(implementation):
    """Tiles and vector blocks leave no trace: moving the image under the field changes rounding only."""
    means, cholesky, colors = random_inputs(1, 300, 3, (60, 60))
    whole = render(means, cholesky, colors, (60, 60))
    window = render(means - torch.tensor([13.0, 7.0]), cholesky, colors, (30, 31))
    assert torch.allclose(window, whole[:, :, 7:37, 13:44], atol=2e-3)


@needs_library
def test_every_instruction_set_gives_the_same_bits():
    inputs = random_inputs(2, 200, 3, (70, 50))
    awkward = awkward_inputs()
    before = cpu.instruction_set()
    results = {}
    try:
        for name in cpu.INSTRUCTION_SETS:
            try:
                cpu.set_instruction_set(name)
            except ValueError:
                continue
            results[name] = [
                *(cpu.render(*fields, None, (70, 50), 3.33) for fields in (inputs, awkward)),
                *cpu.render_backward(torch.ones(2, 3, 70, 50), *inputs, None, 3.33),
                *cpu.render_backward(torch.ones(1, 3, 70, 50), *awkward, None, 3.33),
            ]
    finally:
        cpu.set_instruction_set(before)
    for name, tensors in results.items():
        for ours, portable in zip(tensors, results["portable"], strict=True):
            assert torch.equal(ours, portable), name


def test_torch_knows_the_operator():
    """Schema, fake tensors, autograd registration and torch.compile's tracing, by torch's own checker."""
    means, cholesky, colors = (t.requires_grad_() for t in random_inputs(2, 5, 3, (6, 7)))
    counts = torch.tensor([5, 3])
    torch.library.opcheck(
        torch.ops.splat2d.render.default, (means, cholesky, colors, counts, 6, 7, 3.33), rtol=1e-3, atol=1e-3
    )


def test_autocast_renders_in_single_precision():
    means, cholesky, colors = random_inputs(1, 20, 3, (17, 23))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = render(means, cholesky, colors.bfloat16(), (17, 23))
    assert out.dtype == torch.float32
    assert torch.equal(out, render(means, cholesky, colors.bfloat16().float(), (17, 23)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"means": torch.zeros(1, 4, 3)}, "means must be"),
        ({"cholesky": torch.ones(1, 5, 3)}, "cholesky must be"),
        ({"colors": torch.ones(1, 4, 9)}, "1 to 8 channels"),
        ({"size": (-1, 4)}, "size must be"),
        ({"cutoff": 0.0}, "cutoff must be"),
        ({"counts": torch.tensor([9])}, "counts must lie between"),
        ({"counts": torch.tensor([1.0])}, "counts must be int64"),
        ({"means": torch.full((1, 4, 2), float("nan"))}, "Gaussian 0 of row 0"),
        ({"cholesky": torch.tensor([[[1.0, 0, 1]] * 3 + [[1.0, 0, -1]]])}, "Gaussian 3 of row 0"),
        ({"colors": torch.full((1, 4, 3), float("inf"))}, "Gaussian 0 of row 0"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_a_sentence(implementation, change, sentence):
    arguments = {
        "means": torch.zeros(1, 4, 2),
        "cholesky": torch.tensor([1.0, 0.0, 1.0]).expand(1, 4, 3),
        "colors": torch.ones(1, 4, 3),
        "size": (4, 4),
        **change,
    }
    with pytest.raises(ValueError, match=sentence):
        render(**arguments)


def test_integers_are_refused_since_their_colours_would_be_hundreds():
    one = {"means": torch.ones(1, 1, 2), "cholesky": torch.ones(1, 1, 3), "colors": torch.ones(1, 1, 3)}
    for name in one:
        with pytest.raises(ValueError, match="must be floats, got"):
            render(**{**one, name: one[name].byte()}, size=(4, 4))
