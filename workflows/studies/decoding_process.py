"""A process in which pictures are decoded: it may crash, or hang and be stopped, without any harm."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from other_decoders import DECODERS, Picture


@dataclass(frozen=True)
class Answer:
    """What became of one file in one decoder."""

    picture: Picture | None
    """None if it could not be read."""
    error: str = ""
    """Why not."""
    printed: str = ""
    """What appeared on standard error."""


@contextlib.contextmanager
def standard_error(file: Any) -> Iterator[None]:
    """Send to a file what this process and the C libraries in it print on standard error."""
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def answer(name: str, path: Path) -> Answer:
    """Read a file with a decoder, in this process."""
    picture, error = None, ""
    with tempfile.TemporaryFile() as printed:
        with standard_error(printed), warnings.catch_warnings():
            warnings.simplefilter("always")
            try:
                read = DECODERS[name].read(path)
                if read.pixels.ndim != 3 or read.pixels.size == 0:
                    raise ValueError(f"gives an array of shape {read.pixels.shape}")
                picture = read
            except Exception as raised:  # every library has its own
                error = " ".join(str(raised).split()) or type(raised).__name__
        printed.seek(0)
        text = printed.read().decode(errors="replace").strip()
    return Answer(picture, error, text)


def serve(connection: Any) -> None:
    """Answer requests (name of a decoder, path) until the connection closes."""
    for standard in (1, 2):  # what libraries print when they like, and not while they are asked
        os.dup2(os.open(os.devnull, os.O_WRONLY), standard)
    with contextlib.suppress(EOFError):
        while True:
            connection.send(answer(*connection.recv()))


class Process:
    """A process that decodes; it is replaced after a crash, and when it takes longer than `limit` seconds."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, name: str, path: Path) -> Answer:
        """Read a file with a decoder."""
        try:
            self.connection.send((name, path))
            if self.connection.poll(self.limit):
                found: Answer = self.connection.recv()
                return found
            error = f"takes longer than {self.limit:g} s"
        except (EOFError, OSError):
            error = "its process has ended"
        self.close()
        self._start()
        return Answer(None, error)

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()
