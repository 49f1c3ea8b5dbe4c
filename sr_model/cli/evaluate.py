"""sr-eval: measure a trained network by a named protocol, beside bicubic interpolation."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..evaluation.cost import average_seconds, macs, peak_memory
from ..evaluation.evaluate import evaluate
from ..evaluation.perceptual import METRICS, Perceptual
from ..evaluation.protocol import PROTOCOLS, Score
from ..evaluation.tables import Report, cost_rows, key
from ..upscaling.upscale import network
from . import Command
from .progress import ProgressLine
from .types import Scales


@click.command(cls=Command)
@click.option(
    "--model", type=click.Path(path_type=Path), help="A checkpoint.  [default: the reference model]"
)
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="DIR", help="Folder of high-resolution images."
)
@click.option("--scales", type=Scales(), default="2,3,4", show_default=True, help="Scales, whole or not.")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="benchmark",
    show_default=True,
    help="Which literature's figures: its channel, border, rounding and LR images.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRICS),
    help="Also LPIPS, DISTS or FID (an extra).",
)
@click.option("--cost", "costs", is_flag=True, help="Also operations and memory.")
@click.option("--time", "times", is_flag=True, help="Also the average time over 45 scales, x4 to x48.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; progress goes to stderr.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a table; progress goes to stderr.")
def main(
    model: Path | None,
    data: Path | None,
    scales: list[float],
    protocol: str,
    metrics: tuple[str, ...],
    costs: bool,
    times: bool,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Measure a network's PSNR and SSIM on the images of a folder, beside bicubic interpolation's."""
    if as_json and as_markdown:
        raise click.UsageError("Give --json or --markdown, not both.")
    if data is None and (metrics or not (costs or times)):
        raise click.UsageError("Give a folder of images with --data.")
    aside = as_json or as_markdown
    report = Report(str(model or "reference"), str(data or ""), protocol)
    perceptual = Perceptual(metrics) if metrics else None
    net = network(model)
    if data:
        for result in evaluate(net, data, scales, PROTOCOLS[protocol], perceptual):
            name = result.path.relative_to(data).as_posix()
            report.add(name, result)
            click.echo(_line(key(result.scale), name, result.score), err=aside)
    if perceptual:
        report.of_sets = {key(scale): figures for scale, figures in perceptual.of_sets().items()}
    if costs:
        report.cost |= {"macs": macs(net), "memory": peak_memory(net)}
    if times:
        line = ProgressLine()
        seconds = average_seconds(net, progress=line)
        line.clear()
        report.cost["seconds"] = {f"{width}x{height}": value for (height, width), value in seconds.items()}
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    elif as_markdown:
        click.echo(report.markdown())
    else:
        _print_summary(report)


def _print_summary(report: Report) -> None:
    for scale, score in report.means().items():
        click.echo(_line(scale, f"mean of {len(report.scores)}, protocol {report.protocol}", score))
    for scale, figures in report.perceptual_means().items():
        for metric, (ours, bicubic) in figures.items():
            click.echo(f"{scale:<5} {metric} {ours:.4f}   bicubic {bicubic:.4f}")
    for what, cost in cost_rows(report.cost):
        click.echo(f"{what}: {cost}")


def _line(scale: str, name: str, score: Score) -> str:
    return (
        f"{scale:<5} {score.psnr:6.2f} dB {score.ssim:.4f}   "
        f"bicubic {score.bicubic_psnr:6.2f} dB {score.bicubic_ssim:.4f}   {name}"
    )
