"""Implementations of rendering and fitting: `reference`, `cpu`, `cuda`, and `fallback` without a compiler."""
