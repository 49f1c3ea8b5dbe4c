"""Rendering of sums of 2D Gaussians, forward and backward, and the field type that holds them."""

from .field import GaussianField
from .render import DEFAULT_CUTOFF, backend, render

__all__ = ["DEFAULT_CUTOFF", "GaussianField", "backend", "render"]
