"""The programs sr-train, sr-upscale, sr-eval and sr-convert.

Importing a command imports torch, which takes seconds. Ctrl-C, SIGTERM and SIGHUP in them end the program as
they do later: with one line and their exit status.
"""

from __future__ import annotations

from dgp_mining.exit_status import program
from dgp_mining.machine import available_cores


def sr_train() -> None:
    """Run sr-train."""
    with program():
        from .train import main

        _use_available_cores()
        main(prog_name="sr-train")


def sr_upscale() -> None:
    """Run sr-upscale."""
    with program():
        from .upscale import main

        _use_available_cores()
        main(prog_name="sr-upscale")


def sr_eval() -> None:
    """Run sr-eval."""
    with program():
        from .evaluate import main

        _use_available_cores()
        main(prog_name="sr-eval")


def sr_convert() -> None:
    """Run sr-convert."""
    with program():
        from .convert import main

        main(prog_name="sr-convert")


def _use_available_cores() -> None:
    """Let torch have no more threads than a container's quota has cores; torch knows the affinity alone.

    More of them would take turns, and all would wait when the quota is used up.
    """
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
