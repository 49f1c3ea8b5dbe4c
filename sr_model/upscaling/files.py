"""Upscaling image files and saved fields."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dgp_mining.images.colour import to_srgb
from dgp_mining.images.image_file import Model
from dgp_mining.images.reader import ImageError
from dgp_mining.images.reading import AS_STORED, Reading
from dgp_mining.machine import amount
from splat2d import GaussianField
from splat2d.atomic_write import refuse_irregular

from ..checkpoints.tensor_file import CheckpointError
from ..image_io.metadata import Metadata
from ..image_io.reader import read_source_image
from ..image_io.writable import writable
from ..image_io.writer import Target, check_target, write_image
from ..memory import free_memory, ran_out
from ..networks.base import Network
from ..scaling import RequestedSize, Scale
from .consistency import Reduction, check_reduction
from .encoding import Encoding, encode_layers
from .ensemble import NO_MEAN, one_field
from .field_file import SUFFIX, SavedField, check_suffix, load_field, save_field
from .rendering import Layer, quantise, render_layers
from .tiling import FIELD_COPIES, ProgressCallback, TooLarge, Window, limit, no_progress
from .upscale import as_network, draw, output_size, repeated, windowed
from .wrapping import Wrap, check_wrap

log = logging.getLogger(__name__)


SMALLEST_WINDOW = 0.01
"""Least side of a window in LR pixels."""


class ResultExists(ImageError):
    """A file to be written exists and must not be replaced."""


@dataclass(frozen=True)
class UpscaleRequest:
    """What to make from an image file.

    >>> UpscaleRequest(size=(1080, None), quality=90).makes_image
    True
    """

    scale: Scale | None = None
    """One factor, or one for the height and one for the width; or give `size`."""
    size: RequestedSize | None = None
    """(height, width) of the result in pixels; one may be None, and follows from the aspect ratio."""
    window: Window | None = None
    """The part to upscale; default: the whole image. It may reach beyond the image along the axes `wrap`."""
    tile: int | None = None
    """Side in LR pixels of the tiles in which a large image is encoded; default: as memory allows."""
    memory: int | None = None
    """Bytes to use; default: what is free."""
    quality: int = 95
    """Quality of JPEG and WebP, 1 to 100."""
    overwrite: bool = False
    """Whether to replace files that exist."""
    save_field: Path | None = None
    """File to save the field of Gaussians in; default: it is not saved."""
    reading: Reading = AS_STORED
    """How stored numbers become values from black to white, and which slice or frame is read."""
    skip_existing: bool = False
    """Whether results of several images that exist, whole and in the right size, are left; not together with
    `overwrite`."""
    ensemble: bool = False
    """Whether the result is the mean over eight flips and turns of the image, in eight times the time."""
    wrap: Wrap = ""
    """Axes along which the image repeats, "x", "y" or "xy"; its results, and a saved field's, repeat too."""
    reduction: Reduction | None = None
    """The kernel by which the image was made smaller, as of `sr_model.upscale`."""

    def __post_init__(self) -> None:
        check_wrap(self.wrap)
        check_reduction(self.reduction)
        if self.overwrite and self.skip_existing:
            raise ValueError("Give either overwrite=True or skip_existing=True, not both.")

    @property
    def encoding(self) -> Encoding:
        """How the image is encoded."""
        return Encoding(tile=self.tile, memory=self.memory, ensemble=self.ensemble, reduction=self.reduction)

    @property
    def makes_image(self) -> bool:
        """Whether an image is made; otherwise only a field is saved."""
        return self.scale is not None or self.size is not None


@dataclass(frozen=True)
class Source:
    """An image or saved field that has been read."""

    path: Path
    """Its file."""
    size: tuple[float, float]
    """(height, width) in LR pixels."""
    channels: int
    """1 to 4, as `Target.channels`."""
    dtype: np.dtype
    """The type of its values."""
    metadata: Metadata
    """What is kept beyond the pixels."""
    content: np.ndarray | GaussianField
    """Pixels [H, W, channels], or the field."""

    @staticmethod
    def read(path: Path, reading: Reading = AS_STORED) -> Source:
        """Read an image file, by the choices of `reading`, or a saved field. Raises ImageError, naming it."""
        if not (path.exists() or path.is_symlink()):  # of a broken link, reading says that it is one
            raise ImageError(f"{path} does not exist: name an image, a folder of images or a saved field.")
        if path.suffix == SUFFIX:
            saved = load_field(path)
            field = saved.field
            return Source(path, field.size, field.colors.shape[2], saved.dtype, saved.metadata, field)
        image = read_source_image(path, reading)
        height, width, channels = image.pixels.shape
        return Source(path, (height, width), channels, image.pixels.dtype, image.metadata, image.pixels)


