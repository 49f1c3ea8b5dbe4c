"""Compiled libraries are found in the installed package and in a checkout."""

from __future__ import annotations

import os

from splat2d import native_library


def test_a_checkout_finds_the_library_that_was_built_last(monkeypatch, tmp_path):
    module = tmp_path / "cuda" / "splat2d" / "native_library.py"
    older, newer = (tmp_path / "build" / name / f"another{native_library.SUFFIX}" for name in ("a", "b"))
    for path in (older, newer):
        path.parent.mkdir(parents=True)
        path.touch()
    os.utime(older, (0, 0))
    monkeypatch.setattr(native_library, "__file__", str(module))
    assert list(native_library.library_paths("splat2d", "another")) == [newer, older]
