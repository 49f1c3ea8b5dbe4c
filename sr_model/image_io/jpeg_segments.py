"""Segments of a JPEG file for metadata that Pillow does not write: XMP, IPTC and comments."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MOST_BYTES = 65_533
"""What a segment holds after its length (ITU-T T.81, B.1.1.4)."""
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_APP0, _APP1, _APP13, _APP15, _COM = 0xE0, 0xE1, 0xED, 0xEF, 0xFE


def xmp_segment(packet: bytes) -> bytes:
    """The content of APP1 with an XMP packet (XMP specification, part 3, 1.1.3)."""
    return _XMP + packet


def iptc_segment(records: bytes) -> bytes:
    """The content of APP13 with IPTC."""
    return _PHOTOSHOP + iptc_resource(records)


def iptc_resource(records: bytes) -> bytes:
    """IPTC as a Photoshop image resource without a name, padded to an even length."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(records))
    return resource + records + bytes(len(records) % 2)


def comment_segment(text: str) -> bytes:
    """The content of a comment: Latin-1 where that holds it, else UTF-8; the standard leaves it open."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def with_segments(jpeg: bytes, segments: Sequence[tuple[int, bytes]]) -> bytes:
    """Insert segments (marker, content) behind the application segments that a JPEG file begins with.

    >>> with_segments(b"\\xff\\xd8\\xff\\xe0\\0\\2\\xff\\xdb", [(0xED, b"abc")])
    b'\\xff\\xd8\\xff\\xe0\\x00\\x02\\xff\\xed\\x00\\x05abc\\xff\\xdb'
    """
    place = 2
    while jpeg[place] == 0xFF and _APP0 <= jpeg[place + 1] <= _APP15:
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    added = (
        b"\xff%c" % marker + struct.pack(">H", len(content) + 2) + content for marker, content in segments
    )
    return jpeg[:place] + b"".join(added) + jpeg[place:]


def metadata_segments(
    xmp: bytes | None, iptc: bytes | None, comments: Sequence[str] = ()
) -> list[tuple[int, bytes]]:
    """The segments (marker, content) of a packet, records and comments that fit; see MOST_BYTES."""
    segments = [(_APP1, xmp_segment(xmp))] if xmp else []
    if iptc:
        segments.append((_APP13, iptc_segment(iptc)))
    segments += [(_COM, comment_segment(text)) for text in comments]
    return [(marker, content) for marker, content in segments if len(content) <= MOST_BYTES]
