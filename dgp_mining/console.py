"""What `dgp-mine` says to people."""

from __future__ import annotations

from typing import Any

import click

from .estimate import Estimate
from .mining import Progress
from .plan import Plan
from .progress import ProgressLine, duration
from .store import PENDING, Store
from .summary import summarise

MOST_LISTED = 10
"""Failures that are spelt out before the rest is only counted."""


class FitReport:
    """Speaks while `dgp-mine fit` runs, on stderr; mine's callbacks are its methods."""

    def __init__(self) -> None:
        self.store: Store | None = None

    def plan(self, plan: Plan, store: Store) -> None:
        """Say what there is to do."""
        self.store = store
        status = store.status()
        before = int((status != PENDING).sum())
        _say(describe_plan(plan))
        if before == plan.crops:
            _say(f"{store.path} has all of them already.")
        elif before:
            _say(f"{store.path} has {before:,} of them already; going on.")
        self.line = ProgressLine(plan.crops, before)

    def progress(self, progress: Progress) -> None:
        """Count what a chunk has added."""
        self.line.add(progress)

    def interrupted(self) -> None:
        """Say what is done and how to go on, after Ctrl-C."""
        if self.store is None:
            _say("\nInterrupted before the first crop.")
            return
        status = self.store.status()
        _say(
            f"\nInterrupted: {int((status != PENDING).sum()):,} of {len(status):,} crops are in "
            f"{self.store.path}. The same command goes on from there."
        )

    def finished(self) -> bool:
        """Say what came out, on stdout; whether anything failed."""
        if self.line.done or self.line.failed:
            self.line.finish()
        summary = summarise(self.store)
        click.echo(status_text(summary))
        return bool(summary["failed"] or summary["skipped"])


def describe_plan(plan: Plan) -> str:
    """One line on what a plan comprises, and one more on each image that it leaves out."""
    side = plan.settings["crop"]
    used, all_images = len(set(plan.image.tolist())), len(plan.names)
    images = f"{used:,} images" if used == all_images else f"{used:,} of {all_images:,} images"
    text = f"{plan.crops:,} crops of {side}x{side} from {images} in {plan.folder}"
    return "\n".join([text, *_listed([f"skipped: {problem}" for problem in plan.problems if problem])])


def estimate_text(estimated: Estimate, workers: int) -> str:
    """What --dry-run says after the plan."""
    return (
        f"{estimated.gaussians:,} Gaussians; about {duration(estimated.seconds / workers)} with {workers} "
        f"worker{'s' * (workers > 1)}; at most {estimated.nbytes / 1e6:,.1f} MB of disk"
    )


def status_text(summary: dict[str, Any]) -> str:
    """What `dgp-mine status` prints without --json."""
    settings = summary["settings"]
    lines = [
        f"{summary['store']}: {summary['done']:,} of {summary['crops']:,} crops done, "
        f"{summary['failed']:,} failed, {summary['pending']:,} pending "
        f"({duration(summary['seconds'])} of fitting)",
        f"images    {summary['images']}",
        f"settings  crop {settings['crop']}, density {settings['density']:g}, recipe {settings['recipe']}, "
        f"{settings['iterations']} iterations, seed {settings['seed']}",
    ]
    for label, key in (("psnr", "psnr"), ("off-lattice", "off_lattice_psnr")):
        if figures := summary[key]:
            spelt = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
            lines.append(f"{label:<12}{spelt} dB")
    lines += _listed([f"failed: {failure['error']}" for failure in summary["failures"]])
    lines += _listed([f"skipped: {skipped['error']}" for skipped in summary["skipped"]])
    return "\n".join(lines)


def dictionary_text(described: dict[str, Any]) -> str:
    """What `dgp-mine dictionary show` prints without --json."""
    ranges = ", ".join(f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in described["ranges"].items())
    lines = [
        f"{described['size']} kernels in units of one {described['units']}",
        f"ranges    {ranges}",
        f"smallest eigenvalue  {described['min_eigenvalue']:.3g}",
    ]
    if covered := described["coverage"]:
        lines.append(
            f"coverage of {covered['gaussians']:,} Gaussians "
            + (
                f"of {covered['held_out_crops']} held-out crops"
                if covered["held_out_crops"]
                else "it is made of"
            )
        )
        lines += [
            f"  {space:<11} {shares['dictionary']:6.1%}  (box corners {shares['box_corners']:.1%})"
            for space, shares in covered.items()
            if isinstance(shares, dict)
        ]
    known = {"size", "units", "ranges", "min_eigenvalue", "coverage", "format"}
    lines += [f"{key:<17} {value}" for key, value in described.items() if key not in known]
    return "\n".join(lines)


def _listed(sentences: list[str]) -> list[str]:
    """The first few of many, and how many more there are."""
    more = [f"... and {len(sentences) - MOST_LISTED:,} more"] if len(sentences) > MOST_LISTED else []
    return sentences[:MOST_LISTED] + more


def _say(text: str) -> None:
    click.echo(text, err=True)
