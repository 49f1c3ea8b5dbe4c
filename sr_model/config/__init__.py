"""Presets, TOML files and training settings."""
