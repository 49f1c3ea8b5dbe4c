"""What a layout of public weights is: the names that identify it, and for encoders our names of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..encoders import Encoder, make_encoder
from .ncnn_file import MEAN, RANGE


@dataclass(frozen=True)
class Signature:
    """The names of the tensors by which weights are recognised."""

    name: str
    """The network and the repository."""
    marks: tuple[str, ...]
    """Names that the weights have, all of them."""
    others: tuple[str, ...] = ()
    """Regular expressions that match the whole names of further tensors of such files."""
    lacks: tuple[str, ...] = ()
    """Names that the weights do not have, unlike those of another layout with the same marks."""

    def fits(self, names: Container[str]) -> bool:
        """Whether names of tensors are those of such weights."""
        return all(mark in names for mark in self.marks) and not any(name in names for name in self.lacks)

    def knows(self, name: str) -> bool:
        """Whether files of the layout have a tensor of this name."""
        return name in self.marks or any(re.fullmatch(pattern, name) for pattern in self.others)

    def missing(self, names: Collection[str]) -> list[str]:
        """The names of further tensors that such weights should have."""
        return [mark for mark in self.marks if mark not in names]


@dataclass(frozen=True, kw_only=True)
class Layout(Signature):
    """A repository's names of an encoder's weights, and the units in which that encoder reads images."""

    encoder: type[Encoder]
    """Our encoder of the same structure."""
    renames: tuple[tuple[str, str], ...]
    """Regular expressions that match a whole name, without nested groups, each with our name for it."""
    mean: tuple[float, float, float]
    """Subtracted from an image."""
    range: float = 1.0
    """Difference between white and black in the layout's images."""
    first: str = ""
    """Matches our names of the layers whose weights take up `range`, because what follows them is not
    piecewise linear: the first of the network, or those of factors that features are multiplied by."""
    behind: str = ""
    """Matches our names of what follows them, whose biases are then not in units of `range`."""
    upsampler: str = ""
    """Name of the layer that makes the picture of the encoder's features, if it is one sub-pixel
    convolution."""
    long_skip: bool = True
    """Whether EDSR adds its first features to its last ones."""
    prepare: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict
    """Makes of a file's tensors those that are renamed; raises ValueError, with what is wrong with them."""

    def rename(self, name: str) -> str | None:
        """Return our name for a tensor; None if it belongs to no layer of our encoder.

        >>> from sr_model.checkpoints.layouts import EDSR_PYTORCH
        >>> EDSR_PYTORCH.rename("body.7.body.0.bias"), EDSR_PYTORCH.rename("tail.1.bias")
        ('blocks.7.first.bias', None)
        """
        for pattern, ours in self.renames:
            if match := re.fullmatch(pattern, name):
                return match.expand(ours)
        return None

    def knows(self, name: str) -> bool:
        return super().knows(name) or self.rename(name) is not None or name in (MEAN, RANGE)

    def missing(self, names: Collection[str]) -> list[str]:
        """The names of further tensors of the encoder that such weights should have.

        The depth is that of the blocks of which there is something.
        """
        ours = {renamed for name in names if (renamed := self.rename(name))}
        return [self.public_name(name) for name in self._own_names(depth(ours)) if name not in ours]

    def public_name(self, ours: str) -> str:
        """Return the layout's name for a tensor of our encoder, with * for numbers that ours has not.

        >>> from sr_model.checkpoints.layouts import EDSR_PYTORCH
        >>> EDSR_PYTORCH.public_name("blocks.7.first.bias"), EDSR_PYTORCH.public_name("tail.bias")
        ('body.7.body.0.bias', 'body.*.bias')
        """
        for pattern, template in self.renames:
            parts = re.split(r"\\(\d)", template)
            shape = "".join(rf"(?P<g{p}>\w+)" if i % 2 else re.escape(p) for i, p in enumerate(parts))
            if match := re.fullmatch(shape, ours):
                public = pattern
                for value in match.groups():
                    public = re.sub(r"\([^()]*\)", value, public, count=1)
                return public.replace(r"\d+", "*").replace("\\", "")
        return ours

    def _own_names(self, blocks: int) -> list[str]:
        """The names of our encoder's weights, except those of its upsampler and its mean."""
        with torch.device("meta"):
            encoder = make_encoder(_Smallest(self.encoder.__name__.lower(), max(1, blocks)), upsampling=1)
        return [name for name in encoder.state_dict() if name != "mean" and not name.startswith("upsample.")]


@dataclass(frozen=True)
class _Smallest:
    """Settings of an encoder of which only the names of the weights are of interest."""

    encoder: str
    depth: int
    width: int = 60
    """Of which every encoder can be made."""
    long_skip: bool = True
    residual_scale: float = 1.0


def depth(ours: Iterable[str]) -> int:
    """Return the number of blocks or groups in our names of an encoder's weights."""
    return len({match[1] for name in ours if (match := re.match(r"(?:blocks|groups)\.(\d+)\.", name))})
