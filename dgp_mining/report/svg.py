"""Small charts as SVG text, coloured by the page's style sheet for light and dark mode."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from ..covariance import covariance_from_cholesky, principal_axes

Limits = tuple[float, float]
Scale = Callable[[float], float]

COOL, WARM = (90, 132, 200), (222, 106, 60)
"""Colours that are legible both on white and on black."""


def histogram(
    heights: np.ndarray,
    limits: Limits,
    label: str,
    *,
    line: np.ndarray | None = None,
    band: Limits | None = None,
    mark: float | None = None,
) -> str:
    """Draw bars of `heights` [n] between `limits`.

    `line` [n] is drawn as a line, scaled to the same area, `band` as a stroke below the bars, and `mark` as
    a dashed vertical line.
    """
    width, height, margin, floor = 340, 176, 12, 146
    edges = np.linspace(*limits, len(heights) + 1)
    bars, points = (
        values / max(values.sum(), 1e-300) for values in (heights, heights if line is None else line)
    )
    x, y = _scale(limits, margin, width - margin), _scale((0, max(bars.max(), points.max()) or 1), floor, 12)
    drawn = ['<g class="bars">']
    drawn += [
        f'<rect x="{x(low):.1f}" y="{y(share):.1f}" width="{x(high) - x(low) - 0.5:.1f}" '
        f'height="{floor - y(share):.1f}"/>'
        for low, high, share in zip(edges[:-1], edges[1:], bars, strict=True)
        if share > 0
    ]
    drawn.append("</g>")
    if line is not None:
        centres = (edges[:-1] + edges[1:]) / 2
        drawn.append(_polyline(zip(map(x, centres), map(y, points), strict=True), "line"))
    if mark is not None:
        drawn.append(f'<path class="mark" d="M{x(mark):.1f} 4V{floor}"/>')
    drawn.append(f'<path class="axis" d="M{margin} {floor}H{width - margin}"/>')
    if band:
        low, high = (x(min(max(value, limits[0]), limits[1])) for value in band)
        drawn.append(f'<path class="band" d="M{low:.1f} {floor + 4}H{high:.1f}"/>')
    drawn += [_text(x(value), floor + 20, _number(value), "tick") for value in ticks(limits)]
    return _svg(drawn, width, height, label)


def density(a: np.ndarray, b: np.ndarray, limits: tuple[Limits, Limits], labels: tuple[str, str]) -> str:
    """Draw the joint density of points (a, b), both [n], as opacity; b points upwards."""
    counts = np.histogram2d(b, a, bins=60, range=[limits[1], limits[0]])[0][::-1]
    picture = np.zeros((*counts.shape, 4), np.uint8)
    picture[..., :3] = COOL
    # The cube root makes rare values visible.
    picture[..., 3] = np.round(255 * np.cbrt(counts / max(counts.max(), 1)))
    drawn, x, y = _frame(*limits, 320, 300, labels)
    (left, right), (bottom, top) = map(x, limits[0]), map(y, limits[1])
    drawn.insert(
        0,
        f'<image x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" '
        f'preserveAspectRatio="none" href="{picture_uri(picture)}"/>',
    )
    return _svg(drawn, 320, 300, f"joint density of {labels[0]} and {labels[1]}")


def scatter(a: np.ndarray, b: np.ndarray, labels: tuple[str, str]) -> str:
    """Draw points (a, b), both [n], subsampled evenly to at most 1,500."""
    every = -(-len(a) // 1500)
    a, b = a[::every], b[::every]
    drawn, x, y = _frame(_around(a), _around(b), 460, 300, labels)
    points = (f'<circle cx="{x(p):.1f}" cy="{y(q):.1f}" r="2.2"/>' for p, q in zip(a, b, strict=True))
    return _svg([*drawn, '<g class="points">', *points, "</g>"], 460, 300, f"{labels[1]} by {labels[0]}")


def lines(at: Sequence[float], series: dict[str, Sequence[float]], labels: tuple[str, str]) -> str:
    """Draw a line through (at, values) for each of the series, labelled at its end."""
    every = np.concatenate([np.asarray(values, float) for values in series.values()])
    drawn, x, y = _frame((min(at), max(at)), _around(every), 460, 280, labels, room=70)
    for number, (name, values) in enumerate(series.items()):
        drawn.append(_polyline(zip(map(x, at), map(y, values), strict=True), f"line series{number}"))
        drawn.append(_text(x(max(at)) + 6, y(values[-1]) + 4, name, "tick start"))
    return _svg(drawn, 460, 280, f"{labels[1]} by {labels[0]}")


def kernels(covariance: np.ndarray) -> str:
    """Draw kernels (covariances [K, 3]) at one sigma and at one scale, from the smallest area to the largest.

    The more elongated, the warmer the colour.
    """
    long, short, angle = principal_axes(covariance)
    columns = max(8, math.ceil(math.sqrt(len(long) * 2.4)))
    cell = 960 / columns
    # The few kernels beyond the 98th percentile may overlap their neighbours.
    scale = 0.47 * cell / max(np.quantile(long, 0.98), 1e-12)
    drawn = []
    for place, k in enumerate(np.argsort(long * short, kind="stable")):
        row, column = divmod(place, columns)
        warmth = 1 - short[k] / long[k]
        color = ",".join(f"{a + (b - a) * warmth:.0f}" for a, b in zip(COOL, WARM, strict=True))
        drawn.append(
            _ellipse((column + 0.5) * cell, (row + 0.5) * cell, long[k] * scale, short[k] * scale, angle[k])
            + f' fill="rgb({color})"/>'
        )
    return _svg(drawn, 960, math.ceil(math.ceil(len(long) / columns) * cell), f"the {len(long)} kernels")


def gaussians(
    means: np.ndarray,  # [N, 2] px
    cholesky: np.ndarray,  # [N, 3] px
    background: np.ndarray,  # [side, side, 3] uint8
    corner: tuple[float, float],
) -> str:
    """Draw the outlines of Gaussians at one sigma, and their centres, over a square window of pixels.

    The window's first pixel is at `corner` (x, y). Its pixels are drawn in darkened grey, so that the
    outlines stand out.
    """
    side = background.shape[0]
    darker = (background.mean(axis=2) * 0.6).astype(np.uint8)
    inside = ((means >= corner) & (means <= np.add(corner, side))).all(axis=1)
    axes = principal_axes(covariance_from_cholesky(cholesky[inside]))
    rows = np.column_stack([means[inside] - corner, *axes]).tolist()
    drawn = [
        f'<image width="{side}" height="{side}" href="{picture_uri(darker)}"/>',
        '<g class="outlines">',
        *(_ellipse(*row) + "/>" for row in rows),
        *(f'<circle cx="{x:.2f}" cy="{y:.2f}" r=".16"/>' for x, y, *_ in rows),
        "</g>",
    ]
    return _svg(drawn, side, side, "Gaussians at one sigma")


def picture_uri(pixels: np.ndarray) -> str:
    """Return uint8 pixels [H, W], [H, W, 3] or [H, W, 4] as a PNG in a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def ticks(limits: Limits, about: int = 5) -> list[float]:
    """Return about `about` round numbers within the limits, for an axis."""
    low, high = limits
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda candidate: abs(candidate - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _frame(
    limits_x: Limits, limits_y: Limits, width: int, height: int, labels: tuple[str, str], room: int = 0
) -> tuple[list[str], Scale, Scale]:
    """Return a box with ticks and labels, and its two scales; `room` is left free to its right."""
    left, right, top, bottom = 46, width - 12 - room, 10, height - 40
    x, y = _scale(limits_x, left, right), _scale(limits_y, bottom, top)
    drawn = [f'<path class="axis" d="M{left} {top}H{right}V{bottom}H{left}Z"/>']
    drawn += [_text(x(value), bottom + 15, _number(value), "tick") for value in ticks(limits_x)]
    drawn += [_text(left - 5, y(value) + 3.5, _number(value), "tick end") for value in ticks(limits_y)]
    drawn.append(_text((left + right) / 2, height - 6, labels[0], "label"))
    drawn.append(
        f'<text class="label" transform="translate(11 {(top + bottom) / 2}) rotate(-90)">{escape(labels[1])}'
        "</text>"
    )
    return drawn, x, y


def _scale(limits: Limits, start: float, end: float) -> Scale:
    low, high = limits
    return lambda value: float(start + (value - low) / (high - low) * (end - start))


def _around(values: np.ndarray) -> Limits:
    low, high = float(np.min(values)), float(np.max(values))
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _ellipse(x: float, y: float, long: float, short: float, angle: float) -> str:
    """Return the start of an ellipse's tag, to which attributes can be added."""
    at = f"translate({x:.2f} {y:.2f}) rotate({angle:.1f})"
    return f'<ellipse transform="{at}" rx="{long:.2f}" ry="{max(short, 0.02):.2f}"'


def _polyline(points: Iterable[tuple[float, float]], kind: str) -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{p:.1f},{q:.1f}" for p, q in points)}"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(drawn: list[str], width: float, height: float, label: str) -> str:
    inner = "".join(drawn)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{inner}</svg>'


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")
