"""`dgp-mine doctor`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from ..command_line import FAILED, json_option, option
from ..terminal import count, printable
from .group import Command

if TYPE_CHECKING:
    from ..doctor import Diagnosis


@click.command(cls=Command)
@option("--clear-cache", is_flag=True, help="Empty the user's caches first.")
@json_option()
def doctor(clear_cache: bool, as_json: bool) -> None:
    """Show what a run will have on this machine.

    Software, memory, cores, compiled libraries, GPUs, caches and shipped files.

    Exit status 1: something that runs need is broken.
    """
    from ..doctor import clear_caches, diagnose

    if clear_cache:
        click.echo(f"Removed {clear_caches() / 1e6:,.1f} MB from the caches.", err=True)
    found = diagnose()
    click.echo(json.dumps(found.as_dict, indent=2) if as_json else printable(diagnosis_text(found)))
    if found.problems:
        sys.exit(FAILED)


NO_CACHES = (
    "no folder is found for them, as this user has no home folder: set the environment variable "
    "XDG_CACHE_HOME, or HOME, to a folder of the user's"
)


def diagnosis_text(found: Diagnosis) -> str:
    """Return what `dgp-mine doctor` prints."""
    from ..doctor import tightest

    memory, cores = tightest(found.memory), tightest(found.cores)
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    libraries = ", ".join(f"{name} {state}" for name, state in found.libraries.items())
    caches = [
        f"{cache.name} in {cache.folder}, {count(cache.files, 'file')}, {cache.nbytes / 1e6:,.1f} MB"
        for cache in found.caches
    ]
    if any(cache.files for cache in found.caches):
        caches.append("'dgp-mine doctor --clear-cache' empties them")
    if not found.home:
        caches.append(NO_CACHES)
    lines = {
        "versions": versions,
        "memory": f"{memory.free / 1e9:,.2f} GB can be used, limited by {memory.name} "
        f"({memory.total / 1e9:,.2f} GB)",
        "cores": f"{cores.free:,}, limited by {cores.name}",
        "C++ libraries": libraries,
        "GPUs": "; ".join(found.gpus) or "none visible",
        "not installed": "; ".join(
            f"{purpose} (pip install 'dgp-mining[{extra}]')" for extra, purpose in found.missing.items()
        ),
        "temporary files": found.temporary,
        "caches": "; ".join(caches),
        "shipped": ", ".join(f"{name} ({nbytes / 1e6:.2f} MB)" for name, nbytes in found.shipped.items()),
    }
    width = max(map(len, lines)) + 2
    shown = [f"{name + ':':{width}}{text}" for name, text in lines.items() if text]
    return "\n".join([*shown, *(f"Broken: {problem}" for problem in found.problems)])
