"""sr-eval: measure a trained network by a named protocol, next to bicubic interpolation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click

from dgp_mining.command_line import (
    FINISHED_WITH_FAILURES,
    REPLACED,
    images_option,
    json_option,
    option,
    overwrite_option,
)
from dgp_mining.terminal import ProgressLine, notify
from splat2d.matlab_imresize import Border

from ..evaluation.cost import average_seconds, macs, peak_memory
from ..evaluation.evaluate import measure
from ..evaluation.perceptual import METRICS, Perceptual
from ..evaluation.planning import plan_evaluation
from ..evaluation.protocol import PROTOCOLS, with_border, with_ensemble, with_reduction
from ..evaluation.saved_pictures import SavedPictures, model_label
from ..evaluation.suite_tables import FORMATS
from ..evaluation.tables import EvaluationReport, scale_label
from ..networks.base import Network
from ..upscaling.consistency import Reduction, chosen_reduction
from ..upscaling.upscale import as_network
from . import types
from .command import Command
from .evaluate_output import SkippedLines, score_line, summary_lines
from .evaluate_suite import TableFile, evaluate_suite
from .options import lr_option, model_option, reduction_option

SCALES = (2.0, 3.0, 4.0)
"""The scales of --images unless others are given, or --lr."""


@click.command("sr-eval", cls=Command)
@model_option()
@images_option(
    " They are the high-resolution images. Not needed for --cost and --time.",
    type=click.Path(path_type=Path),
    former=["--data"],
)
@option(
    "--suite",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="In place of --images: folder of test sets by their usual names (Set5, Set14, BSD100, Urban100, "
    "Manga109, General100, DIV2K, LSDIR, Kodak), each measured and set in tables with published figures.",
)
@option(
    "--scales",
    type=types.scales,
    metavar="SCALE,...",
    help="Scales, whole or not, such as x2,x3.5.  [default: 2,3,4; with --lr, those of the sizes; with "
    "--suite 2,3,4,6,8,12]",
)
@lr_option("  [default: they are made as the protocol says]")
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
@reduction_option("low-resolution images were")
@option(
    "--ensemble",
    is_flag=True,
    help="Mean over eight flips and turns of the LR image, which papers mark by a plus.",
)
@option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRICS),
    help="Also measure this; may be given several times. Needs 'dgp-mining[perceptual]'.",
)
@option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Also save the upscaled pictures in this folder, as 8-bit PNG files named after image, scale and "
    "network; with --suite, those of each set in a folder of its name.",
)
@option("--save-bicubic", is_flag=True, help="With --save, also save those of bicubic interpolation.")
@overwrite_option()
@option("--cost", "costs", is_flag=True, help="Also count multiply-adds and memory.")
@option("--time", "times", is_flag=True, help="Also measure the average time over 45 scales, x4 to x48.")
@json_option()
@option("--markdown", "as_markdown", is_flag=True, help="Print the results as a Markdown table.")
@option(
    "--table",
    "form",
    type=click.Choice(list(FORMATS)),
    help="With --suite: form of the tables.  [default: markdown]",
)
@option(
    "--save-table",
    "table_files",
    multiple=True,
    type=TableFile(),
    metavar="FILE",
    help="With --suite: also write the tables to FILE (.md, .tex or .csv), anew after each set; may be given "
    "several times." + REPLACED,
)
def main(
    model: Path | None,
    images: Path | None,
    suite: Path | None,
    scales: list[float] | None,
    lr: tuple[str, ...],
    protocol: str,
    border: Border,
    reduction: Reduction | None,
    ensemble: bool,
    metrics: tuple[str, ...],
    save: Path | None,
    save_bicubic: bool,
    overwrite: bool,
    costs: bool,
    times: bool,
    as_json: bool,
    as_markdown: bool,
    form: str | None,
    table_files: tuple[str, ...],
) -> None:
    """Measure a network's PSNR and SSIM on a folder of images.

    Or, with --suite, on all test sets in a folder, beside published figures.

    Bicubic interpolation is measured too. Of a test set with low-resolution images, such as Set5 with HR, X2
    and X4, only the high-resolution images are taken. With --json and --markdown, the figures of single
    images go to stderr.

    Exit status 3: some images were skipped, or lack a metric or a saved picture.
    """
    if as_json and as_markdown:
        raise click.UsageError("Give --json or --markdown, not both.")
    if (form or table_files) and not suite:
        raise click.UsageError("--table and --save-table are options of --suite.")
    chosen = PROTOCOLS[protocol] if border == "mirror" else with_border(protocol, border)
    chosen = with_reduction(chosen, reduction)
    if save is None and (save_bicubic or overwrite):
        raise click.UsageError("--save-bicubic and --overwrite are for --save: name a folder with it.")
    label = model_label(model)
    if ensemble:
        chosen, label = with_ensemble(chosen), f"{label}_ensemble"
    pictures = SavedPictures(save, label, save_bicubic, overwrite) if save else None
    if suite:
        if images or costs or times or lr:
            raise click.UsageError("Give --suite without --images, --lr, --cost and --time.")
        if (as_json and form) or (as_markdown and form not in (None, "markdown")):
            raise click.UsageError("Give one of --json, --markdown and --table.")
        form = form or "markdown"
        evaluate_suite(model, suite, scales, chosen, metrics, form, table_files, as_json, pictures)
        return
    if images is None and (metrics or not (costs or times)):
        raise click.UsageError("Name a folder of images with --images, or of test sets with --suite.")
    if images is None and (lr or save):
        raise click.UsageError("--lr and --save need a folder of images: name it with --images.")
    if scales is None and not lr:
        scales = list(SCALES)
    # All that may be refused is looked at before the network is loaded.
    plan = plan_evaluation(images, scales, lr or None, without=save) if images else None
    if plan and pictures:
        pictures.check(plan.measurements)
    report = EvaluationReport(str(model or "reference"), str(images or ""), chosen.name)
    perceptual = Perceptual(metrics) if metrics else None
    net = as_network(model)
    line = ProgressLine()
    # Costs first: after them, nothing but the end of the evaluation stands between figures and report.
    report.cost = _cost(net, costs, times, line)
    skipped = SkippedLines(line)
    if plan:
        report.lr = plan.lr
        results = measure(net, plan, chosen, perceptual, save=pictures, on_skip=skipped, progress=line)
        for result in results:
            name = report.label(result)
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
    if plan and reduction is None and (kernel := chosen_reduction(net, None)) != "none":
        notify(
            f"Results are corrected so that, made smaller by {kernel}, they are the low-resolution images; "
            "--reduction none measures the network alone."
        )
    if skipped.all:
        notify(skipped.ending(plan.images if plan else 0))
        raise SystemExit(FINISHED_WITH_FAILURES)


def _cost(net: Network, costs: bool, times: bool, line: ProgressLine) -> dict[str, Any]:
    """The results of --cost and --time, as `EvaluationReport.cost` holds them."""
    found: dict[str, Any] = {"macs": macs(net), "memory": peak_memory(net)} if costs else {}
    if times:
        seconds = average_seconds(net, progress=line)
        line.clear()
        found["seconds"] = {f"{width}x{height}": value for (height, width), value in seconds.items()}
    return found
