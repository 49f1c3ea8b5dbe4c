"""Processes that run the packages of a checkout of this repository, for benchmarks with --against."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_WHERE = """
import dgp_mining, splat2d
print(splat2d.backend(), dgp_mining.__file__, splat2d.__file__, sep="\\n")
"""


def checkouts(against: Path | None) -> dict[str, Path]:
    """Return this checkout as "here", and the other as "against", if there is one.

    Exits with a sentence if the other's packages would not be those that run, or would render in another way.
    """
    here = Path(__file__).resolve().parents[2]
    renderer = _renderer(here)
    if not against:
        return {"here": here}
    if (other := _renderer(against.resolve())) != renderer:
        sys.exit(f"--against {against} renders with '{other}', this checkout with '{renderer}': build both.")
    return {"here": here, "against": against.resolve()}


def _renderer(checkout: Path) -> str:
    """Return the backend with which a checkout renders; exits if its packages cannot be imported."""
    command, environment = python_of(checkout)
    done = subprocess.run([*command, "-P", "-c", _WHERE], env=environment, capture_output=True, text=True)
    backend, *files = done.stdout.splitlines() or [""]
    if done.returncode or not all(Path(file).resolve().is_relative_to(checkout) for file in files):
        reason = (done.stderr.splitlines() or ["others are imported"])[-1]
        sys.exit(f"The packages dgp_mining and splat2d of {checkout} cannot be used ({reason}).")
    return backend


def python_of(checkout: Path) -> tuple[list[str], dict[str, str]]:
    """Return a command of Python and the environment in which it imports the packages of a checkout.

    Without `site` (-S): the hook that it installs for an editable installation goes before PYTHONPATH, and
    every checkout would run the installed packages.
    """
    ours = [str(checkout / "cuda"), str(checkout)]
    installed = [path for path in sys.path if path.rstrip("/").endswith(("site-packages", "dist-packages"))]
    paths = [*ours, *installed, *site.getsitepackages(), os.environ.get("PYTHONPATH", "")]
    return [sys.executable, "-S"], {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run(checkout: Path, *words: str, **variables: str) -> str:
    """Run a program with a checkout's packages and return what it prints; exits if it fails."""
    command, environment = python_of(checkout)
    done = subprocess.run([*command, *words], env=environment | variables, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{Path(words[0]).name}: the run with {checkout} failed.")
    return done.stdout


def start(checkout: Path, words: Sequence[str], **variables: str) -> subprocess.Popen[str]:
    """Start a program with a checkout's packages, whose stdin and stdout are pipes of text."""
    command, environment = python_of(checkout)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *words], env=environment | variables, stdin=pipe, stdout=pipe, text=True
    )
