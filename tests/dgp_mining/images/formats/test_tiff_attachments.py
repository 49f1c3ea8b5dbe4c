"""What a TIFF file holds beyond its pixels is kept as it is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiff_files import LONG, RATIONAL, SHORT, write_tiff

from dgp_mining.images.stored import open_image


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


@pytest.mark.parametrize("kind", [1, LONG, 7], ids=["bytes", "longs", "undefined"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_belongs_to_the_image_is_kept_as_it_is_stored(path: Path, kind: int, order: str) -> None:
    """IPTC records are stored under several types (as LONG by Photoshop), XMP as bytes."""
    iptc = b"\x1c\x02\x05\x00\x03abc"
    end = "little" if order == "<" else "big"
    step = 4 if kind == LONG else 1
    numbers = [int.from_bytes(iptc[at : at + step], end) for at in range(0, len(iptc), step)]  # type: ignore[arg-type]
    more = {33723: (1 if kind == 7 else kind, numbers), 700: (1, list(b"<x:xmpmeta/>"))}
    more |= {282: (RATIONAL, [300, 1]), 283: (RATIONAL, [200, 1]), 296: (SHORT, [2])}
    write_tiff(path, (7, 9), bytes(63), [8], 1, more, order)
    attached = open_image(path).attachments()
    assert (attached.iptc, attached.xmp, attached.dpi) == (iptc, b"<x:xmpmeta/>", (300.0, 200.0))


def test_iptc_among_photoshops_resources_is_found(path: Path) -> None:
    resource = b"8BIM\x04\x04\0\0\0\0\0\x04abcd"
    write_tiff(path, (7, 9), bytes(63), [8], 1, {34377: (1, list(resource))})
    assert open_image(path).attachments().iptc == b"abcd"
