"""The program dgp-mine, which a signal ends in order also while it is starting."""

from __future__ import annotations

from .exit_status import program


def dgp_mine() -> None:
    """Run dgp-mine."""
    with program():
        from .cli import main

        main(prog_name="dgp-mine")
