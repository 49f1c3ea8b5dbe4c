"""The words of errors: click's in plain ones, those of the operating system as sentences."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator

import click

from .exit_status import FAILED

PLAIN = {
    r"is not a valid integer( range)?\.": "is not a whole number.",
    r"is not a valid float( range)?\.": "is not a number.",
    r"Got unexpected extra argument \((.*)\)": r"There is one argument too many: \1.",
    r"Got unexpected extra arguments \((.*)\)": r"There are too many arguments, from here on: \1.",
}
"""Messages of click (as regular expressions) -> the same in plain words."""


_ENDLESS = re.compile(r"[^\s/]{300,}")
"""What is longer than a name of a file can be."""

WHILE_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that only writing has."""


def reworded(error: click.ClickException, text: str, ctx: click.Context) -> click.ClickException:
    """Return an error of the same kind with another message."""
    if isinstance(error, click.BadParameter):
        return click.BadParameter(text, error.ctx or ctx, error.param, error.param_hint)
    return click.UsageError(text, ctx) if isinstance(error, click.UsageError) else click.ClickException(text)


def plain(text: str) -> str:
    """Return a message of click in plain words, and what it repeats only as far as one can read it.

    >>> plain("'1" + 5000 * "0" + "' is not a valid integer.")
    "'10000000000000000000000 ... is not a whole number."
    """
    for pattern, words in PLAIN.items():
        text = re.sub(pattern, words, text)
    return _ENDLESS.sub(lambda word: f"{word[0][:24]} ...", text)


def sentence(error: BaseException) -> str:
    """Return the message of an error, ending in a full stop.

    >>> sentence(ValueError("No such crop")), sentence(FileNotFoundError(2, "No such file", "a.npz"))
    ('No such crop.', 'a.npz: No such file.')
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if isinstance(error.filename, str | bytes):
            text = f"{os.fsdecode(error.filename)}: {text}"
        elif error.errno in WHILE_WRITING:  # the standard output: all other files are named
            text = f"The output cannot be written ({text})"
    return text if text.endswith((".", "!", "?")) else text + "."


@contextlib.contextmanager
def system_errors_in_words() -> Iterator[None]:
    """Print an error of the system that nothing else has foreseen, such as of a full disk that takes the
    standard output, as one sentence, and exit with status 1."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.strerror is None:  # one that a library made up
            raise
        click.echo(f"Error: {sentence(error)}", err=True)
        raise SystemExit(FAILED) from None
