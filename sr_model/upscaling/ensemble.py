"""The geometric self-ensemble: eight flips and turns of an image, encoded, turned back and averaged.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution" (EDSR, 2017), section 3.3;
papers mark results of it by a plus. A network does not treat a picture and its mirror image quite alike, and
errors that differ partly cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch

from splat2d import GaussianField

NO_MEAN = "the mean of an ensemble of normalised fields is not a field: save one without ensemble="


@dataclass(frozen=True)
class Turn:
    """One of the eight symmetries of a square: a transposition or none, then flips."""

    transposed: bool
    """Whether rows and columns are exchanged first."""
    left_right: bool
    """Whether the result is then mirrored from left to right."""
    upside_down: bool
    """Whether it is mirrored from top to bottom."""

    def of_image(self, image: np.ndarray) -> np.ndarray:
        """Turn an image [H, W, ...].

        >>> Turn(True, False, True).of_image(np.array([[1, 2, 3], [4, 5, 6]])).tolist()
        [[3, 6], [2, 5], [1, 4]]
        """
        if self.transposed:
            image = image.swapaxes(0, 1)
        if self.left_right:
            image = image[:, ::-1]
        return np.ascontiguousarray(image[::-1] if self.upside_down else image)

    def of_place(self, place: tuple[float, float], size: tuple[float, float]) -> tuple[float, float]:
        """Turn a place (y, x) on an image of `size` (height, width).

        >>> Turn(True, False, True).of_place((0.0, 1.0), (2, 3))
        (2.0, 0.0)
        """
        (y, x), (height, width) = place, size
        if self.transposed:
            y, x, height, width = x, y, width, height
        return height - y if self.upside_down else y, width - x if self.left_right else x

    def back(self, field: GaussianField) -> GaussianField:
        """Turn the field of a turned image back: the field of an image that was not.

        A flip negates S_xy, and thus l21; a transposition exchanges S_xx = l11^2 and S_yy = l21^2 + l22^2.
        """
        (x, y), (l11, l21, l22) = field.means.unbind(-1), field.cholesky.unbind(-1)
        height, width = field.size
        if self.left_right:
            x, l21 = width - x, -l21
        if self.upside_down:
            y, l21 = height - y, -l21
        if self.transposed:
            x, y, height, width = y, x, width, height
            across = torch.hypot(l21, l22)
            l11, l21, l22 = across, l11 * (l21 / across), l11 * (l22 / across)
        means, cholesky = torch.stack([x, y], -1), torch.stack([l11, l21, l22], -1)
        return replace(field, means=means, cholesky=cholesky, size=(height, width))


TURNS = tuple(Turn(*choices) for choices in product((False, True), repeat=3))
"""All eight; the first leaves an image as it is."""


def turned_fields(
    encode: Callable[[int, np.ndarray], GaussianField], image: np.ndarray
) -> Iterator[GaussianField]:
    """Yield the fields of the eight turns of an image [H, W, C], turned back, all on one canvas.

    `encode` is called with the index of each turn and the turned image.
    """
    for index, turn in enumerate(TURNS):
        yield turn.back(encode(index, turn.of_image(image)))


def one_field(fields: Sequence[GaussianField]) -> GaussianField:
    """Return the field that renders as the mean of several.

    Raises ValueError for several that are `normalised`: a mean of quotients is not one quotient.
    """
    if len(fields) == 1:
        return fields[0]
    if any(field.normalised for field in fields):
        raise ValueError(NO_MEAN)
    return GaussianField.merge([replace(field, colors=field.colors / len(fields)) for field in fields])
