"""`dgp-mine`: mine images into a store, look at it, condense it into a dictionary of kernels."""

from __future__ import annotations

import click

# Commands import the library when they run, so that `dgp-mine -h` does not wait for torch or Dask.
from . import dictionary, doctor, fit, images, report, store
from .group import Group


@click.group("dgp-mine", cls=Group, former={"export": "export-field"})
def main() -> None:
    """Mine the Deep Gaussian Prior: fit 2D Gaussians to images and condense them into a dictionary."""


for command in (
    *(images.images, fit.fit, store.status, store.verify, store.merge),
    *(dictionary.dictionary, report.report, report.export_field, doctor.doctor),
):
    main.add_command(command)
