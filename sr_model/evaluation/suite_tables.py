"""The tables of a suite: a network beside bicubic interpolation and published methods, by set and scale.

As Markdown and LaTeX, one table for each set: PSNR and SSIM, and one more for each perceptual metric. As CSV,
one line for each figure.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .published import Published, Source, published
from .suite import Suite
from .tables import EvaluationReport, markdown_table, scale_label

NONE = "–"
"""Cell of a figure that is not known."""
MARK = "*"
"""Mark of a figure that was measured otherwise than ours, or on other images."""


@dataclass(frozen=True)
class Figure:
    """One figure of a table."""

    set: str
    """Label of the test set."""
    scale: str
    """Label of the scale, such as x4."""
    metric: str
    """psnr, ssim, lpips, dists or fid."""
    method: str
    """The network's name, "bicubic", or the published method."""
    value: float
    """The figure; PSNR in dB."""
    protocol: str
    """Name of its protocol."""
    comparable: bool
    """Whether it was measured as ours are, and on the same images by their number."""
    images: int | None
    """Number of images that it is the mean over; None if published."""
    source: Source | None
    """Where it was published; None for ours."""


def figures(suite: Suite) -> Iterator[Figure]:
    """All figures: ours, and the published ones at the measured scales and metrics."""
    names = {one.label: one.set.name for one in suite.sets}
    for label, report in suite.reports.items():
        ours = list(_ours(label, report, suite))
        measured = {(one.scale, one.metric) for one in ours}
        yield from (one for one in ours if one.method == "bicubic")
        for row in published():
            scale = scale_label(row.scale)
            if row.set == names[label]:
                whole = suite.is_whole(label, scale)
                for metric, value in row.figures.items():
                    if (scale, metric) in measured:
                        comparable = whole and row.comparable(suite.protocol, metric)
                        yield _of_row(row, label, metric, value, comparable)
        yield from (one for one in ours if one.method != "bicubic")


def _of_row(row: Published, label: str, metric: str, value: float, comparable: bool) -> Figure:
    method = "bicubic, as published" if row.method == "bicubic" else row.method
    return Figure(
        label, scale_label(row.scale), metric, method, value, row.protocol, comparable, None, row.source
    )


def _ours(label: str, report: EvaluationReport, suite: Suite) -> Iterator[Figure]:
    counts, protocol = report.counts(), suite.protocol.name
    means: dict[str, dict[str, tuple[float, float]]] = {
        scale: {"psnr": (one.psnr, one.bicubic_psnr), "ssim": (one.ssim, one.bicubic_ssim)}
        for scale, one in report.means().items()
    }
    for scale, further in report.perceptual_means().items():
        means.setdefault(scale, {}).update(further)
    for scale in sorted(means, key=lambda name: float(name[1:])):
        for metric, pair in means[scale].items():
            for method, value in zip((suite.model, "bicubic"), pair, strict=True):
                yield Figure(label, scale, metric, method, value, protocol, True, counts.get(scale), None)


@dataclass(frozen=True)
class Table:
    """A table of text."""

    title: str
    head: list[str]
    rows: list[list[str]]


def tables(suite: Suite) -> tuple[list[Table], list[Source]]:
    """The tables, and the sources that their rows name by number, [1] first."""
    found = list(figures(suite))
    sources = list(dict.fromkeys(one.source for one in found if one.source))
    made = []
    for label, report in suite.reports.items():
        of_set = [one for one in found if one.set == label]
        counts = sorted(set(report.counts().values()))
        images = f"{'-'.join(map(str, counts))} image{'s' * (counts != [1])}"
        title = f"{label}, {images}, protocol {suite.protocol.name}"
        metrics = dict.fromkeys(one.metric for one in of_set)
        groups = [("psnr", "ssim"), *((name,) for name in metrics if name not in ("psnr", "ssim"))]
        for group in groups:
            what = "PSNR (dB) / SSIM" if len(group) == 2 else f"{group[0].upper()} (lower is better)"
            made.append(
                _table(f"{what} on {title}", [one for one in of_set if one.metric in group], sources, group)
            )
    return made, sources


