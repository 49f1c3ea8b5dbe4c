"""The version of all three packages, which are released together."""

__version__ = "0.2.0.dev0"
