"""Images that a store has already under other names: renamed ones, and copies in another folder."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..images.file_content import sha256_of
from ..planning.headers import Header
from ..retry import retry
from .columns import ArrayName
from .crop_results import UNREAD
from .store import Store


def mined_before(
    store: Store, paths: Sequence[Path], names: Sequence[str], headers: Sequence[Header]
) -> dict[int, str]:
    """Return which images have the bytes of one that `store` has under another name: index -> that name.

    Only files whose dimensions and sizes agree with those of such an image are read.
    """
    plan = store.plan
    used = np.unique(plan.image).tolist()
    known = {plan.names[image] for image in used}
    stored: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for image in used:
        stored[(*plan.sizes[image].tolist(), int(plan.nbytes[image]))].append(image)
    alike = {
        i: stored[(*header.size, header.nbytes)]
        for i, (name, header) in enumerate(zip(names, headers, strict=True))
        if name not in known
        and (*header.size, header.nbytes) in stored
        and not paths[i].is_dir()  # the digest of an OME-Zarr image does not cover its pixels
    }
    content = _contents(store, sorted({image for images in alike.values() for image in images}))
    found = {}
    for i, images in alike.items():
        try:
            digest = retry(functools.partial(sha256_of, paths[i]))
        except OSError:
            continue
        if same := [plan.names[image] for image in images if digest in content[image]]:
            found[i] = min(same)
    return found


def _contents(store: Store, images: Sequence[int]) -> dict[int, set[bytes]]:
    """Return the digests of the files from which the crops of each of these images were read."""
    found: dict[int, set[bytes]] = {image: set() for image in images}
    crops = np.flatnonzero(np.isin(store.plan.image, images))
    digests = store.read(ArrayName.SHA256, crops)
    for image, digest in zip(store.plan.image[crops].tolist(), digests, strict=True):
        found[image].add(digest.tobytes())
    return {image: digests - {UNREAD} for image, digests in found.items()}
