"""`dgp-mine images`: check a folder of images before a run."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ..command_line import FINISHED_WITH_FAILURES, in_options, json_option, option
from ..reading_options import parse_window, reading_options
from ..terminal import printable
from .group import Command


@click.command(cls=Command)
@click.argument("images", metavar="DIR")  # the name that messages have for it
@option(
    "--decode", is_flag=True, help="Also decode the pixels of every image, which finds damage inside files."
)
@reading_options()
@json_option()
def images(images: str, decode: bool, as_json: bool, **options: Any) -> None:
    """Check a folder of images before a run.

    Shows what the images in DIR and its subfolders are taken for, how their numbers become black and white,
    which cannot be read, which are copies of others, and which other files there are.

    Exit status 3: some images cannot be read.
    """
    from ..images.reading import Reading
    from ..images.survey import survey
    from .images_output import survey_text
    from .progress import progress

    parse_window(options)
    try:
        reading = Reading(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with progress() as callback:
        found = survey(images, reading, decode=decode, callback=callback)
    text = json.dumps(found.to_json(), indent=2) if as_json else in_options(survey_text(found))
    click.echo(printable(text))
    if found.unreadable:
        sys.exit(FINISHED_WITH_FAILURES)
