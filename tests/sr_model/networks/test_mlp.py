"""MLPs give the same result over cells as over vectors, and can start at a constant."""

from __future__ import annotations

import torch

from sr_model.networks.mlp import (
    mlp,
    output_layer,
    per_cell_mlp,
    per_cell_trunk,
    per_gaussian,
    start_constant,
)


def test_an_mlp_over_cells_is_an_mlp_over_their_vectors() -> None:
    over_cells, over_vectors = per_cell_mlp(3, (8, 4), 2), mlp(3, (8, 4), 2)
    weights = over_vectors.state_dict()
    over_cells.load_state_dict({n: t[..., None, None] if t.ndim == 2 else t for n, t in weights.items()})
    cells = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(per_gaussian(over_cells(cells)), over_vectors(per_gaussian(cells)))


def test_gaussians_are_in_row_major_order() -> None:
    cells = torch.arange(6).view(1, 1, 2, 3)
    assert per_gaussian(cells).flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_a_trunk_without_widths_is_the_identity() -> None:
    cells = torch.rand(1, 3, 2, 2)
    assert torch.equal(per_cell_trunk(3, ())(cells), cells)


def test_a_constant_start_does_not_depend_on_the_input() -> None:
    network = mlp(3, (8,), 2)
    start_constant(output_layer(network), torch.tensor([1.0, -2.0]))
    assert torch.equal(network(torch.rand(5, 3)), torch.tensor([[1.0, -2.0]]).expand(5, 2))
