"""From the features of LR pixels to the Gaussians of their cells, in float32 on the CPU, without gradients.

The layers that ContinuousSR (Peng et al.) applies to every cell, with its covariance weighting (Eq. 9), if
all of them are linear. The features of a cell exist only while it is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from . import library

BLENDINGS = ("cholesky", "covariance", "sqrt")
"""Spaces in which kernels are averaged, in the order of api.h."""


Layer = tuple[Tensor, Tensor | None]
"""Weights [outputs, inputs] and biases [outputs] of a linear layer."""


@dataclass(frozen=True)
class Layers:
    """What makes k x k cells with F features each of an LR pixel, and a Gaussian of each; all float32."""

    projection: Layer
    """From C features of an LR pixel to those of its cells, F k^2 in the order of `pixel_shuffle`."""
    colour: Layer
    """From F features to 3."""
    offset: Layer
    """From F features to 2, before the tanh."""
    query: Layer
    """From F features after a leaky ReLU to D."""
    entries: Tensor
    """[K, 3], the dictionary in the space in which its kernels are averaged."""
    keys: Tensor
    """[K, D], their keys."""

    def tensors(self) -> list[Tensor]:
        parts = (*self.projection, *self.colour, *self.offset, *self.query, self.entries, self.keys)
        return [part for part in parts if part is not None]


@dataclass(frozen=True)
class Limits:
    """What limits the colours, for each LR pixel, [B, 1, h, w] each: see `gaussians`."""

    varied: Tensor
    colourful: Tensor


@dataclass(frozen=True)
class Additions:
    """What is added to the colours of the heads before they are limited."""

    added: Tensor
    """[B, 3 k^2, h, w], of the cells in the order of `pixel_shuffle`."""
    start: Tensor
    """[B, 3, k h, k w], colours of which the share `replaced` is taken away."""
    replaced: Tensor
    """[]"""

    def of_cells(self) -> Tensor:
        """[B, 3, k h, k w]"""
        cells = self.start.shape[-1] // self.added.shape[-1]
        return F.pixel_shuffle(self.added, cells) - self.replaced * self.start


@dataclass(frozen=True)
class Gaussians:
    """Of the k x k cells of all LR pixels, N in row-major order, on the grid of the cells."""

    means: Tensor
    """[B, N, 2]"""
    cholesky: Tensor
    """[B, N, 3], divided by k."""
    colours: Tensor
    """[B, N, 3]"""
    largest: Tensor | None
    """[B, 1, h, w], the largest absolute colour of each LR pixel, or None: not known."""


def applies(pixels: Tensor, layers: Layers) -> bool:
    """Whether `gaussians` may be called with these tensors; what it is for else, torch must compute."""
    return library.applies_without_gradients(pixels, *layers.tensors())


def gaussians(
    pixels: Tensor,
    layers: Layers,
    places: tuple[Tensor, Tensor],
    *,
    blending: Literal["cholesky", "covariance", "sqrt"],
    smallest: float,
    drift: float,
    activated_offsets: bool,
    limits: Limits | None,
    additions: Additions | None = None,
) -> Gaussians:
    """Return the Gaussians of the cells.

    Args:
        pixels: [B, C, h, w] features.
        layers: the weights.
        places: x [k w] and y [k h] of the columns and rows of cells.
        blending: the space of `layers.entries`.
        smallest: least diagonal entry of a Cholesky factor before it is divided by k.
        drift: the largest offset from a place.
        activated_offsets: whether offsets see the features after a leaky ReLU, as queries do.
        limits: factors on what differs from the mean of a colour's channels (`colourful`), then on all of
            the colour (`varied`).
        additions: added to colours before.

    Raises:
        RuntimeError: if there is no library (`applies`).
    """
    pixels = pixels.permute(0, 2, 3, 1).contiguous()
    batch, height, width, inputs = pixels.shape
    features = layers.colour[0].shape[1]
    cells = math.isqrt(len(layers.projection[0]) // features)
    means, cholesky, colours = (
        pixels.new_empty(batch, cells * height * cells * width, size) for size in (2, 3, 3)
    )
    largest = pixels.new_empty(batch, 1, height, width)
    projection, projection_bias = (
        part.view(features, cells**2, -1).transpose(0, 1) for part in _with_bias(layers.projection)
    )
    heads = zip(*map(_with_bias, (layers.colour, layers.offset, layers.query)), strict=True)
    weights, biases = (torch.cat(parts) for parts in heads)
    given: dict[str, Tensor] = {
        "pixels": pixels,
        "projection": projection,
        "projection_bias": projection_bias,
        "heads": weights,
        "heads_bias": biases,
        "keys": layers.keys,
        "entries": layers.entries,
        "x": places[0],
        "y": places[1],
    }
    if limits is not None:
        given |= {"varied": limits.varied, "colourful": limits.colourful}
    if additions is not None:
        given |= {"added": additions.added.permute(0, 2, 3, 1), "start": additions.start.permute(0, 2, 3, 1)}
    given = {name: tensor.contiguous() for name, tensor in given.items()}
    made = {"means": means, "cholesky": cholesky, "colours": colours, "largest": largest}
    arguments = library.HeadsArguments(
        batch=batch,
        height=height,
        width=width,
        inputs=inputs,
        features=features,
        cells=cells,
        kernels=len(layers.keys),
        latent=layers.keys.shape[1],
        blending=BLENDINGS.index(blending),
        activated=activated_offsets,
        threads=torch.get_num_threads(),
        drift=drift,
        smallest=smallest,
        replaced=0.0 if additions is None else float(additions.replaced),
        **{name: tensor.data_ptr() for name, tensor in (given | made).items()},
    )
    library.call("heads", arguments)
    return Gaussians(**made)


def _with_bias(layer: Layer) -> tuple[Tensor, Tensor]:
    weights, bias = layer
    return weights, weights.new_zeros(len(weights)) if bias is None else bias
