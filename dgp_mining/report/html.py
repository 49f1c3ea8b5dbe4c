"""Building blocks of the report: tables, figures and numbers as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from . import svg
from .bootstrap import BootstrapEstimate


def figure(drawn: str, caption: str) -> str:
    """Return a drawing with a caption, which may be empty."""
    return f"<figure>{drawn}" + (f"<figcaption>{caption}</figcaption>" if caption else "") + "</figure>"


def picture(pixels: np.ndarray, alt: str) -> str:
    """Return an <img> that embeds uint8 pixels [H, W, 3] in the page."""
    return f'<img alt="{alt}" src="{svg.picture_uri(pixels)}">'


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose cells are HTML; the first column is text, the others are numbers."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def with_interval(found: BootstrapEstimate) -> str:
    """Format a value with its 95 % interval: 0.123 [0.100, 0.150]."""
    return f"{decimal(found.value)} [{interval(found)}]" if math.isfinite(found.low) else decimal(found.value)


def interval(found: BootstrapEstimate, digits: int = 3) -> str:
    """Format the 95 % interval, or return that there is only one image."""
    if not math.isfinite(found.low):
        return "one image only"
    return f"{decimal(found.low, digits)}, {decimal(found.high, digits)}"


def decimal(value: float, digits: int = 3) -> str:
    """Format a number with `digits` decimals and a typographic minus sign (none for zero); a dash for NaN."""
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def number(value: float) -> str:
    """Format a number with three significant digits and a typographic minus sign; a dash for NaN."""
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "–"


def mean_decibels(psnr: np.ndarray) -> str:
    """Format the mean of the values that were measured, dB; a dash if there are none."""
    known = psnr[np.isfinite(psnr)]
    return decimal(known.mean() if len(known) else math.nan, 2)


def rounded(count: int) -> str:
    """Format a large count briefly, such as 1.2 M."""
    for unit, size in (("bn", 10**9), ("M", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,}"
