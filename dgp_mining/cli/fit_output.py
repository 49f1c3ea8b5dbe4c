"""The output and the log of `dgp-mine fit`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from ..callbacks import Callback
from ..command_line import in_options
from ..duration import duration
from ..estimate import Estimate
from ..machine import available_cores
from ..mining import Ahead
from ..planning.headers import is_copy, original_of
from ..planning.plan import Plan
from ..planning.settings import Settings
from ..prior.soundness import store_warnings
from ..store.store import Store
from ..store.summary import summarise
from ..terminal import ProgressLine, count, listed, notify
from ..workers.messages import Progress
from .images_output import every_one
from .progress import FitProgress
from .run_log import RunLog
from .store_output import copies_text, status_text, warning_lines

FIRST_LOOK = 32
"""Crops after which a run is first checked for warnings; then each time that they have doubled."""


class ConsoleCallback(Callback):
    """Prints the progress of a run on stderr and its result on stdout, and writes the log."""

    def __init__(self, log: Path) -> None:
        self.log = RunLog(log)
        self.store: Store | None = None
        self.line = FitProgress(0)
        self.planning = ProgressLine()
        """The progress until the run is planned."""
        self.noted: set[str] = set()
        self.warned: set[str] = set()
        """Keys of the warnings that are printed already."""
        self.next_look = FIRST_LOOK
        self.failed = False
        """Whether the run has finished with failures."""

    def on_progress(self, what: str, done: int, total: int) -> None:
        """Show the progress of the planning."""
        self.planning.count(what, done, total)

    def on_plan(self, plan: Plan, store: Store) -> None:
        """Print the plan. Raises RunError if the log cannot be written."""
        self.planning.clear()
        self.store = store
        self.log.on_plan(plan, store)
        before = int((~store.unfinished()).sum())
        notify(in_options(describe_plan(plan)))
        if before == len(store):
            notify(f"{store.path} has all of them already.")
        elif before:
            notify(f"{store.path} has {before:,} of them already; continuing.")
        self.line = FitProgress(len(store), before)

    def on_chunk(self, progress: Progress) -> None:
        """Count a finished chunk, and print new kinds of notes on its images."""
        self.line.add(progress)
        self.log.on_chunk(progress)
        for note in progress.notes:
            kind = re.sub(r"\d+", "", note.partition(": ")[2])
            if kind not in self.noted:  # a thousand images may have an alpha channel: one line is enough
                once = "" if self.noted else f" (Each note is shown once; {self.log.path} has all images.)"
                self.noted.add(kind)
                self.line.interject(f"{note}.{once}")
        self._look()

    def _look(self) -> None:
        """Print new warnings on the crops so far; those at the end are printed by `on_end`."""
        finished = self.line.before + self.line.done + self.line.failed
        if self.store is None or not self.next_look <= finished < self.line.crops:
            return
        self.next_look = 2 * finished
        found = store_warnings(self.store)
        for line in warning_lines({key: text for key, text in found.items() if key not in self.warned}):
            text = in_options(f"{line} (Of {count(finished, 'crop')} so far.)")
            self.line.interject(text)
            self.log.write(text)
        self.warned |= found.keys()

    def on_message(self, text: str) -> None:
        """Print a message above the progress."""
        self.line.interject(in_options(text))
        self.log.on_message(text)

    def on_undone(self, store: str) -> None:
        """Say that the store is the former one."""
        self.store = None
        self.on_message(f"Nothing was fitted, and {store} is the store that it was.")

    def on_end(self, store: Store) -> None:
        """Print the result on stdout."""
        if self.line.done or self.line.failed:
            self.line.finish()
        summary = summarise(store) | {"warnings": store_warnings(store)}
        text = in_options(status_text(summary))
        click.echo(text)
        self.log.end(text)
        self.failed = bool(summary["failed"] or summary["skipped"])

    def interrupted(self) -> None:
        """After Ctrl-C, print how many crops are done and how to continue."""
        self.planning.clear()
        if self.store is None:
            notify("\nInterrupted before the first crop.")
            return
        unfinished = self.store.unfinished()
        verb = "is" if len(unfinished) == 1 else "are"
        text = (
            f"Interrupted: {int((~unfinished).sum()):,} of {count(len(unfinished), 'crop')} {verb} in "
            f"{self.store.path}. The same command continues from there."
        )
        notify("\n" + text)
        self.log.end(text)

    def stopped(self, error: Exception) -> None:
        """Log the error that ended the run; the command prints it."""
        self.planning.clear()
        self.log.end(f"stopped: {error}")


def describe_plan(plan: Plan) -> str:
    """Describe a plan in one line, with others on the images and files that it leaves out."""
    side = plan.settings.crop
    used, all_images = len(set(plan.image.tolist())), len(plan.names)
    images = count(all_images, "image") if used == all_images else f"{used:,} of {all_images:,} images"
    text = f"{count(plan.crops, 'crop')} of {side}x{side} from {images} in {plan.folder}"
    problems = [
        (f"{plan.folder}/{name}", problem) for name, problem in zip(plan.names, plan.problems, strict=True)
    ]
    skipped = [(path, problem) for path, problem in problems if problem and not is_copy(problem)]
    pairs = zip(plan.names, plan.problems, strict=True)
    copies = {name: original_of(problem) for name, problem in pairs if is_copy(problem)}
    return "\n".join(
        [
            text,
            *every_one("skipped", skipped),
            *([f"{copies_text(copies)}."] if copies else []),
            *plan.notes,
        ]
    )


def describe_kinds(plan: Plan) -> str:
    """Describe how the images of a plan are read, in one line for those that are read alike."""
    kinds = sorted(plan.kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    return "\n".join(listed([f"{number:,} x {kind}" for kind, number in kinds]))


def ahead_text(store: str, ahead: Ahead) -> str:
    """Say what the store of a dry run has already; "" if it is to be made."""
    crops = ahead.done + ahead.failed + ahead.pending
    if not crops:
        return f"{store} would be replaced." if ahead.deletes else ""
    failed = f", {ahead.failed:,} failed" if ahead.failed else ""
    text = f"{store} has {count(crops, 'crop')}: {ahead.done:,} done{failed}, {ahead.pending:,} to fit"
    text += f"; {ahead.added:,} would be added." if ahead.added else "."
    return "\n".join([text, *map(in_options, ahead.notes)])


def estimate_text(estimated: Estimate, workers: int, settings: Settings) -> str:
    """Format the estimate that --dry-run prints at the end."""
    about = "at most" if settings.target_psnr else "about"
    time = duration(estimated.seconds / max(1, workers))
    cores, load = available_cores(), os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    now = f" (its load is {load:.0f} now, on {count(cores, 'core')})" if load > 1 + cores / 2 else ""
    return (
        f"{estimated.gaussians:,} Gaussians; {about} {time} with {count(workers, 'worker')} if nothing else "
        f"keeps the machine busy{now}; at most {estimated.nbytes / 1e6:,.1f} MB of disk"
    )
