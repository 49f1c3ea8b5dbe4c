"""Pages of line art, drawn: outlines, hatching and lines of glyphs, black on white, with smooth edges."""

import math

import numpy as np
from PIL import Image, ImageDraw

SIDE = 320
"""Pixels on a side of a page."""
FINER = 4
"""Pages are drawn larger by this factor and then averaged, which smooths the edges."""


def page(number: int) -> Image.Image:
    """Page `number`, SIDE x SIDE pixels; the same on every machine but for the rounding of PIL's version."""
    random = np.random.default_rng(number)
    large = Image.new("L", (SIDE * FINER, SIDE * FINER), 255)
    pen = ImageDraw.Draw(large)
    for _ in range(5):
        hatch(pen, random)
    for _ in range(8):
        outline(pen, random)
    for row in range(4):
        glyphs(pen, random, top=FINER * (SIDE // 2 + 38 * row + 6))
    return large.reduce(FINER).convert("RGB")


def outline(pen: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """A closed wavy curve with strokes of 1 to 3 pixels."""
    angles = np.linspace(0, 2 * math.pi, 90)
    radius = random.uniform(15, 70) * (
        1 + 0.3 * np.sin(random.integers(2, 6) * angles + random.uniform(0, 6))
    )
    x, y = random.uniform(0, SIDE), random.uniform(0, SIDE / 2)
    points = FINER * np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1)
    pen.line([tuple(point) for point in points], fill=0, width=int(FINER * random.uniform(1, 3)))


def hatch(pen: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """Parallel strokes of 1 to 1.5 pixels, 4 to 9 pixels apart."""
    x, y = random.uniform(20, SIDE - 20), random.uniform(20, SIDE / 2)
    direction, distance = random.uniform(0, math.pi), random.uniform(4, 9)
    along = np.array([math.cos(direction), math.sin(direction)])
    across = np.array([-along[1], along[0]])
    for index in range(-6, 7):
        middle = np.array([x, y]) + index * distance * across
        reach = random.uniform(20, 40) * along
        ends = FINER * np.stack([middle - reach, middle + reach])
        pen.line([tuple(end) for end in ends], fill=0, width=int(FINER * random.uniform(1, 1.5)))


def glyphs(pen: ImageDraw.ImageDraw, random: np.random.Generator, top: float) -> None:
    """A line of made-up letters, 6 to 20 pixels high, each of three strokes and an arc."""
    height = random.uniform(6, 20)
    left, width = 8.0, 0.65 * height
    while left + width < SIDE - 8:
        corners = random.integers(0, 3, (4, 2)) / 2 * [width, height] + [left, top / FINER]
        thick = max(FINER, int(FINER * height / 9))
        pen.line([tuple(FINER * corner) for corner in corners], fill=0, width=thick)
        low = random.integers(0, 2) * height / 2
        box = FINER * np.array([left, top / FINER + low, left + width, top / FINER + low + height / 2])
        pen.arc([tuple(box[:2]), tuple(box[2:])], 0, float(random.choice([180, 360])), 0, thick)
        left += width * (2.6 if random.random() < 0.15 else 1.4)
