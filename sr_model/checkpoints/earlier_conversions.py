"""Checkpoints that an earlier release converted: settings that it got wrong are put right when they are read.

`sr-convert` of 0.1.0 wrote the right weights, but for a network that read them differently from the released
code. Its files say that they were converted, and lack the settings that tell the two apart. Networks trained
here lack these settings too, and keep the behaviour with which they were trained.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

RELEASED: dict[tuple[str, str | None], tuple[str, bool, str]] = {
    ("continuoussr", None): ("activated_offsets", True, "computed offsets from plain features"),
    ("gsasr", "edsr"): ("long_skip", False, "added a long skip to EDSR's features"),
}
"""By architecture and encoder (None for every encoder): the setting that 0.1.0 did not have, its value in the
released network, and what 0.1.0 did in its place."""


def put_right(
    path: str | Path, architecture: str, network: Mapping[str, Any], notes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the header's network settings, with the released behaviour if 0.1.0 converted the file.

    Args:
        path: of the file, for the warning.
        architecture: name of the network's architecture.
        network: settings in the file's header.
        notes: the rest of the header, whose `converted` marks a conversion.
    """
    if "converted" not in notes:
        return network
    encoder = network.get("encoder")
    for kind in (None, encoder if isinstance(encoder, str) else None):
        setting, released, fault = RELEASED.get((architecture, kind), ("", False, ""))
        if setting and setting not in network:
            log.warning(
                "%s was converted by an earlier release, which %s, unlike the released network: this is put "
                "right here; convert it again, so that the file itself is right",
                path,
                fault,
            )
            network = {**network, setting: released}
    return network
