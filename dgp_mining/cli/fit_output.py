"""What `dgp-mine fit` says, and writes into its log."""

from __future__ import annotations

import re
from pathlib import Path

import click

from ..estimate import Estimate
from ..planning.plan import Plan
from ..store.store import Store
from ..store.summary import summarise
from ..workers.messages import Progress
from .output import listed, say
from .progress import ProgressLine, duration
from .run_log import RunLog
from .store_output import status_text


class FitReport:
    """Speaks while `dgp-mine fit` runs, on stderr and into the log; mine's callbacks are its methods."""

    def __init__(self, log: Path) -> None:
        self.path = log
        self.store: Store | None = None
        self.log: RunLog | None = None
        self.noted: set[str] = set()

    def plan(self, plan: Plan, store: Store) -> None:
        """Say what there is to do. Raises RunError where the log cannot be written."""
        self.store, self.log = store, RunLog(self.path)
        before = int((~store.unfinished()).sum())
        self.log.start(plan, store, len(store) - before)
        say(describe_plan(plan))
        if before == len(store):
            say(f"{store.path} has all of them already.")
        elif before:
            say(f"{store.path} has {before:,} of them already; going on.")
        self.line = ProgressLine(len(store), before)

    def progress(self, progress: Progress) -> None:
        """Count what a chunk has added."""
        self.line.add(progress)
        self.log.chunk(progress)
        for note in progress.notes:
            kind = re.sub(r"\d+", "", note.partition(": ")[2])
            if kind not in self.noted:  # of a thousand images without their alpha channels one is enough
                self.noted.add(kind)
                self.line.interject(f"{note}. {self.path} names all images of which this is so.")

    def say(self, sentence: str) -> None:
        """Say what happens meanwhile, above the progress."""
        self.line.interject(sentence)
        self.log.write(sentence)

    def interrupted(self) -> None:
        """Say what is done and how to go on, after Ctrl-C."""
        if self.store is None:
            say("\nInterrupted before the first crop.")
            return
        unfinished = self.store.unfinished()
        text = (
            f"Interrupted: {int((~unfinished).sum()):,} of {len(unfinished):,} crops are in "
            f"{self.store.path}. The same command goes on from there."
        )
        say("\n" + text)
        self.log.end(text)

    def stopped(self, error: Exception) -> None:
        """Write down what has ended the run; to say it is the command's."""
        if self.log:
            self.log.end(f"stopped: {error}")

    def finished(self) -> bool:
        """Say what came out, on stdout; whether anything failed."""
        if self.line.done or self.line.failed:
            self.line.finish()
        summary = summarise(self.store)
        text = status_text(summary)
        click.echo(text)
        self.log.end(text)
        return bool(summary["failed"] or summary["skipped"])


def describe_plan(plan: Plan) -> str:
    """One line on what a plan comprises, and one more on each image that it leaves out."""
    side = plan.settings.crop
    used, all_images = len(set(plan.image.tolist())), len(plan.names)
    images = f"{used:,} images" if used == all_images else f"{used:,} of {all_images:,} images"
    text = f"{plan.crops:,} crops of {side}x{side} from {images} in {plan.folder}"
    return "\n".join([text, *listed([f"skipped: {problem}" for problem in plan.problems if problem])])


def estimate_text(estimated: Estimate, workers: int) -> str:
    """What --dry-run says after the plan."""
    return (
        f"{estimated.gaussians:,} Gaussians; about {duration(estimated.seconds / workers)} with {workers} "
        f"worker{'s' * (workers > 1)}; at most {estimated.nbytes / 1e6:,.1f} MB of disk"
    )
