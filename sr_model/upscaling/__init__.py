"""Upscaling arrays and files with a network."""
