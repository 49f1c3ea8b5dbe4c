"""The programs sr-train, sr-upscale, sr-eval and sr-convert.

Importing a command imports torch, which takes seconds. Ctrl-C, SIGTERM and SIGHUP in them end the program as
they do later: with one line and their exit status.
"""

from __future__ import annotations

from dgp_mining.exit_status import interruptible


def sr_train() -> None:
    """Run sr-train."""
    with interruptible():
        from .train import main

        main(prog_name="sr-train")


def sr_upscale() -> None:
    """Run sr-upscale."""
    with interruptible():
        from .upscale import main

        main(prog_name="sr-upscale")


def sr_eval() -> None:
    """Run sr-eval."""
    with interruptible():
        from .evaluate import main

        main(prog_name="sr-eval")


def sr_convert() -> None:
    """Run sr-convert."""
    with interruptible():
        from .convert import main

        main(prog_name="sr-convert")
