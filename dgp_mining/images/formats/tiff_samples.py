"""What the samples of a TIFF page are, and decoding them: depth, photometric interpretation, more samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
from tifffile import PHOTOMETRIC, SAMPLEFORMAT

from ..encoding import LINEAR, Encoding
from ..image_file import UNIT, Alpha, Levels, Model, full_range
from ..limits import ImageError, ends_early
from ..reading import Reading
from .tiff_codestream import bits_of_codestream
from .tiff_colours import (
    lab_levels,
    light_from_logluv,
    palette_of,
    rgb_from_ycbcr,
    subsampled_ycbcr,
    unsigned_lab,
)
from .tiff_encoding import profile_of
from .tiff_kinds import (
    APERIO_YCBCR,
    COLOURS,
    FAX,
    JPEG,
    LAB,
    LIGHT,
    OLD_JPEG,
    RGB_OUT,
    check_kind,
    photometric_name,
)
from .tiff_pages import Plane

_ALPHA = {1: Alpha.ASSOCIATED, 2: Alpha.STRAIGHT}  # ExtraSamples (TIFF 6.0, section 18)
_PHOTOMETRIC, _MAX_SAMPLE_VALUE, _INK_SET, _EXTRA_SAMPLES = 262, 281, 332, 338


@dataclass(frozen=True)
class Layout:
    """What the samples of a page are once they are decoded."""

    model: Model
    channels: int
    """Without alpha."""
    alpha: Alpha
    bits: int
    """As `ImageFile.bits`."""
    floating: bool
    levels: Levels | None
    encoding: Encoding
    photometric: int
    """PhotometricInterpretation, or what is assumed without that tag."""
    colours: tuple[int, ...]
    """Numbers of the stored samples that are colours."""
    alpha_sample: int | None
    """Number of the stored sample that is alpha."""
    notes: tuple[str, ...] = ()
    """What is assumed or left out, for the user."""


def layout_of(path: Path, page: tifffile.TiffPage, significant: int | None, reading: Reading) -> Layout:
    """Describe the samples of a page.

    Args:
        path: the file, for errors.
        page: its first page.
        significant: significant bits that a description of the file gives, if it does.
        reading: the user's choices.

    Raises ImageError for what is not read, in words that say what it is.
    """
    photometric, notes = _photometric(page)
    check_kind(path, page, photometric)
    model, count = COLOURS.get(photometric, (Model.GREY, page.samplesperpixel))
    if photometric == PHOTOMETRIC.RGB and (page.samplesperpixel < 3 or page.is_lsm):
        model, count = Model.CHANNELS, page.samplesperpixel  # a microscope's channels
    if photometric in LAB and page.samplesperpixel == 1:
        count = 1
    if photometric == PHOTOMETRIC.SEPARATED and page.tags.valueof(_INK_SET, 1) != 1:
        model, count = Model.CHANNELS, max(page.samplesperpixel - len(page.extrasamples), 1)
        notes = (*notes, "its inks are others than CMYK and are kept as channels")
    if page.samplesperpixel < count:
        raise ImageError(
            f"{path} has {page.samplesperpixel} samples, but {photometric_name(photometric)} needs {count}: "
            "replace it."
        )
    colours, alpha_sample, alpha, more = _roles(page, count)
    notes = (*notes, *more)
    if model in (Model.GREY, Model.CHANNELS) and photometric not in LIGHT:
        model = Model.GREY if len(colours) == 1 else Model.CHANNELS
    layout = Layout(
        model=model,
        channels=3 if model in (Model.RGB, Model.LAB) else len(colours),
        alpha=alpha,
        bits=page.bitspersample,
        floating=page.sampleformat == SAMPLEFORMAT.IEEEFP,
        levels=None,
        encoding=Encoding(profile_of(page)),
        photometric=photometric,
        colours=colours,
        alpha_sample=alpha_sample,
        notes=notes,
    )
    return _with_levels(path, page, layout, significant, reading)


def _photometric(page: tifffile.TiffPage) -> tuple[int, tuple[str, ...]]:
    if page.compression == APERIO_YCBCR and page.is_svs and page.samplesperpixel == 3:
        return PHOTOMETRIC.YCBCR, ()  # whatever its tag says, as OpenSlide reads it
    if _PHOTOMETRIC in page.tags or page.compression == OLD_JPEG:
        return int(page.photometric), ()
    # As libtiff assumes (tif_getimage.c, TIFFRGBAImageBegin).
    if page.samplesperpixel >= 3:
        return PHOTOMETRIC.RGB, ("it does not say what its samples are; RGB is assumed",)
    if page.compression in FAX:
        return PHOTOMETRIC.MINISWHITE, ("it does not say whether 0 is black; white is assumed",)
    return PHOTOMETRIC.MINISBLACK, ("it does not say whether 0 is black; black is assumed",)


def _roles(page: tifffile.TiffPage, count: int) -> tuple[tuple[int, ...], int | None, Alpha, tuple[str, ...]]:
    """Which samples are colours and which is alpha, its kind, and notes on those that are left out.

    Of grey and bands, all samples but alpha are channels: satellites and microscopes store them so. A fourth
    sample next to RGB without the tag ExtraSamples, as OpenCV writes it, is taken for alpha, as Pillow does.
    """
    notes: tuple[str, ...] = ()
    samples = page.samplesperpixel
    kinds = tuple(int(kind) for kind in page.extrasamples)
    if _EXTRA_SAMPLES not in page.tags and count == 3 and samples == 4:
        kinds, notes = (2,), ("nothing says what its fourth sample is; alpha is assumed",)
    # ExtraSamples describes the last samples.
    extras = {samples - len(kinds) + i: kind for i, kind in enumerate(kinds) if samples - len(kinds) + i >= 0}
    alphas = [sample for sample, kind in extras.items() if kind in _ALPHA and sample > 0]
    if count < samples or page.photometric in COLOURS:
        colours = tuple(range(count))
        alphas = [sample for sample in alphas if sample >= count]
    else:
        colours = tuple(sample for sample in range(samples) if sample not in alphas)
    used = alphas[0] if alphas else None
    unknown = samples - len(colours) - len(alphas)
    if unknown:
        what = "1 extra sample" if unknown == 1 else f"{unknown} extra samples"
        notes = (
            *notes,
            f"its {what} of unknown meaning {'is' if unknown == 1 else 'are'} left out",
        )
    if len(alphas) > 1:
        notes = (*notes, f"the first of its {len(alphas)} alpha channels counts")
    return colours, used, Alpha.NONE if used is None else _ALPHA[extras[used]], notes


def _with_levels(
    path: Path, page: tifffile.TiffPage, layout: Layout, significant: int | None, reading: Reading
) -> Layout:
    """The layout with black and white."""
    has_alpha = layout.alpha != Alpha.NONE
    if layout.photometric == PHOTOMETRIC.PALETTE:
        palette = palette_of(path, page)
        notes = (*layout.notes, *palette.notes)
        return replace(layout, bits=palette.bits, levels=full_range(palette.bits), notes=notes)
    if layout.photometric in LIGHT:
        levels = Levels(0.0, 1.0, "tone")
        said = ("the white of its LogLuv is taken for D65",) if layout.model == Model.RGB else ()
        notes = (*layout.notes, *said)
        return replace(layout, bits=32, floating=True, levels=levels, encoding=LINEAR, notes=notes)
    if layout.photometric in LAB:
        return replace(layout, levels=lab_levels(layout.photometric, layout.bits, has_alpha))
    if layout.floating:
        levels = UNIT
    elif page.sampleformat not in (SAMPLEFORMAT.UINT, SAMPLEFORMAT.VOID):
        return layout
    else:
        bits, notes = _significant(page, layout.colours, significant)
        layout = replace(layout, bits=bits, notes=(*layout.notes, *notes))
        if bits > 16:
            if reading.levels is None or layout.photometric != PHOTOMETRIC.MINISWHITE:
                return layout
            levels = Levels(*reading.levels)
        else:
            levels = full_range(bits)
    colours = Levels(levels.white, levels.black) if layout.photometric == PHOTOMETRIC.MINISWHITE else levels
    opaque = _opaque(page, layout, float(np.mean(levels.white)))
    if has_alpha and (colours, opaque) != (levels, levels.white):  # alpha is not reversed
        black, white = float(np.mean(colours.black)), float(np.mean(colours.white))
        none = min(black, white)
        colours = Levels((black,) * layout.channels + (none,), (white,) * layout.channels + (opaque,))
    return replace(layout, levels=colours)


def _opaque(page: tifffile.TiffPage, layout: Layout, white: float) -> float:
    """The stored number of opaque alpha: what MaxSampleValue says of it if it is 2^n - 1, else `white`."""
    value = page.tags.valueof(_MAX_SAMPLE_VALUE)
    if layout.floating or layout.bits > 16 or not isinstance(value, tuple) or layout.alpha_sample is None:
        return white
    most = value[layout.alpha_sample] if layout.alpha_sample < len(value) else 0
    if not isinstance(most, int) or not white <= most < 1 << page.bitspersample or most & (most + 1):
        return white
    return float(most)


def _significant(
    page: tifffile.TiffPage, colours: tuple[int, ...], described: int | None
) -> tuple[int, tuple[str, ...]]:
    """The significant bits of unsigned integers in the samples `colours`, and where that is said.

    MaxSampleValue (TIFF 6.0, section 8) is "the maximum component value used": 2^n - 1 with n > 8 stands for
    n bits in a wider type, as cameras write it; any other number is taken for the image's brightest value.
    """
    stored = int(page.bitspersample)
    if described is not None and 0 < described < stored:
        count = "1 bit is" if described == 1 else f"{described} bits are"
        return described, (f"its OME description says that {count} significant",)
    value = page.tags.valueof(_MAX_SAMPLE_VALUE)
    listed = value if isinstance(value, tuple) else (value,)
    values = set(listed[: colours[-1] + 1]) if colours[-1] < len(listed) else set(listed)
    most = values.pop() if len(values) == 1 else None
    if isinstance(most, int) and 255 < most < (1 << stored) - 1 and most & (most + 1) == 0:
        return most.bit_length(), (f"its MaxSampleValue says that {most} is white",)
    if stored > 8 and 8 < (bits := bits_of_codestream(page) or stored) < stored:
        return bits, (f"its compressed data has {bits} bits, so that {(1 << bits) - 1} is white",)
    return stored, ()


def plane_samples(path: Path, plane: Plane, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Decode a plane to [H, W, channels (+ alpha)], not scaled, and to the stored colours [H, W, samples].

    Raises ImageError and tifffile's errors.
    """
    page = plane.directory
    if layout.photometric in LIGHT:
        light = light_from_logluv(path, page.index, layout.channels)
        return light, light
    samples = _stored_samples(path, plane, layout)
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8)
    stored = colours = samples[..., list(layout.colours)]
    if layout.photometric == PHOTOMETRIC.PALETTE:
        colours = palette_of(path, page).colours[colours[..., 0]]
    elif layout.photometric in LAB:
        colours = unsigned_lab(layout.photometric, colours)
    elif _is_ycbcr(page, layout):
        colours = rgb_from_ycbcr(page, colours)
    if layout.alpha_sample is None:
        return colours, stored
    alpha = samples[..., [layout.alpha_sample]]
    if layout.photometric == PHOTOMETRIC.PALETTE:  # whose colours have other bits than its indices
        scale = ((1 << layout.bits) - 1) / ((1 << page.bitspersample) - 1)
        alpha = (alpha * scale).round().astype(colours.dtype)
    return np.concatenate([colours, alpha.astype(colours.dtype)], axis=2), stored


