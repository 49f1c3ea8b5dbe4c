"""The exit statuses of all programs here, and how they end at a signal, when nobody reads what they print, or
when the memory is used up.

Imports nothing that takes time, so that a program can end in order from its start on.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

FAILED = 1
"""Exit status of a command that could not do its work."""

USAGE = 2
"""Exit status for options that are wrong or contradict each other; click's default."""

FINISHED_WITH_FAILURES = 3
"""Exit status of a command that finished, but skipped images or crops that it could not use."""

BY_SIGNAL = 128
"""Exit status of a command that a signal ends, less the number of the signal: the convention of shells."""

INTERRUPTED = BY_SIGNAL + signal.SIGINT
"""Exit status after Ctrl-C, 130."""

CLOSED_PIPE = BY_SIGNAL + 13
"""Exit status of a command whose output nobody reads any more, as of `| head -1`: that of SIGPIPE, 141."""

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a program as Ctrl-C does: of batch systems and `kill`, and of a terminal that closes."""

REPEATED = 2.0
"""Seconds in which further signals are taken for the same request: terminals and systemd send several."""

NO_MEMORY = (
    "the memory does not suffice: end other programs, or raise the limit of this shell ('ulimit -v'), "
    "container or batch job"
)
"""What is said where even a library or what a command keeps does not fit into memory."""

UNMAPPED = ("failed to map segment", "cannot allocate memory")
"""What the system's loader says of a library that does not fit into memory; glibc's words."""


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C's ends the program; all that handles Ctrl-C handles it, too."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def interruption(number: int) -> KeyboardInterrupt:
    """Return what is raised for a signal.

    >>> interruption(signal.SIGINT), interruption(signal.SIGTERM)
    (KeyboardInterrupt(), Ended('ended by SIGTERM'))
    """
    return KeyboardInterrupt() if number == signal.SIGINT else Ended(number)


def status_after(error: KeyboardInterrupt) -> int:
    """Return the exit status of a program that Ctrl-C or another signal ends.

    >>> status_after(KeyboardInterrupt()), status_after(Ended(signal.SIGTERM))
    (130, 143)
    """
    return BY_SIGNAL + (error.number if isinstance(error, Ended) else signal.SIGINT)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that the memory is used up.

    >>> lacks_memory(MemoryError()), lacks_memory(ImportError("libtorch.so: failed to map segment"))
    (True, True)
    >>> lacks_memory(ImportError("No module named 'torch'"))
    False
    """
    if isinstance(error, ImportError | OSError):
        return any(words in str(error).lower() for words in UNMAPPED)
    return isinstance(error, MemoryError)


@contextlib.contextmanager
def program() -> Iterator[None]:
    """As `interruptible`, for all of a program: a signal that comes while Python is ending changes no status.

    Libraries take a while to end. In this time a Ctrl-C, such as a second one, ends the program at once, with
    the status of Ctrl-C, as elsewhere; without this, Python would end by the signal itself, or go on with a
    traceback.
    """
    atexit.register(_ignore_signals)  # the first that is registered is the last that runs
    try:
        with interruptible():
            yield
    except KeyboardInterrupt as error:  # one more, which came while a line was printed about the first
        raise SystemExit(status_after(error)) from None
    finally:
        _at_signals(_end_at_once)


def _ignore_signals() -> None:
    _at_signals(signal.SIG_IGN)  # what follows is short, and Python replaces every handler but this one


def _at_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, *ENDING):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):  # or it is being written
            stream.flush()
    os._exit(BY_SIGNAL + number)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Make signals inside end the program with one line and their exit status, instead of a traceback.

    SIGTERM and SIGHUP, too, become exceptions, so that temporary files are removed; a signal that is ignored,
    as `nohup` has it, or handled otherwise stays so. A standard output or error output that is closed ends
    the program without a word; characters that it cannot show are spelt out. Memory that does not
    suffice, even to load a library, is one sentence.
    """
    _print_anything()
    before = _raise_at_signals()
    try:
        yield
    except KeyboardInterrupt as error:
        word = (
            f"Ended by {signal.Signals(error.number).name}." if isinstance(error, Ended) else "Interrupted."
        )
        _say(word)
        raise SystemExit(status_after(error)) from None
    except BrokenPipeError:
        if not output_is_closed():
            raise
        _write_nothing_more()
        raise SystemExit(CLOSED_PIPE) from None
    except (MemoryError, ImportError) as error:
        if not lacks_memory(error):
            raise
        detail = f" ({error})" if str(error) else ""
        _say(f"Error: {NO_MEMORY[0].upper()}{NO_MEMORY[1:]}{detail}.")
        raise SystemExit(FAILED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it, or can
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _print_anything() -> None:
    """Let the standard output, as the error output does, spell out characters that its encoding lacks.

    Names of files may be no text, and a terminal may know few characters: neither ends a run.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _raise_at_signals() -> dict[int, signal._HANDLER]:
    """Make the signals ENDING raise `Ended`, unless they do something else; return what they did."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    here, first = os.getpid(), 0.0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != here:  # a process that was forked ends as if it had no handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        now = time.monotonic()
        if not first or now > first + REPEATED:
            first = now
            raise Ended(number)

    default = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]
    return {number: signal.signal(number, on_signal) for number in default}


def output_is_closed() -> bool:
    """Whether the reader of the standard output or error output is gone."""
    if not hasattr(select, "poll"):  # Windows, where nothing else is known to break
        return True
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # not a file of the system
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _write_nothing_more() -> None:
    """Let what is still buffered go nowhere, or Python would complain about it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
