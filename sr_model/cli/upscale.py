"""sr-upscale: upscale images with a trained network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from dgp_mining.command_line import (
    FINISHED_WITH_FAILURES,
    FormerArgument,
    in_options,
    option,
    out_option,
    overwrite_option,
)
from dgp_mining.images.paths import is_image_folder, printable_name
from dgp_mining.images.reader import ImageError
from dgp_mining.images.reading import Reading
from dgp_mining.reading_options import reading_options, two_numbers
from dgp_mining.terminal import ProgressLine, count, notify
from splat2d.atomic_write import make_folder

from ..image_io.writer import FORMATS
from ..memory import free_memory
from ..scaling import RequestedSize, Scale
from ..upscaling.batch import Outcome, stem_of, upscale_folder, upscale_images, upscale_unless_done
from ..upscaling.consistency import Reduction
from ..upscaling.files import ResultExists, UpscaleRequest
from ..upscaling.wrapping import Wrap
from . import types
from .command import Command
from .options import model_option, reduction_option


class FormerOutput(FormerArgument):
    """The former argument OUTPUT, behind INPUT: a further INPUT if it is an image, or not the last argument.

    So `*.png` never overwrites the second of two images that it stands for.
    """

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        value, given = opts.get(self.name or ""), cast(dict[str, Any], opts)
        more = given.get("more")
        behind = tuple(more) if isinstance(more, list | tuple) else ()
        if isinstance(value, str) and (behind or Path(value).is_file()):
            given["more"] = (value, *behind)
            del given[str(self.name)]
        return super().handle_parse_result(ctx, opts, args)


@click.command("sr-upscale", cls=Command)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("former_out", cls=FormerOutput, option="out")
@click.argument("more", metavar="[INPUT]...", nargs=-1, type=click.Path(path_type=Path))
@out_option(
    "the result: a file, or a folder if INPUT is one, if there are several, or if it ends in /",
    "  [default: next to INPUT, named after the scale]",
    metavar="OUTPUT",
    argument=["target"],
)
@option(
    "--scale",
    type=types.scale_by_axis,
    metavar="SCALE",
    help="Any factor such as x4, 3.7 or 0.5; or 2x3, width by height.",
)
@option(
    "--size",
    type=types.size,
    metavar="WxH",
    help="Or the size of the result in pixels: 1920x1080; or 1920x or x1080, to keep the aspect ratio.",
)
@option(
    "--window",
    type=types.window,
    metavar="X,Y,W,H",
    help="Upscale only this part: left, top, width and height in pixels of INPUT.",
)
@model_option()
@option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="Format of the result.  [default: the one that --out ends in, else png]",
)
@option(
    "--quality", type=click.IntRange(1, 100), metavar="1-100", default=95, help="Quality of JPEG and WebP."
)
@overwrite_option()
@option(
    "--skip-existing",
    is_flag=True,
    help="Leave results that exist; one that is damaged or of another size is made again.",
)
@option(
    "--save-field",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also keep the Gaussians in this .safetensors file, to zoom into them later.",
)
@option(
    "--ensemble",
    is_flag=True,
    help="Mean over eight flips and turns of the image: a little better, in eight times the time.",
)
@option(
    "--wrap",
    "wrap",
    flag_value="xy",
    default="",
    help="For textures that repeat: the result repeats too, without a step.",
)
@option("--wrap-x", "wrap", flag_value="x", help="As --wrap, along rows only.")
@option("--wrap-y", "wrap", flag_value="y", help="As --wrap, along columns only.")
@reduction_option("INPUT was")
@reading_options("--levels")
@option(
    "--tile",
    type=click.IntRange(16),
    metavar="N",
    help="Encode the image in tiles of NxN pixels.  [default: as memory allows]",
)
@option(
    "--memory",
    type=types.gigabytes,
    metavar="GB",
    help="Memory to use in GB.  [default: what is free]",
)
def main(
    source: Path,
    more: tuple[Path, ...],
    out: str | None,
    scale: Scale | None,
    size: RequestedSize | None,
    window: tuple[float, float, float, float] | None,
    model: Path | None,
    form: str | None,
    quality: int,
    overwrite: bool,
    skip_existing: bool,
    save_field: Path | None,
    ensemble: bool,
    wrap: Wrap,
    reduction: Reduction | None,
    white: float | None,
    levels: str | None,
    axis: str | None,
    slice: int | None,
    tone: str,
    tile: int | None,
    memory: float | None,
) -> None:
    """Upscale INPUT: an image, several images, or a folder of images.

    Every format is read that dgp_mining/images/README.md lists; PNG, JPEG, WebP and TIFF are written.
    Transparency, 16 bits, grey, colour profile, EXIF, XMP, IPTC, texts, resolution and georeference are
    kept if the format of the result can hold them; what it cannot hold is said.

    INPUT may also be a field that --save-field has kept. It is rendered at any scale without the network.

    Exit status 3: some of several images failed.
    """
    if scale and size:
        raise click.UsageError("Give --scale or --size, not both.")
    if not (scale or size or save_field):
        raise click.UsageError("Give --scale or --size.")
    if skip_existing and (overwrite or save_field):
        raise click.UsageError(
            f"Give --skip-existing or {'--overwrite' if overwrite else '--save-field'}, not both."
        )
    try:
        reading = Reading(white, two_numbers(levels, "--levels") if levels else None, axis, slice, tone)
    except ValueError as error:  # which names window=, here a part of the image
        raise click.UsageError(str(error).replace("window=", "--levels")) from error
    budget = min(int(memory * 1e9), free_memory()) if memory else None
    request = UpscaleRequest(
        scale,
        size,
        window,
        tile,
        budget,
        quality,
        overwrite,
        save_field,
        reading,
        skip_existing,
        ensemble,
        wrap,
        reduction,
    )
    line = ProgressLine()
    into = None if out is None else Path(out)
    if more or (source.is_dir() and not is_image_folder(source)):
        if save_field or window:
            several = "there are several" if more else "INPUT is a folder"
            raise click.UsageError(f"--save-field and --window are for a single image, and {several}.")
        if more:
            images = (source, *more)
            folder = _folder_of_several(images, into)
            results = upscale_images(images, folder, request, model, form or "png", line)
        else:
            folder = into or source.resolve().with_name(f"{source.resolve().name}_{_name(scale, size)}")
            results = upscale_folder(source, folder, request, model, form or "png", line)
        _follow(results, folder, line, skip_existing)
        return
    if out and into and request.makes_image and out.endswith(("/", os.sep)):
        make_folder(into)
        into /= f"{stem_of(source)}{FORMATS[form or 'png'].suffixes[0]}"
    if form and into and into.suffix.lower() not in FORMATS[form].suffixes:
        raise click.UsageError(f"--format {form} does not agree with the ending of {into}.")
    if into is None and request.makes_image:
        ending = FORMATS[form or "png"].suffixes[0]
        into = source.with_name(f"{stem_of(source)}_{_name(scale, size)}{ending}")
    done = upscale_unless_done(source, into, request, model, line)
    line.clear()
    if save_field:
        click.echo(f"{save_field}: the field")
    if request.makes_image:
        click.echo(printable_name(f"{into}: {_outcome(done)}"))


def _folder_of_several(images: Sequence[Path], out: Path | None) -> Path:
    """The folder for the results of several images. Raises UsageError if --out does not name one."""
    if out is None:
        replaced = f" If {images[1]} is to be replaced, give it as --out." if len(images) == 2 else ""
        raise click.UsageError(
            f"{images[0]} and {images[1]}{' and others' * (len(images) > 2)} are several images: name the "
            f"folder of their results with --out.{replaced}"
        )
    written = [suffix for form in FORMATS.values() for suffix in form.suffixes]
    if out.suffix.lower() in written and not out.is_dir():
        raise click.UsageError(f"--out {out} is a file, but there are several images: name a folder.")
    return out


def _follow(
    results: Iterator[tuple[Path, Path, Outcome]], folder: Path, line: ProgressLine, skip_existing: bool
) -> None:
    """Print each result as it is made, and then what failed. Exits with FINISHED_WITH_FAILURES if any did."""
    images = failed = before = existing = 0
    for _, target, result in results:
        line.clear()
        images += 1
        if isinstance(result, ImageError):
            failed += 1
            existing += isinstance(result, ResultExists)
            notify(printable_name(f"failed: {in_options(str(result))}"))
        else:
            before += result is None
            click.echo(printable_name(f"{target}: {_outcome(result)}"))
    if skip_existing:
        counts = {"upscaled": images - failed - before, "done before": before, "broken": failed}
        notify(", ".join(f"{number:,} {what}" for what, number in counts.items() if number) + ".")
    elif failed:
        if existing:
            notify(f"{count(existing, 'result')} left as before: see --skip-existing and --overwrite.")
        if broken := failed - existing:
            others = f"the others are in {folder}" if broken < images else "none is upscaled"
            notify(f"{broken} of {count(images, 'image')} failed; {others}.")
    if failed:
        raise SystemExit(FINISHED_WITH_FAILURES)


def _outcome(size: tuple[int, int] | None) -> str:
    return f"{size[1]}x{size[0]} pixels" if size else "done before"


def _name(scale: Scale | None, size: RequestedSize | None) -> str:
    """The end of a result's file name: x4, x2x3, 1920x1080 or 1920x, width first."""
    if size:
        height, width = size
        return f"{width or ''}x{height or ''}"
    return f"x{scale[1]:g}x{scale[0]:g}" if isinstance(scale, tuple) else f"x{scale:g}"
