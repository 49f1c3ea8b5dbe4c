"""PNG (W3C, third edition)."""

from __future__ import annotations

import functools
import logging
import struct
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np

from ..attachments import exif_orientation
from ..colour import profile_of
from ..encoding import SRGB, Chromaticities, Encoding
from ..h273 import encoding_of, is_known
from ..image_file import Alpha, ImageFile, Levels, Model, Samples, full_range
from ..limits import ImageError, check_held, check_size
from ..reading import Reading, no_such_slice
from .jpeg import says_adobe_rgb
from .pillow_file import frame_note, open_pillow
from .png_chunks import COLOURS, Chunks, attachments, exif_of, inflate, read_chunks, without_animation

logging.getLogger("imagecodecs").setLevel("CRITICAL")  # libpng's remarks on chunks, which are read here

_GAMMA_TOLERANCE = 0.05
"""A gAMA chunk this near to 1/2.2 stands for sRGB, as in libpng (PNG_GAMMA_THRESHOLD), if primaries do not
say otherwise."""


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a PNG file. Raises ImageError."""
    chunks = read_chunks(path)
    check_size(path, chunks.height, chunks.width)
    check_held(path, chunks.height, chunks.width, chunks.least_bytes)
    frame, frames = reading.slice or 0, _frames(chunks)
    if frame >= frames:
        raise no_such_slice(path, frames, "frames", frame)
    if frame and chunks.depth == 16:
        raise ImageError(
            f"{path} has frames of 16 bits, of which the first alone is read: convert the others."
        )
    palette, colour = bool(chunks.kind & 1), bool(chunks.kind & 2)
    depth = 8 if palette else max(8, chunks.depth)
    transparent = bool(chunks.kind & 4) or (b"tRNS" in chunks.contents and b"tRNS" not in chunks.behind)
    encoding, notes = _encoding(chunks)
    levels = full_range(depth)
    if _is_narrow(chunks):
        levels = _narrow_range(depth, 3 if colour else 1, transparent)
    exif = exif_of(path, chunks)
    if encoding == SRGB and says_adobe_rgb(exif):  # "of historical value only" (eXIf)
        notes.append("its EXIF says Adobe RGB, which does not count in PNG: it is taken for sRGB")
    return ImageFile(
        path=path,
        format="PNG",
        height=chunks.height,
        width=chunks.width,
        model=Model.RGB if colour else Model.GREY,
        channels=3 if colour else 1,
        alpha=Alpha.STRAIGHT if transparent else Alpha.NONE,
        bits=8 if palette else chunks.depth,
        levels=levels,
        levels_by_pixels=_levels_by_pixels(chunks, levels),
        encoding=encoding,
        orientation=exif_orientation(exif),
        notes=(*frame_note(frame, frames, "frames"), *notes),
        decode=functools.partial(_decode, path, chunks, frame),
        attachments=lambda: attachments(path, chunks),
    )


def _levels_by_pixels(chunks: Chunks, levels: Levels) -> str:
    """What is white if sBIT gives fewer bits than there are; see `as_significant`."""
    bits = chunks.contents.get(b"sBIT", b"")[: 3 if chunks.kind & 2 else 1]
    if chunks.kind & 1 or b"sBIT" in chunks.behind or not 0 < max(bits, default=0) < chunks.depth >= 8:
        return ""
    white = int(np.max(levels.white))
    return f"white is {white:,}, or {(1 << max(bits)) - 1:,} if its numbers are not scaled up"


def _frames(chunks: Chunks) -> int:
    """Number of frames, among them the still image that other programs show (APNG: acTL, fcTL)."""
    control = chunks.contents.get(b"acTL", b"")
    if len(control) != 8 or b"acTL" in chunks.behind:
        return 1
    return max(1, int.from_bytes(control[:4])) + (not chunks.animated)


def _is_narrow(chunks: Chunks) -> bool:
    """Whether a cICP chunk that counts says a narrow range, even if it leaves the colours to others."""
    codes = tuple(chunks.contents.get(b"cICP", b""))
    if len(codes) != 4 or b"cICP" in chunks.behind:
        return False
    return codes[2:] == (0, 0) and is_known((codes[0], codes[1], 0, 0))


def _narrow_range(depth: int, channels: int, transparent: bool) -> Levels:
    """Levels of a narrow-range image (ITU-T H.273, 8.3, equations 20 to 22); alpha has the full range."""
    black, white = [float(16 << depth - 8)] * channels, [float(235 << depth - 8)] * channels
    if transparent:
        black, white = [*black, 0.0], [*white, float((1 << depth) - 1)]
    return Levels(tuple(black), tuple(white), "clip")


def _encoding(chunks: Chunks) -> tuple[Encoding, list[str]]:
    """The encoding that the chunk of highest precedence says, and notes on chunks that are ignored."""
    notes: list[str] = []
    present = [kind for kind in COLOURS if kind in chunks.contents]
    for kind in [kind for kind in present if kind in chunks.behind]:
        notes.append(f"its {kind.decode()} chunk lies behind the pixels and is ignored")
        present.remove(kind)
    for kind in present:
        content = chunks.contents[kind]
        try:
            match kind:
                case b"cICP":
                    encoding = _from_cicp(content)
                case b"iCCP":
                    encoding = Encoding(inflate(content.partition(b"\0")[2][1:]), said_by="its iCCP chunk")
                case b"sRGB":
                    encoding = Encoding(said_by="its sRGB chunk")
                case _:
                    return _from_gamma(chunks, present, notes), notes
        except ValueError as error:
            notes.append(f"its {kind.decode()} chunk is ignored ({error})")
            continue
        if encoding is not None:
            return encoding, notes
    return SRGB, notes


def _from_cicp(content: bytes) -> Encoding | None:
    """cICP (11.3.2.6). Raises ValueError if it is damaged or not known."""
    if len(content) != 4:
        raise ValueError("it is damaged")
    codes = (content[0], content[1], content[2], content[3])
    if codes[2] != 0:
        raise ValueError("its matrix is not that of RGB")
    if codes[3] > 1:
        raise ValueError("it is damaged")
    if not is_known(codes):
        raise ValueError(f"code points {codes[0]} and {codes[1]} are not read")
    return encoding_of(codes, "its cICP chunk")


def _from_gamma(chunks: Chunks, present: list[bytes], notes: list[str]) -> Encoding:
    """gAMA and cHRM (11.3.2.2 and 11.3.2.1). A chunk that is impossible counts as missing.

    A gamma near 1/2.2 stands for sRGB only with its primaries: with those of Adobe RGB, it is what it says.
    """
    encoding, content = SRGB, chunks.contents.get(b"cHRM", b"")
    if b"cHRM" in present and len(content) == 32:
        white_x, white_y, *rgb = (value / 100_000 for value in struct.unpack(">8I", content))
        points: Chromaticities = (white_x, white_y, rgb[0], rgb[1], rgb[2], rgb[3], rgb[4], rgb[5])
        encoding = Encoding(primaries=points, said_by="its cHRM chunk")
        if profile_of(encoding) is None:
            notes.append("its cHRM chunk names impossible colours and is ignored")
            encoding = SRGB
    others = not encoding.is_srgb and bool(chunks.kind & 2)
    if b"gAMA" in present:
        gamma = int.from_bytes(chunks.contents[b"gAMA"]) / 100_000
        if 0.05 <= gamma <= 20 and (others or abs(gamma * 2.2 - 1) > _GAMMA_TOLERANCE):
            said = "its gAMA and cHRM chunks" if others else "its gAMA chunk"
            encoding = replace(encoding, transfer=1 / gamma, said_by=said)
    return encoding


def _decode(path: Path, chunks: Chunks, frame: int) -> Samples:
    if frame:
        return Samples(_later_frame(path, chunks, frame))
    if chunks.empty:
        raise ImageError(f"{path} has no pixels: replace or remove it.")
    # libpng takes palettes apart, scales 1, 2 and 4 bits to 8, and makes alpha of a transparent colour.
    content = path.read_bytes()
    if chunks.animated or b"acTL" in chunks.contents:
        content = without_animation(content)
    pixels = np.asarray(imagecodecs.png_decode(content))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    significant = chunks.contents.get(b"sBIT", b"")
    if chunks.kind & 1 or b"sBIT" in chunks.behind or chunks.depth < 8:
        return Samples(pixels)
    return as_significant(pixels, chunks.depth, tuple(significant))


def _later_frame(path: Path, chunks: Chunks, frame: int) -> np.ndarray:
    mode = "RGB" if chunks.kind & 2 else "L"
    if chunks.kind & 4 or b"tRNS" in chunks.contents:
        mode += "A"
    with open_pillow(path, "PNG") as image:
        image.seek(frame)
        pixels = np.asarray(image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def as_significant(pixels: np.ndarray, depth: int, significant: tuple[int, ...]) -> Samples:
    """Return samples with the levels that sBIT gives them, if they were not scaled up to the full range.

    The specification (12.4) has samples of fewer significant bits scaled up, so that sBIT changes nothing.
    Some instruments write the numbers as they are instead. They are taken for such only if all are small
    enough, and no way of scaling up (zeros below, repeated bits, linear) could have made them.

    Args:
        pixels: [H, W, C] uint8 or uint16, alpha last if there is any.
        depth: 8 or 16.
        significant: significant bits of each channel, of which that of alpha may be missing.

    >>> as_significant(np.array([[[0], [4095]]], np.uint16), 16, (12,)).levels
    Levels(black=(0.0,), white=(4095.0,), beyond='refuse')
    >>> as_significant(np.array([[[0], [4080]]], np.uint16), 16, (12,)).levels is None
    True
    """
    channels: int = pixels.shape[2]
    colours = channels - (channels in (2, 4))
    bits = significant[:channels]
    if len(bits) < colours or not 0 < min(bits) <= max(bits) <= depth or max(bits[:colours]) == depth:
        return Samples(pixels)
    counts = [np.flatnonzero(np.bincount(pixels[..., c].ravel())) for c in range(channels)]
    small = all(values[-1] < 1 << n for values, n in zip(counts[:colours], bits, strict=False))
    if not small or _scaled_up(counts[:colours], depth, bits[:colours]):
        return Samples(pixels)
    white = [float((1 << n) - 1) for n in bits[:colours]]
    if channels > colours:
        n = bits[colours] if len(bits) > colours else depth
        white.append(float((1 << (n if counts[-1][-1] < 1 << n else depth)) - 1))
    note = (
        f"its values are not scaled to {depth} bits: {max(white[:colours]):.0f} (of its sBIT chunk) is white"
    )
    return Samples(pixels, (note,), Levels((0.0,) * len(white), tuple(white)))


def _scaled_up(counts: list[np.ndarray], depth: int, bits: tuple[int, ...]) -> bool:
    """Whether one way of scaling so many bits up to `depth` can have made all values (PNG, 12.4)."""
    zeros = repeated = linear = True
    for values, n in zip(counts, bits, strict=True):
        high = values >> (depth - n)
        zeros &= bool((high << (depth - n) == values).all())
        copies, shift = np.zeros_like(values), depth - n
        while shift > -n:
            copies |= high << shift if shift >= 0 else high >> -shift
            shift -= n
        repeated &= bool((copies == values).all())
        most, whole = (1 << n) - 1, (1 << depth) - 1
        nearest = (values * most + whole // 2) // whole
        exact = nearest * whole / most
        linear &= bool(((values == np.floor(exact)) | (values == np.ceil(exact))).all())
    return zeros or repeated or linear
