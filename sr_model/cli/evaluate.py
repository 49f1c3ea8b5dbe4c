"""sr-eval: measure a trained network by a named protocol, next to bicubic interpolation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click

from dgp_mining.command_line import FINISHED_WITH_FAILURES, images_option, json_option, option
from dgp_mining.terminal import ProgressLine, notify
from splat2d.matlab_imresize import Border

from ..evaluation.cost import average_seconds, macs, peak_memory
from ..evaluation.evaluate import evaluate, hr_files
from ..evaluation.perceptual import METRICS, Perceptual
from ..evaluation.protocol import PROTOCOLS, with_border
from ..evaluation.tables import EvaluationReport, scale_label
from ..networks.base import Network
from ..upscaling.upscale import as_network
from . import types
from .command import Command
from .evaluate_output import SkippedLines, score_line, summary_lines
from .options import model_option


@click.command("sr-eval", cls=Command)
@model_option()
@images_option(
    " They are the high-resolution images. Not needed for --cost and --time.",
    type=click.Path(path_type=Path),
    former=["--data"],
)
@option(
    "--scales",
    type=types.scales,
    metavar="SCALE,...",
    default="2,3,4",
    help="Scales, whole or not, such as x2,x3.5.",
)
@option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="benchmark",
    help="Evaluation protocol: colour channel, border, rounding, and how low-resolution images are made.",
)
@option(
    "--border",
    type=click.Choice(get_args(Border)),
    default="mirror",
    help="Borders of MATLAB's bicubic: mirrored as today, or replicated as in its older releases, which made "
    "the x8 images of Set5 in circulation.",
)
@option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRICS),
    help="Also measure this; may be given several times. Needs 'dgp-mining[perceptual]'.",
)
@option("--cost", "costs", is_flag=True, help="Also count multiply-adds and memory.")
@option("--time", "times", is_flag=True, help="Also measure the average time over 45 scales, x4 to x48.")
@json_option()
@option("--markdown", "as_markdown", is_flag=True, help="Print the results as a Markdown table.")
def main(
    model: Path | None,
    images: Path | None,
    scales: list[float],
    protocol: str,
    border: Border,
    metrics: tuple[str, ...],
    costs: bool,
    times: bool,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Measure a network's PSNR and SSIM on a folder of images.

    Bicubic interpolation is measured too. Of a test set with low-resolution images, such as Set5 with HR, X2
    and X4, only the high-resolution images are taken. With --json and --markdown, the figures of single
    images go to stderr.

    Exit status 3: some images were skipped.
    """
    if as_json and as_markdown:
        raise click.UsageError("Give --json or --markdown, not both.")
    if images is None and (metrics or not (costs or times)):
        raise click.UsageError("Name a folder of images with --images.")
    files = hr_files(images) if images else []
    chosen = PROTOCOLS[protocol] if border == "mirror" else with_border(protocol, border)
    report = EvaluationReport(str(model or "reference"), str(images or ""), chosen.name)
    perceptual = Perceptual(metrics) if metrics else None
    net = as_network(model)
    line = ProgressLine()
    # Costs first: after them, nothing but the end of the evaluation stands between figures and report.
    report.cost = _cost(net, costs, times, line)
    skipped = SkippedLines(line)
    if images:
        for result in evaluate(net, files, scales, chosen, perceptual, on_skip=skipped, progress=line):
            name = report.name(result.path)
            report.add(name, result)
            line.clear()
            click.echo(score_line(scale_label(result.scale), name, result.score), err=as_json or as_markdown)
        line.clear()
    if perceptual:
        report.measure_sets(perceptual, skipped)
    report.skipped = skipped.all
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    elif as_markdown:
        click.echo(report.markdown())
    else:
        for text in summary_lines(report):
            click.echo(text)
    for sentence in report.infinite():
        notify(sentence)
    if skipped.all:
        notify(skipped.ending(len(files)))
        raise SystemExit(FINISHED_WITH_FAILURES)


def _cost(net: Network, costs: bool, times: bool, line: ProgressLine) -> dict[str, Any]:
    """The results of --cost and --time, as `EvaluationReport.cost` holds them."""
    found: dict[str, Any] = {"macs": macs(net), "memory": peak_memory(net)} if costs else {}
    if times:
        seconds = average_seconds(net, progress=line)
        line.clear()
        found["seconds"] = {f"{width}x{height}": value for (height, width), value in seconds.items()}
    return found
