"""An image rendered band by band is the image rendered whole, in the memory of a band."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from fields import awkward_inputs, random_inputs

from splat2d import GaussianField, render
from splat2d.backends import cpu
from splat2d.rendering import render_rows

PEAK = """
import resource, torch
from splat2d import GaussianField

torch.set_num_threads(2)
means = torch.rand(1, 200, 2) * 40
field = GaussianField(means, torch.tensor([1.0, 0.2, 1.0]).expand(1, 200, 3), torch.rand(1, 200, 1), (40, 40))
field.render((50, 50))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = 0.0
for top, band in field.render_bands((10_000, 10_000), budget=1 << 22):
    total += band.sum().item()
assert total > 0
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("size", [(150, 30), (17, 23)])
def test_any_rows_are_those_of_the_whole_image_to_the_bit(implementation, size):
    counts = torch.tensor([90, 31])
    inputs = random_inputs(2, 90, 3, size)
    whole = render(*inputs, size, counts=counts)
    for rows in ((0, size[0]), (0, 1), (3, 9), (5, 5), (size[0] - 2, size[0]), (7, size[0])):
        part = render_rows(*inputs, size, rows, counts=counts)
        assert torch.equal(part, whole[:, :, slice(*rows)]), rows


def test_awkward_gaussians_render_the_same_in_parts(implementation):
    inputs = awkward_inputs()
    whole = render(*inputs, (17, 23))
    parts = [render_rows(*inputs, (17, 23), (top, min(top + 3, 17))) for top in range(0, 17, 3)]
    assert torch.equal(torch.cat(parts, 2), whole)


def test_double_precision_renders_in_parts_too():
    inputs = tuple(t.double() for t in random_inputs(1, 20, 3, (17, 23)))
    part = render_rows(*inputs, (17, 23), (4, 11))
    assert torch.allclose(part, render(*inputs, (17, 23))[:, :, 4:11], rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", [(203, 110), (21, 30)])
def test_bands_are_the_whole_rendering_cut_and_hold_to_the_budget(size):
    field = GaussianField(*random_inputs(2, 90, 3, (40, 56)), size=(40, 56))
    whole = field.render(size)
    budget = 50_000
    tops = []
    for top, band in field.render_bands(size, budget=budget):
        assert torch.equal(band, whole[:, :, top : top + band.shape[2]])
        assert band.nbytes <= budget
        tops.append((top, band.shape[2]))
    assert sum(rows for _, rows in tops) == size[0]
    assert len(tops) > 1 or whole.nbytes <= budget


def test_streaming_takes_the_memory_of_a_band_not_of_the_image():
    if cpu.LIBRARY is None:
        pytest.skip("built without the C++ library")
    grown = int(subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True).stdout)
    assert grown < 150e6  # the image has 400 MB, a band 4; malloc keeps some for later


@pytest.mark.parametrize("rows", [(-1, 4), (3, 2), (0, 18)])
def test_rows_outside_the_image_are_refused(rows):
    with pytest.raises(ValueError, match="rows must be"):
        render_rows(*random_inputs(1, 2, 3, (17, 23)), (17, 23), rows)


def test_a_gaussian_that_cannot_be_rendered_is_named_by_its_index_among_all():
    means = torch.tensor([[[4.0, 2.0], [4.0, 30.0], [4.0, 31.0]]])
    cholesky = torch.tensor([1.0, 0.0, 1.0]).repeat(1, 3, 1)
    colors = torch.ones(1, 3, 1)
    colors[0, 2] = torch.nan
    field = GaussianField(means, cholesky, colors, (32, 8))
    with pytest.raises(ValueError, match="Gaussian 2 of row 0"):
        list(field.render_bands(budget=1))
    with pytest.raises(ValueError, match="Gaussian 2 of row 0"):
        field.render()


def test_a_mean_that_is_not_a_number_is_not_left_out_of_the_bands():
    means = torch.tensor([[[4.0, 2.0], [4.0, torch.nan]]])
    field = GaussianField(means, torch.tensor([1.0, 0.0, 1.0]).repeat(1, 2, 1), torch.ones(1, 2, 1), (32, 8))
    with pytest.raises(ValueError, match="Gaussian 1 of row 0"):
        list(field.render_bands(budget=1))