def _stored_samples(path: Path, plane: Plane, layout: Layout) -> np.ndarray:
    """The samples of a plane as they are stored: [H, W, samples]."""
    page = plane.directory
    if plane.offset is not None:
        file, count = page.parent.filehandle, int(np.prod(page.shape))
        dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        if plane.offset + page.nbytes > file.size:
            raise ends_early(path)
        file.seek(plane.offset)
        pixels = file.read_array(dtype, count).reshape(page.shape)
    elif layout.photometric == PHOTOMETRIC.YCBCR and page.is_subsampled and page.compression not in RGB_OUT:
        return subsampled_ycbcr(path, page)
    else:
        _leave_jpeg_as_stored(page, layout)
        pixels = plane.page.asarray()
    if "Z" in page.axes:
        pixels = pixels.take(plane.depth, axis=page.axes.index("Z"))
    match page.axes.replace("Z", ""):
        case "YX":
            return pixels[..., None]
        case "SYX":
            return np.moveaxis(pixels, 0, 2)
        case "YXS":
            return pixels
        case axes:
            raise ImageError(f"{path} has the axes {axes}, but one image is needed: convert it.")


def _leave_jpeg_as_stored(page: tifffile.TiffPage, layout: Layout) -> None:
    """Keep libjpeg from guessing the colours of JPEG data that says nothing of them.

    It takes three components for YCbCr and makes RGB of them, even those of Lab or of bands; libtiff writes
    them as they are (TIFF Technical Note 2). With a JFIF header they are YCbCr indeed.
    """
    if page.compression not in JPEG or page.planarconfig != 1:
        return
    known = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
    if page.samplesperpixel == 3 and layout.photometric not in known and not page.is_jfif:
        page.photometric, page.extrasamples = int(PHOTOMETRIC.RGB), ()
    elif page.samplesperpixel > 3 and not page.extrasamples and layout.photometric in known:
        page.extrasamples = (0,) * (page.samplesperpixel - 3)


def _is_ycbcr(page: tifffile.TiffPage, layout: Layout) -> bool:
    """Whether decoded samples are YCbCr still, rather than RGB that the decoder has made of it."""
    if layout.photometric != PHOTOMETRIC.YCBCR:
        return False
    with_more = page.compression in JPEG and page.samplesperpixel > 3  # which libjpeg leaves as it is
    return page.planarconfig == 2 or page.compression not in RGB_OUT or with_more
