"""The public surface of the package: `dir` shows every public name and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import splat2d

PUBLIC = ["DEFAULT_CUTOFF", "GaussianField", "backend", "imresize", "render"]


def test_dir_shows_exactly_the_public_names():
    assert dir(splat2d) == PUBLIC
    assert sorted(splat2d.__all__) == PUBLIC


def test_every_public_name_can_be_used():
    assert all(getattr(splat2d, name) is not None for name in PUBLIC)


def test_the_version_is_that_of_a_release_or_of_its_development():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", splat2d.__version__)


def test_importing_the_package_imports_no_torch():
    code = "import sys, splat2d; splat2d.__version__; print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == "False\n"


def test_functions_and_classes_show_an_example():
    for name in PUBLIC:
        if callable(getattr(splat2d, name)):
            assert ">>> " in getattr(splat2d, name).__doc__, name
