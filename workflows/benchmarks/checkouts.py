"""Processes that run the packages of a checkout of this repository, for benchmarks with --against."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_WHERE = "import dgp_mining, splat2d; print(dgp_mining.__file__); print(splat2d.__file__)"


def checkouts(against: Path | None) -> dict[str, Path]:
    """Return this checkout as "here", and the other as "against", if there is one.

    Exits with a sentence if the other's packages would not be those that run.
    """
    here = Path(__file__).resolve().parents[2]
    found = {"here": here} | ({"against": against.resolve()} if against else {})
    for checkout in found.values():
        command, environment = python_of(checkout)
        done = subprocess.run([*command, "-P", "-c", _WHERE], env=environment, capture_output=True, text=True)
        files = [Path(line).resolve() for line in done.stdout.splitlines()]
        if done.returncode or not files or not all(file.is_relative_to(checkout) for file in files):
            sys.exit(f"--against: {checkout} has no packages dgp_mining and splat2d: name a built checkout.")
    return found


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
