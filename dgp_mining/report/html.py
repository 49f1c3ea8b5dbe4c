"""The pieces that the page on a prior is made of: HTML text of tables, figures and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from . import svg
from .bootstrap import Estimate


def figure(drawn: str, caption: str) -> str:
    """A drawing with a line below it, if any."""
    return f"<figure>{drawn}" + (f"<figcaption>{caption}</figcaption>" if caption else "") + "</figure>"


def picture(pixels: np.ndarray, what: str) -> str:
    """Pixels uint8 [H, W, 3] within the page."""
    return f'<img alt="{what}" src="{svg.picture_uri(pixels)}">'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of HTML; the first column is text, the others are numbers."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def with_interval(found: Estimate) -> str:
    """0.123 [0.100, 0.150]."""
    return f"{decimal(found.value)} [{limits(found)}]" if math.isfinite(found.low) else decimal(found.value)


def limits(found: Estimate, digits: int = 3) -> str:
    """The 95 % interval, where there is one."""
    if not math.isfinite(found.low):
        return "one image only"
    return f"{decimal(found.low, digits)}, {decimal(found.high, digits)}"


def decimal(value: float, digits: int = 3) -> str:
    """With a proper minus sign, which zero has not; a dash for NaN."""
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def number(value: float) -> str:
    """Three digits and a proper minus sign, or a dash for NaN."""
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "–"


def rounded(count: int) -> str:
    """A large number in few characters."""
    for unit, size in (("bn", 10**9), ("M", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,}"
