"""Rendering of sums of 2D Gaussians, forward and backward, and the field type that holds them."""

import lazy_loader

from .version import __version__ as __version__

# The public names stand in __init__.pyi and are imported on first use: the package alone imports no torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
