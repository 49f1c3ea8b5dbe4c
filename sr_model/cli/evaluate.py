"""sr-eval: measure a trained network by a named protocol, beside bicubic interpolation."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from ..checkpoint import load
from ..evaluation import PROTOCOLS, Score, evaluate, mean
from . import Command, Scales


@click.command(cls=Command)
@click.option("--model", required=True, type=click.Path(path_type=Path), help="A checkpoint of sr-train.")
@click.option("--data", required=True, metavar="DIR", help="Folder of high-resolution images.")
@click.option("--scales", type=Scales(), default="2,3,4", show_default=True, help="Scales, whole or not.")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="benchmark",
    show_default=True,
    help="What to measure.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; progress goes to stderr.")
def main(model: Path, data: str, scales: list[float], protocol: str, as_json: bool) -> None:
    """Measure PSNR and SSIM of a network on the images of a folder, and of bicubic interpolation."""
    images: dict[str, dict[str, Score]] = {}
    for path, scale, score in evaluate(load(model), Path(data), scales, PROTOCOLS[protocol]):
        name, key = path.relative_to(data).as_posix(), f"x{scale:g}"
        images.setdefault(name, {})[key] = score
        click.echo(_line(key, name, score), err=as_json)
    means = {key: mean(scores[key] for scores in images.values()) for key in next(iter(images.values()))}
    if as_json:
        report = {
            "protocol": protocol,
            "model": str(model),
            "data": data,
            "mean": {key: asdict(score) for key, score in means.items()},
            "images": {
                name: {key: asdict(s) for key, s in scores.items()} for name, scores in images.items()
            },
        }
        click.echo(json.dumps(report, indent=2))
        return
    for key, score in means.items():
        click.echo(_line(key, f"mean of {len(images)}, protocol {protocol}", score))


def _line(key: str, name: str, score: Score) -> str:
    return (
        f"{key:<5} {score.psnr:6.2f} dB {score.ssim:.4f}   "
        f"bicubic {score.bicubic_psnr:6.2f} dB {score.bicubic_ssim:.4f}   {name}"
    )
