"""sr-eval --suite: all test sets in a folder, as the tables of a paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dgp_mining.command_line import FINISHED_WITH_FAILURES, NewFile, in_options
from dgp_mining.terminal import ProgressLine, count, notify
from splat2d.atomic_write import atomic_write

from ..evaluation.protocol import Protocol
from ..evaluation.saved_pictures import SavedPictures
from ..evaluation.suite import SUITE_SCALES, Suite, installed_metrics
from ..evaluation.suite_tables import FORMATS, SUFFIXES
from ..evaluation.tables import scale_label
from ..upscaling.upscale import as_network
from .evaluate_output import SkippedLines, score_line


class TableFile(NewFile):
    """A file of tables, whose suffix names their form."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if Path(str(value)).suffix.lower() not in SUFFIXES:
            self.fail(f"{str(value)!r} ends in none of {', '.join(SUFFIXES)}.", param, ctx)
        return super().convert(value, param, ctx)


def evaluate_suite(
    model: Path | None,
    folder: Path,
    scales: Sequence[float] | None,
    protocol: Protocol,
    metrics: Sequence[str],
    form: str,
    files: Sequence[str],
    as_json: bool,
    save: SavedPictures | None = None,
) -> None:
    """Measure a network on all test sets in `folder`, and print tables in the `form` of FORMATS, or JSON.

    `files` receive tables too, anew after each set, and `save` the upscaled pictures. What was measured is
    printed and written whatever ends the evaluation. Figures of single images go to stderr. Exits with status
    3 if anything was skipped.
    """
    suite = Suite.find(folder, protocol, str(model or "reference"), "suite=")
    for one in suite.sets:
        notify(f"{one.label}: {one.folder}")
    if not metrics:
        metrics, missing = installed_metrics()
        suite.notes += missing
    net = as_network(model)
    line = ProgressLine()
    skipped = SkippedLines(line)
    said = 0
    before = ""
    try:
        results = suite.run(net, scales or SUITE_SCALES, metrics, save=save, on_skip=skipped, progress=line)
        for label, result in results:
            line.clear()
            if before not in ("", label):
                write_tables(suite, files)
            said = _say(suite.notes, said)
            name = f"{label}: {suite.reports[label].name(result.path)}"
            notify(score_line(scale_label(result.scale), name, result.score))
            before = label
    finally:
        line.clear()
        _say(suite.notes, said)
        suite.notes = [in_options(note) for note in suite.notes]
        if suite.reports:
            click.echo(json.dumps(suite.as_dict(), indent=2) if as_json else FORMATS[form](suite))
            write_tables(suite, files)  # last: what is printed must not depend on a disk that is full
    unmeasured = [one.label for one in suite.sets if one.label not in suite.reports]
    if skipped.all or unmeasured:
        parts = [f"sets not measured: {', '.join(unmeasured)}"] if unmeasured else []
        if images := {one.path for one in skipped.all if one.missing is None}:
            parts.append(f"skipped: {count(len(images), 'image')}")
        if missing := sorted({one.missing for one in skipped.all if one.missing}):
            parts.append(f"no {' and no '.join(missing)} of some images")
        notify(f"{'; '.join(parts)}. The means are over the others.")
        raise SystemExit(FINISHED_WITH_FAILURES)


def write_tables(suite: Suite, files: Sequence[str]) -> None:
    """Write the tables of what was measured so far to `files`, each in the form of its suffix.

    Raises click.ClickException, which names the file, if that is impossible.
    """
    for name in files:
        path = Path(name)
        try:
            with atomic_write(path) as partial:
                partial.write_text(FORMATS[SUFFIXES[path.suffix.lower()]](suite) + "\n", encoding="utf-8")
        except OSError as error:
            reason = error.strerror or error
            raise click.ClickException(f"{path} cannot be written ({reason}): name another file.") from error


def _say(notes: Sequence[str], said: int) -> int:
    """Print the notes after the first `said`; returns how many there are."""
    for note in notes[said:]:
        notify(in_options(note))
    return len(notes)
