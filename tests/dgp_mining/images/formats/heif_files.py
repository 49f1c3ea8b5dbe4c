"""Adding properties and references to AVIF and HEIF files, which encoders do not write."""

from __future__ import annotations

import struct


def with_properties(
    file: bytes, *properties: tuple[bytes, bytes], alpha_is_premultiplied: bool = False
) -> bytes:
    """Append properties (kind, content) to the first item, and a prem reference from item 1 to 2."""
    meta = _content(file, b"meta")[4:]
    parts = dict(_boxes(meta))
    ipco, ipma = (_content(parts[b"iprp"], kind) for kind in (b"ipco", b"ipma"))
    first = len(list(_boxes(ipco))) + 1
    ipco += b"".join(_box(kind, content) for kind, content in properties)
    count = ipma[10]
    added = bytes(0x80 | (first + index) for index in range(len(properties)))
    ipma = ipma[:10] + bytes([count + len(added)]) + ipma[11 : 11 + count] + added + ipma[11 + count :]
    parts[b"iprp"] = _box(b"ipco", ipco) + _box(b"ipma", ipma)
    if alpha_is_premultiplied:
        parts[b"iref"] += _box(b"prem", struct.pack(">HHH", 1, 1, 2))
    longer = sum(8 + len(content) for content in parts.values()) - len(meta)
    parts[b"iloc"] = _moved(parts[b"iloc"], longer)
    whole = bytes(4) + b"".join(_box(kind, content) for kind, content in parts.items())
    return b"".join(_box(kind, whole if kind == b"meta" else content) for kind, content in _boxes(file))


def _moved(iloc: bytes, by: int) -> bytes:
    """The item locations with all offsets into the file increased: 4 bytes each, no base offset used."""
    version, base_size, count = iloc[0], iloc[5] >> 4, int.from_bytes(iloc[6:8])
    assert iloc[4] == 0x44
    moved, at = bytearray(iloc), 8
    for _ in range(count):
        method = int.from_bytes(iloc[at + 2 : at + 4]) & 15 if version else 0
        at += (6 if version else 4) + base_size
        extents = int.from_bytes(iloc[at : at + 2])
        at += 2
        for _ in range(extents):
            if method == 0:
                moved[at : at + 4] = (int.from_bytes(iloc[at : at + 4]) + by).to_bytes(4)
            at += 8
    return bytes(moved)


def _boxes(file: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(file):
        length = int.from_bytes(file[at : at + 4])
        found.append((file[at + 4 : at + 8], file[at + 8 : at + length]))
        at += length
    return found


def _content(file: bytes, kind: bytes) -> bytes:
    return dict(_boxes(file))[kind]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
