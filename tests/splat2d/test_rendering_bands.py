"""An image rendered band by band is the image rendered whole, in the memory of a band."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fields import awkward_inputs, random_inputs

from splat2d import GaussianField, render, row_bands
from splat2d.backends import cpu
from splat2d.rendering import render_rows

PEAK = """
import torch
from splat2d import GaussianField

def peak():  # not ru_maxrss, which starts at that of the process by which this one was started
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

torch.set_num_threads(2)
means = torch.rand(1, 200, 2) * 40
field = GaussianField(means, torch.tensor([1.0, 0.2, 1.0]).expand(1, 200, 3), torch.rand(1, 200, 1), (40, 40))
field.render((50, 50))
before = peak()
total = 0.0
for top, band in field.render_bands((10_000, 10_000), budget=1 << 22):
    total += band.sum().item()
assert total > 0
print((peak() - before) * 1024)
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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's peak there")
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


@pytest.mark.parametrize("normalised", [False, True])
def test_rows_that_many_gaussians_reach_are_rendered_in_parts_of_few(monkeypatch, normalised):
    means, cholesky, colors = random_inputs(2, 900, 3, (120, 16))
    field = GaussianField(means, 0.3 * cholesky, colors, (120, 16), averaged=False, normalised=normalised)
    whole, placed = field.render((240, 40)), []

    def counted(*arguments, **options):
        placed.append(arguments[0].shape[:2].numel())
        return render_rows(*arguments, **options)

    monkeypatch.setattr(row_bands, "MOST_AT_ONCE", 500)
    monkeypatch.setattr(row_bands, "RUN", 64)
    monkeypatch.setattr("splat2d.field.render_rows", counted)
    ((_, band),) = field.render_bands((240, 40))
    assert torch.equal(band, whole)
    assert len(placed) > 4
    assert max(placed) <= 500


def test_the_index_finds_all_gaussians_that_show_in_rows(monkeypatch):
    monkeypatch.setattr(row_bands, "RUN", 16)
    inputs = random_inputs(1, 90, 3, (60, 20))
    field = GaussianField(*inputs, (60, 20))
    index = field.row_index(2.0)
    for rows in ((0, 7), (50, 51), (113, 120)):
        near = index.reaching(rows)
        assert len(near) < 90
        away = torch.ones(90, dtype=torch.bool)
        away[near] = False
        without = field.only(away.nonzero()[:, 0]).render((120, 40))
        assert not without[:, :, slice(*rows)].any()