def upscale_file(
    source: str | Path,
    target: str | Path | None,
    request: UpscaleRequest | Scale,
    model: Network | str | Path | None = None,
    progress: ProgressCallback = no_progress,
) -> tuple[int, int] | None:
    """Upscale an image file, or a part of it or of a saved field, into the file `target`.

    Alpha, bit depth, colour profile or encoding, EXIF, XMP, IPTC, texts, georeference and resolution are kept
    if the format of `target` can hold them; a line is logged about what is lost. Large results are written
    row by row.

    Args:
        source: an image file, or a field that `save_field` wrote.
        target: the file to write, in the format of its suffix; None if the request only saves a field.
        request: what to make; a scale alone stands for UpscaleRequest(scale).
        model: a network, or the checkpoint of one; default: the reference model. A saved field needs none.
        progress: called with the current activity and the fraction of it that is done.

    Returns:
        (height, width) of the result, or None if only a field was saved.

    Raises:
        ImageError: naming the file, if it cannot be read, upscaled or written; mostly before any work.
        CheckpointError: if the model cannot be loaded.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (6, 8), "teal").save(folder / "a.png")
    >>> upscale_file(folder / "a.png", folder / "a_x2.5.png", 2.5)
    (20, 15)
    """
    source, target = Path(source), None if target is None else Path(target)
    if not isinstance(request, UpscaleRequest):
        request = UpscaleRequest(request)
    try:
        return _upscale(Source.read(source, request.reading), target, request, model, progress)
    except (ImageError, CheckpointError):
        raise
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise ImageError(f"{source} does not fit into memory: give a smaller tile=, or cut it.") from error
    except ValueError as error:
        raise ImageError(f"{source} cannot be upscaled: {error}.") from error


def _upscale(
    source: Source,
    target: Path | None,
    request: UpscaleRequest,
    model: Network | str | Path | None,
    progress: ProgressCallback,
) -> tuple[int, int] | None:
    """`upscale_file` of a file that has been read. What can be refused is, before the model is loaded."""
    check_window(request.window, source.size, request.wrap)
    whole = (0.0, 0.0, float(source.size[1]), float(source.size[0]))
    window = request.window or whole
    result = scales = None
    if request.makes_image:
        if target is None:
            raise ValueError("name a file to write with target=")
        canvas = (window[3], window[2]) if request.window else source.size
        size = output_size(canvas, request.scale, request.size)
        scales = (size[0] / canvas[0], size[1] / canvas[1])
        about = source.metadata.of_part(window[:2], (scales[1], scales[0]))
        result = Target(target, *size, source.channels, source.dtype, about, request.quality)
        check_replaceable(target, source.path, request.overwrite)
        check_target(result, request.memory or free_memory())
        result = writable(result)
    if request.save_field:
        check_suffix(request.save_field)
        check_replaceable(request.save_field, source.path, request.overwrite)
    network, pixels = None, source.content
    if isinstance(pixels, GaussianField):
        if request.ensemble or request.wrap:
            raise ValueError("it is a saved field: give ensemble= and wrap= when an image's field is saved")
        if request.reduction is not None:
            raise ValueError("it is a saved field: give reduction= when an image's field is saved")
    else:
        network = as_network(model)
        if request.ensemble and request.save_field and network.settings.normalised:
            raise ValueError(NO_MEAN)
        if request.wrap:
            rendered_at = (result.height, result.width) if result else (window[3], window[2])
            pixels, at = repeated(pixels, window, request.wrap, network, rendered_at)
            whole = (at[0] - window[0], at[1] - window[1], *whole[2:])
            window = at
    if isinstance(pixels, GaussianField) or request.save_field:
        layers = _layers(pixels, request, network, scales, progress)
        if request.save_field:
            if len(layers) > 1:
                log.warning("%s: the saved field holds colours only, no transparency", request.save_field)
            field = windowed(one_field(layers[0]), whole)
            save_field(SavedField(field, source.dtype, source.metadata), request.save_field)
    if result is None:
        return None
    stated = result.colours is not None
    dtype = result.written_dtype if stated else np.dtype(np.float32)
    bands: Iterator[np.ndarray]
    if isinstance(pixels, GaussianField) or request.save_field:
        placed = [[windowed(field, window) for field in layer] for layer in layers]
        bands = (band for _, band in render_layers(placed, (result.height, result.width), dtype, progress))
    else:
        assert network is not None  # as pixels are of an image
        bands = draw(
            pixels,
            window,
            (result.height, result.width),
            dtype,
            network,
            request.encoding,
            progress,
        )
    if not stated:
        bands = _in_srgb(bands, result, source.path, request.reading.tone)
        result = replace(result, metadata=result.metadata.in_srgb())
    write_image(result, bands)
    return result.height, result.width