def _table(title: str, found: Sequence[Figure], sources: Sequence[Source], metrics: Sequence[str]) -> Table:
    scales = sorted({one.scale for one in found}, key=lambda name: float(name[1:]))
    rows: dict[tuple[str, str], dict[tuple[str, str], Figure]] = {}
    for one in found:
        number = f" [{sources.index(one.source) + 1}]" if one.source else ""
        rows.setdefault((one.method + number, one.protocol), {})[one.scale, one.metric] = one
    return Table(
        title,
        ["method", "protocol", *scales],
        [
            [method, protocol, *(_cell(cells, scale, metrics) for scale in scales)]
            for (method, protocol), cells in rows.items()
        ],
    )


def _cell(cells: Mapping[tuple[str, str], Figure], scale: str, metrics: Sequence[str]) -> str:
    there = [cells.get((scale, metric)) for metric in metrics]
    if not any(there):
        return NONE
    text = " / ".join(_number(one) if one else NONE for one in there)
    return text + MARK * any(one is not None and not one.comparable for one in there)


def _number(one: Figure) -> str:
    return f"{one.value:.2f}" if one.metric in ("psnr", "fid") else f"{one.value:.4f}"


def notes(suite: Suite, sources: Sequence[Source]) -> list[str]:
    """What readers of the tables must know, one sentence each: marks, sources, what is missing."""
    lines = [
        f"{MARK} not comparable with our rows to the last digits: measured on another number of images, "
        f"by another protocol than {suite.protocol.name}, or one that its source does not state; or a "
        "perceptual metric, which is of the whole image here."
    ]
    for number, one in enumerate(sources, 1):
        quoted = "Not read in that paper itself. " if one.quoted else ""
        lines.append(f"[{number}] {one.paper}, arXiv {one.arxiv}: {one.place}. {quoted}{one.note}")
    return ([] if not sources else lines) + suite.notes


def as_markdown(suite: Suite) -> str:
    """The tables as Markdown, with their notes."""
    made, sources = tables(suite)
    parts = [part for one in made for part in (one.title, markdown_table(one.head, map(_escaped, one.rows)))]
    # An asterisk at the start of a line begins a list in Markdown.
    ending = [re.sub(r"^\*", r"\\*", line) for line in notes(suite, sources)]
    return "\n\n".join([*parts, *ending])


def _escaped(row: Sequence[str]) -> list[str]:
    return [cell.replace("|", r"\|").replace(MARK, rf"\{MARK}") for cell in row]


def as_latex(suite: Suite) -> str:
    """The tables as LaTeX `table` environments, which need the package booktabs; notes as comments."""
    made, sources = tables(suite)
    parts = [
        "\n".join(
            [
                r"\begin{table}",
                rf"  \caption{{{_tex(one.title)}}}",
                r"  \centering",
                rf"  \begin{{tabular}}{{ll{'c' * (len(one.head) - 2)}}}",
                r"    \toprule",
                f"    {' & '.join(map(_tex_scale, one.head))} \\\\",
                r"    \midrule",
                *(f"    {' & '.join(map(_tex, row))} \\\\" for row in one.rows),
                r"    \bottomrule",
                r"  \end{tabular}",
                r"\end{table}",
            ]
        )
        for one in made
    ]
    return "\n\n".join(
        [r"% \usepackage{booktabs}", *parts, "\n".join(f"% {line}" for line in notes(suite, sources))]
    )


_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", NONE: "--"}
_TEX |= {character: f"\\{character}" for character in "&%$#_{}"}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _tex_scale(text: str) -> str:
    return rf"$\times${text[1:]}" if re.fullmatch(r"x[\d.]+", text) else _tex(text)


def as_csv(suite: Suite) -> str:
    """One line for each figure, ours and published, at full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["set", "scale", "metric", "method", "value", "protocol", "comparable", "images", "source"]
    )
    for one in figures(suite):
        source = f"arXiv {one.source.arxiv}: {one.source.place}" if one.source else ""
        writer.writerow(
            [
                *(one.set, one.scale[1:], one.metric, one.method, repr(one.value), one.protocol),
                *("yes" if one.comparable else "no", "" if one.images is None else one.images, source),
            ]
        )
    return text.getvalue().rstrip("\n")


FORMATS: dict[str, Callable[[Suite], str]] = {"markdown": as_markdown, "latex": as_latex, "csv": as_csv}
"""The forms of tables, by name."""
SUFFIXES = {".md": "markdown", ".tex": "latex", ".csv": "csv"}
"""The form of a file of tables, by its suffix."""
