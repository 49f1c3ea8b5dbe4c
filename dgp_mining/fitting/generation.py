"""The number of the fitting code, which tells stores whose crops were fitted by another."""

from __future__ import annotations

GENERATION = 1
"""To be raised by every change after which a crop is fitted to other bits with the same settings: between
two releases the version of the package does not tell. Stores made before it was recorded have 1."""