def _in_srgb(bands: Iterator[np.ndarray], target: Target, source: Path, tone: str) -> Iterator[np.ndarray]:
    """Convert bands of floats, in the encoding of a target's metadata, to sRGB of the target's type.

    What was converted and why is logged after the last.
    """
    model, alpha = Model.RGB if target.channels >= 3 else Model.GREY, target.channels % 2 == 0
    said: list[str] = []
    for band in bands:
        colours, rest = (band[..., :-1], band[..., -1:]) if alpha else (band, band[..., :0])
        encoding = target.metadata.encoding
        converted = to_srgb(np.ascontiguousarray(colours), model, encoding, said.append, tone)
        yield quantise(np.concatenate([converted, rest], axis=2), target.written_dtype)
    for note in dict.fromkeys(said):
        if not any(other != note and other.startswith(note) for other in said):
            log.warning("%s: %s", source, note)


def _layers(
    content: np.ndarray | GaussianField,
    request: UpscaleRequest,
    network: Network | None,
    scales: tuple[float, float] | None,
    progress: ProgressCallback,
) -> list[Layer]:
    """The layers of a whole image, or of a saved field."""
    if not isinstance(content, GaussianField):
        assert network is not None  # by _upscale
        if network.conditioned and scales is None:
            raise ValueError("the network's field depends on the scale, so give one with scale=")
        return encode_layers(content, network, request.encoding, scales=scales, progress=progress)
    memory = request.memory or free_memory()
    needed = FIELD_COPIES * sum(t.nbytes for t in (content.means, content.cholesky))
    if needed > memory:
        raise TooLarge(f"its Gaussians take {amount(needed)} of memory, and {limit(memory, request.memory)}")
    return [[content]]


def check_window(window: Window | None, size: tuple[float, float], wrap: Wrap = "") -> None:
    """Raise ValueError unless the window lies on the canvas (height, width).

    Along the axes `wrap`, it may begin anywhere on the canvas or on the repetition before it, and end on the
    one behind it.
    """
    if window is None:
        return
    x, y, width, height = window
    for axis, first, extent, whole in (("x", x, width, size[1]), ("y", y, height, size[0])):
        beyond = whole if axis in wrap else 0
        if 0 < extent < SMALLEST_WINDOW:
            raise ValueError(
                f"window={x:g},{y:g},{width:g},{height:g} (x,y,width,height) is smaller than "
                f"{SMALLEST_WINDOW:g} of a pixel: take a larger one"
            )
        if not (extent > 0 and -beyond <= first and first + extent <= whole + beyond):
            repeats = f" and its repetition along {wrap}" if wrap else ""
            raise ValueError(
                f"window={x:g},{y:g},{width:g},{height:g} (x,y,width,height) is not within its "
                f"{size[1]:g}x{size[0]:g} pixels{repeats}"
            )


def check_replaceable(target: Path, source: Path, overwrite: bool) -> None:
    """Raise ImageError if `target` cannot be written, is `source`, or exists and `overwrite` is false."""
    if not target.parent.is_dir():
        raise ImageError(f"{target} cannot be written: there is no folder {target.parent}.")
    if not os.access(target.parent, os.W_OK):
        raise ImageError(f"{target} cannot be written: the folder {target.parent} is write-protected.")
    if target.is_dir():
        raise ImageError(f"{target} is a folder: name a file to write.")
    try:
        refuse_irregular(target)
    except OSError as error:
        raise ImageError(f"{target} cannot be written ({error.strerror}): name a file.") from error
    if target.exists() and target.samefile(source):
        raise ImageError(f"{target} is also the input: name another output.")
    if target.exists() and not overwrite:
        raise ResultExists(
            f"{target} exists already: replace it with overwrite=True, or name another output."
        )
