"""Building blocks of the page on a prior: tables, figures and numbers as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from . import svg
from .bootstrap import BootstrapEstimate


def figure(drawn: str, caption: str) -> str:
    """A drawing with a caption, which may be empty."""
    return f"<figure>{drawn}" + (f"<figcaption>{caption}</figcaption>" if caption else "") + "</figure>"


def picture(pixels: np.ndarray, alt: str) -> str:
    """Pixels uint8 [H, W, 3], embedded in the page."""
    return f'<img alt="{alt}" src="{svg.picture_uri(pixels)}">'


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML; the first column is text, the others are numbers."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def with_interval(found: BootstrapEstimate) -> str:
    """The value with its 95 % interval: 0.123 [0.100, 0.150]."""
    return f"{decimal(found.value)} [{interval(found)}]" if math.isfinite(found.low) else decimal(found.value)


def interval(found: BootstrapEstimate, digits: int = 3) -> str:
    """The 95 % interval, if there is one."""
    if not math.isfinite(found.low):
        return "one image only"
    return f"{decimal(found.low, digits)}, {decimal(found.high, digits)}"


def decimal(value: float, digits: int = 3) -> str:
    """A number with `digits` decimals and a typographic minus sign (zero has none); a dash for NaN."""
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def number(value: float) -> str:
    """A number with three significant digits and a typographic minus sign; a dash for NaN."""
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "–"


def rounded(count: int) -> str:
    """A large number in few characters, such as 1.2 M."""
    for unit, size in (("bn", 10**9), ("M", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,}"
