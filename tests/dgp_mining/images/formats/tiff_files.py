"""Writing TIFF files by the letter of TIFF 6.0, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SHORT, LONG, RATIONAL = 3, 4, 5
_BYTES = {1: 1, 2: 1, SHORT: 2, LONG: 4, RATIONAL: 4}


def noise(*shape: int, bits: int = 8) -> np.ndarray:
    dtype = np.uint8 if bits <= 8 else np.uint16
    return np.random.default_rng(len(shape) + bits).integers(0, 1 << bits, shape, dtype)


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of samples, the first bit of each being the most significant (TIFF 6.0, section 8)."""
    rows = values.reshape(values.shape[0], -1)
    spread = (rows[..., None] >> np.arange(bits)[::-1]) & 1
    return b"".join(np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in spread)


def write_tiff(
    path: Path,
    size: tuple[int, int],
    content: bytes,
    bits: list[int],
    photometric: int | None,
    more: dict[int, tuple[int, list[int]]] | None = None,
    order: str = "<",
) -> None:
    """Write one strip by the letter of TIFF 6.0, section 2; `more` gives the types and numbers of tags."""
    end = "little" if order == "<" else "big"
    tags: dict[int, tuple[int, list[int]]] = {
        256: (SHORT, [size[1]]),
        257: (SHORT, [size[0]]),
        258: (SHORT, bits),
        259: (SHORT, [1]),
        273: (LONG, [8]),
        277: (SHORT, [len(bits)]),
        278: (SHORT, [size[0]]),
        279: (LONG, [len(content)]),
        **({} if photometric is None else {262: (SHORT, [photometric])}),
        **(more or {}),
    }
    content += bytes(len(content) % 2)
    start = 8 + len(content)  # of the directory
    outside, entries = start + 2 + 12 * len(tags) + 4, b""
    values = b""
    for tag, (kind, numbers) in sorted(tags.items()):
        value = b"".join(number.to_bytes(_BYTES[kind], end) for number in numbers)  # type: ignore[arg-type]
        count = len(numbers) // (2 if kind == RATIONAL else 1)
        if len(value) > 4:
            values, value = values + value, (outside + len(values)).to_bytes(4, end)  # type: ignore[arg-type]
        fields = (tag.to_bytes(2, end), kind.to_bytes(2, end), count.to_bytes(4, end))  # type: ignore[arg-type]
        entries += b"".join(fields) + value.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + start.to_bytes(4, end)  # type: ignore[arg-type]
    count_ = len(tags).to_bytes(2, end)  # type: ignore[arg-type]
    path.write_bytes(head + content + count_ + entries + bytes(4) + values)
