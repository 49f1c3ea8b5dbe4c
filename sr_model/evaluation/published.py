"""Published figures of arbitrary-scale super-resolution with source and protocol, from `published.toml`."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from .protocol import PROTOCOLS, Protocol

UNSTATED = "unstated"
"""In place of a protocol that the source does not state."""


@dataclass(frozen=True)
class Source:
    """Where figures were read."""

    paper: str
    """Title and venue of the document whose figures they are."""
    arxiv: str
    """Its arXiv number."""
    place: str
    """Table and row, or the document that quotes them."""
    url: str
    """Where that was read."""
    quoted: bool
    """Whether the figures were read in another document than their own."""
    note: str
    """What the protocol's name does not say."""


@dataclass(frozen=True)
class Published:
    """The figures of one method on one test set at one scale."""

    set: str
    """Name of the test set, as in `sr_model.evaluation.benchmark_sets.BENCHMARK_SETS`."""
    scale: float
    """The scale."""
    method: str
    """The method, with its encoder in brackets."""
    source: Source
    """Where they were read."""
    protocol: str
    """The protocol of `sr_model.PROTOCOLS` that measures alike, or UNSTATED."""
    figures: dict[str, float]
    """By metric: psnr (dB), ssim, lpips, dists, fid."""

    def comparable(self, protocol: Protocol, metric: str = "psnr") -> bool:
        """Whether `protocol` measures a metric alike at this scale: channel, border, rounding and LR images.

        False for perceptual metrics, which are of the whole image here, but not in the sources, or they do
        not say so.

        >>> gsasr = next(row for row in published() if row.protocol == "gsasr" and row.scale == 4)
        >>> gsasr.comparable(PROTOCOLS["benchmark"]), gsasr.comparable(PROTOCOLS["continuoussr"])
        (True, False)
        >>> gsasr.comparable(PROTOCOLS["benchmark"], "lpips")
        False
        """
        if metric not in ("psnr", "ssim"):
            return False
        theirs = PROTOCOLS.get(self.protocol)
        return theirs is not None and _choices(theirs, self.scale) == _choices(protocol, self.scale)


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """All published figures, in the order of the file."""
    text = files(__package__).joinpath("published.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    sources = {key: Source(**source) for key, source in data["sources"].items()}
    return tuple(
        Published(
            name,
            float(row["scale"]),
            row["method"],
            sources[row["source"]],
            row["protocol"],
            dict(zip(row["metrics"], map(float, values), strict=True)),
        )
        for row in data["rows"]
        for name, values in row["sets"].items()
    )


def _choices(protocol: Protocol, scale: float) -> tuple[str, int, bool, str]:
    return protocol.channel, math.ceil(protocol.shave(scale)), protocol.eight_bit, protocol.lr
