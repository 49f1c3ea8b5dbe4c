"""The version of all three packages, which share their releases."""

__version__ = "0.2.0.dev0"
