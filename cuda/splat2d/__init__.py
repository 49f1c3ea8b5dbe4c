"""Differentiable rendering of sums of 2D Gaussians, and `GaussianField`, which holds them."""

import lazy_loader

from .version import __version__ as __version__

# The public names are listed in __init__.pyi and imported on first use: importing this imports no torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
