"""What a layout of public weights is: the names that identify it, and for encoders our names of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from torch import Tensor

from ..encoders import Encoder, make_encoder
from .ncnn_file import MEAN, RANGE

DEEPEST = 32
"""Blocks of an encoder whose names are compared with those in a file; published ones have up to 32."""


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

    @cached_property
    def known(self) -> re.Pattern[str]:
        """Matches the whole names of all tensors that files of the layout have."""
        return re.compile("|".join([*map(re.escape, self.marks), *(f"(?:{other})" for other in self.others)]))

    def knows(self, name: str) -> bool:
        """Whether files of the layout have a tensor of this name."""
        return self.known.fullmatch(name) is not None

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

    @cached_property
    def known(self) -> re.Pattern[str]:
        theirs = [*(pattern for pattern, _ in self.renames), *map(re.escape, (MEAN, RANGE))]
        return re.compile("|".join([super().known.pattern, *(f"(?:{pattern})" for pattern in theirs)]))

    def missing(self, names: Collection[str]) -> list[str]:
        """The names of further tensors of the encoder that such weights should have.

        The depth is that of the blocks of which there is something.
        """
        ours = {renamed for name in names if self.knows(name) and (renamed := self.rename(name))}
        names_of = own_names(self.encoder.__name__.lower(), min(max(1, depth(ours)), DEEPEST))
        return [self.public_name(name) for name in names_of if name not in ours]

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


def own_names(encoder: str, blocks: int) -> list[str]:
    """The names of the weights of an encoder of ours, except those of its upsampler and its mean."""
    names = [name for name in _of_one_block(encoder) if name != "mean" and not name.startswith("upsample.")]
    numbered = re.compile(r"(blocks|groups)\.0\.")
    inside = [name for name in names if numbered.match(name)]
    before = names[: names.index(inside[0])]
    of_blocks = [numbered.sub(rf"\g<1>.{block}.", name, 1) for block in range(blocks) for name in inside]
    return [*before, *of_blocks, *(name for name in names if name not in before and name not in inside)]


@cache
def _of_one_block(encoder: str) -> list[str]:
    with torch.random.fork_rng(devices=[]):  # whose weights are of no interest
        return list(make_encoder(_Smallest(encoder, 1), upsampling=1).state_dict())


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
