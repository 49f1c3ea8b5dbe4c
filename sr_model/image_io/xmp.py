"""XMP packets of upscaled images: what they say of the old pixels is adjusted, all else stays as it is."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_OF_OTHER_PARTS = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": ("gain map", rb"\w+"),
    "http://ns.google.com/photos/1.0/container/": ("further images", rb"\w+"),
    "http://ns.google.com/photos/1.0/camera/": ("motion photo", rb"(?:MotionPhoto|MicroVideo)\w*"),
    "http://ns.google.com/photos/1.0/depthmap/": ("depth map", rb"\w+"),
    "http://ns.google.com/photos/1.0/panorama/": ("panorama", rb"\w+"),
}
"""By namespace: what its properties (those with such names) describe in pixels or bytes of the old file."""
_MOST_WORK = 100_000_000
"""Bytes of a packet times properties that are looked for in it: they are, each to the end of the packet, in
seconds. Packets of cameras and editors have a tenth of it at most."""
_SPACES = re.compile(rb"""xmlns:([\w.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def resized_xmp(packet: bytes, width: int | None, height: int | None, to_srgb: bool = False) -> bytes | None:
    """Return an XMP packet for upright pixels of another size.

    The properties tiff:ImageWidth, tiff:ImageLength, exif:PixelXDimension and exif:PixelYDimension become the
    new size unless that is None, tiff:Orientation becomes 1, and if colours were converted `to_srgb`,
    exif:ColorSpace becomes 1 (sRGB). A reference to an extended packet, which is not kept, is removed.
    Returns None if the packet is not well-formed XML in UTF-8, or `is_laborious`.

    >>> head = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    >>> resized_xmp(head + b'tiff:Orientation="6" tiff:ImageWidth="40"/>', 80, 60).removeprefix(head)
    b'tiff:Orientation="1" tiff:ImageWidth="80"/>'
    """
    if not is_well_formed(packet) or is_laborious(packet):
        return None
    names = {(one or other).decode(): prefix for prefix, one, other in _SPACES.findall(packet)}
    values = {
        (_TIFF, b"Orientation"): 1,
        (_TIFF, b"ImageWidth"): width,
        (_TIFF, b"ImageLength"): height,
        (_EXIF, b"PixelXDimension"): width,
        (_EXIF, b"PixelYDimension"): height,
        (_EXIF, b"ColorSpace"): 1 if to_srgb else None,
    }
    changed = packet
    for (space, name), value in values.items():
        if space in names and value is not None:
            changed = _with_value(changed, names[space] + b":" + name, b"%d" % value)
    if _NOTE in names:
        extended = re.escape(names[_NOTE] + b":HasExtendedXMP")
        changed = re.sub(rb"""\s%b\s*=\s*("[^"]*"|'[^']*')""" % extended, b"", changed)
        changed = re.sub(rb"<%b>[^<]*</%b>" % (extended, extended), b"", changed)
    return changed if is_well_formed(changed) else None


def without_other_parts(packet: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Remove the properties of other images in the file, which a result does not have, and of panoramas.

    Returns the packet, and what was removed, such as "gain map". If a property cannot be cut out, nothing is.
    """
    changed = packet
    removed: list[str] = []
    for prefix, one, other in _SPACES.findall(packet):
        what, names = _OF_OTHER_PARTS.get((one or other).decode("utf-8", "replace"), ("", b""))
        if not what:
            continue
        name = re.escape(prefix) + b":" + names
        shorter = re.sub(rb"<(%b)(?:\s[^>]*)?(?:/>|(?<!/)>.*?</\1\s*>)" % name, b"", changed, flags=re.DOTALL)
        shorter = re.sub(rb"""\s%b\s*=\s*("[^"]*"|'[^']*')""" % name, b"", shorter)
        if shorter != changed:
            changed, removed = shorter, [*removed, what]
    return (changed, tuple(removed)) if is_well_formed(changed) else (packet, ())


def is_laborious(packet: bytes) -> bool:
    """Whether adjusting a packet might take minutes, as one that is made for it does.

    >>> is_laborious(b'<x xmlns:exif="http://ns.adobe.com/exif/1.0/"><exif:Flash/></x>')
    False
    """
    adjusted = {_TIFF, _EXIF, _NOTE, *_OF_OTHER_PARTS}
    found = {
        prefix
        for prefix, one, other in _SPACES.findall(packet)
        if (one or other).decode("utf-8", "replace") in adjusted
    }
    return len(packet) * sum(packet.count(prefix + b":") for prefix in found) > _MOST_WORK


def is_well_formed(packet: bytes) -> bool:
    """Whether a packet is XML in UTF-8 that declares no entities."""
    if b"<!" in packet.replace(b"<!--", b"").replace(b"<![CDATA[", b""):  # XMP has no document type
        return False
    try:
        packet.decode("utf-8")
        ElementTree.fromstring(packet.rstrip(b"\0"))
    except (ElementTree.ParseError, ValueError):
        return False
    return True


def _with_value(packet: bytes, name: bytes, value: bytes) -> bytes:
    """Replace the value of a simple property, which is an attribute or an element."""
    name = re.escape(name)
    packet = re.sub(rb"""(\s%b\s*=\s*)(?:"[^"]*"|'[^']*')""" % name, rb'\g<1>"%b"' % value, packet)
    return re.sub(rb"(<%b(?:\s[^>]*)?>)[^<]*(</%b\s*>)" % (name, name), rb"\g<1>%b\g<2>" % value, packet)
