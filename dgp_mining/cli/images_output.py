"""The output of `dgp-mine images`, and the grouping of reasons that `fit` shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..harmless import harmless
from ..images.paths import counted
from ..images.survey import Survey, Surveyed, kinds
from ..terminal import count, listed


def survey_text(found: Survey) -> str:
    """Format the output of `dgp-mine images` without --json."""
    unreadable = found.unreadable
    head = f"{found.folder}: {count(len(found.images), 'image')}"
    if unreadable:
        head += f", {len(unreadable):,} of them cannot be read"
    lines = [head]
    lines += [f"{len(alike):>7,} x {kind}, {_sizes(alike)}" for kind, alike in kinds(found.images)]
    notes = [(image.path, note) for image in found.images for note in image.notes]
    lines += listed([f"note: {text}" for text in grouped((path, f"{path}: {note}") for path, note in notes)])
    copies = [f"{image.path} = {image.duplicate_of}" for image in found.images if image.duplicate_of]
    if copies:
        lines.append(f"{count(len(copies), 'image')} with the content of another, which fit mines once:")
        lines += [f"  {line}" for line in listed(copies)]
    errors = ((f"{found.folder}/{image.path}", image.error) for image in unreadable)
    lines += every_one("cannot be read", errors)
    if found.others:
        lines.append(f"{counted(found.others)}.")
    if found.misnamed:
        path, form = next(iter(found.misnamed.items()))
        such = "such as " if len(found.misnamed) > 1 else ""
        lines.append(
            f"{len(found.misnamed):,} of them would be read with the right suffix: {such}{path}, which is "
            f"{form}."
        )
    return "\n".join([*lines, *(f"warning: {text}" for text in found.warnings)])


def _sizes(images: list[Surveyed]) -> str:
    """The sizes of images, from the one with the fewest pixels to the one with the most."""
    ordered = sorted(images, key=lambda image: (image.width * image.height, image.width))
    first, last = (f"{image.width}x{image.height}" for image in (ordered[0], ordered[-1]))
    return first if first == last else f"{first} to {last}"


def every_one(what: str, problems: Iterable[tuple[str, str]]) -> list[str]:
    """Say the same of several images once, as `grouped`, and name them all: each has to be mended.

    >>> every_one("skipped", [("x/a.png", "x/a.png is empty."), ("x/b.png", "x/b.png is empty.")])
    ['skipped: 2 images, the first x/a.png: each is empty.', '  x/b.png']
    """
    lines = []
    for sentence, others in _groups(problems):
        lines += [f"{what}: {sentence}", *(f"  {path}" for path in others)]
    return lines


def grouped(problems: Iterable[tuple[str, str]]) -> list[str]:
    """Say the same of several images once: (path, sentence that may begin with it) -> sentences.

    >>> grouped([("a.heic", "a.heic is HEIC: install it."), ("b.heic", "b.heic is HEIC: install it.")])
    ['2 images, the first a.heic: each is HEIC: install it.']
    >>> grouped([("a.png", "a.png: its overlay is left out"), ("b.png", "b.png: its overlay is left out")])
    ['2 images, the first a.png: its overlay is left out']
    >>> grouped([("a.png", "a.png is 9x9, too small."), ("b.png", "b.png is 8x7, too small.")])
    ['2 images alike, the first: a.png is 9x9, too small.']
    """
    return [sentence for sentence, _ in _groups(problems)]


def _groups(problems: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield the sentences of `grouped`, each with the paths of the images that it does not name."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for path, text in problems:
        rest = text.removeprefix(harmless(path)).removeprefix(":").strip()
        groups.setdefault(re.sub(r"\d+", "0", rest), []).append((path, text, rest))
    for group in sorted(groups.values(), key=len, reverse=True):
        path, text, rest = group[0]
        others = [other for other, _, _ in group[1:]]
        if len(group) == 1:
            yield text, others
        elif len({rest for _, _, rest in group}) == 1:
            each = "each " if text.startswith(f"{harmless(path)} ") else ""
            yield f"{count(len(group), 'image')}, the first {path}: {each}{rest}", others
        else:
            yield f"{count(len(group), 'image')} alike, the first: {text}", others
