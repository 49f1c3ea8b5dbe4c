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
from splat2d import GaussianField

from ..checkpoints.tensor_file import CheckpointError
from ..image_io.metadata import Metadata
from ..image_io.reader import read_source_image
from ..image_io.writer import Target, check_target, write_image
from ..memory import free_memory, ran_out
from ..networks.base import Network
from ..scaling import RequestedSize, Scale, scale_between
from .field_file import SUFFIX, SavedField, check_suffix, load_field, save_field
from .tiling import FIELD_COPIES, ProgressCallback, TooLarge, limit, no_progress, receptive_field
from .upscale import as_network, encode_layers, output_size, quantise, render_layers

log = logging.getLogger(__name__)

Window = tuple[float, float, float, float]
"""(x, y, width, height) in LR pixels."""


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
    """The part to upscale; default: the whole image."""
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

    def __post_init__(self) -> None:
        if self.overwrite and self.skip_existing:
            raise ValueError("Give either overwrite=True or skip_existing=True, not both.")

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
    window = request.window
    check_window(window, source.size)
    result = scale = None
    if request.makes_image:
        if target is None:
            raise ValueError("name a file to write with target=")
        canvas = (window[3], window[2]) if window else source.size
        size = output_size(canvas, request.scale, request.size)
        scale = scale_between(canvas, size)
        factors = (size[1] / canvas[1], size[0] / canvas[0])
        about = source.metadata.of_part(window[:2] if window else (0, 0), factors)
        result = Target(target, *size, source.channels, source.dtype, about, request.quality)
        check_replaceable(target, source.path, request.overwrite)
        check_target(result, request.memory or free_memory())
    if request.save_field:
        check_suffix(request.save_field)
        check_replaceable(request.save_field, source.path, request.overwrite)
    network = None if isinstance(source.content, GaussianField) else as_network(model)
    if window and result and network and not request.save_field:
        source, window = crop_to_window(window, source, network, (result.height, result.width))
    layers = _layers(source, request, network, scale, progress)
    if request.save_field:
        if len(layers) > 1:
            log.warning("%s: the saved field holds colours only, no transparency", request.save_field)
        save_field(SavedField(layers[0], source.dtype, source.metadata), request.save_field)
    if result is None:
        return None
    layers = [windowed(layer, window) for layer in layers]
    stated = result.colours is not None
    dtype = result.written_dtype if stated else np.dtype(np.float32)
    rendered = render_layers(layers, (result.height, result.width), dtype, progress)
    bands: Iterator[np.ndarray] = (band for _, band in rendered)
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
    source: Source,
    request: UpscaleRequest,
    network: Network | None,
    scale: float | None,
    progress: ProgressCallback,
) -> list[GaussianField]:
    if not isinstance(source.content, GaussianField):
        assert network is not None  # by upscale_file
        if network.conditioned and scale is None:
            raise ValueError("the network's field depends on the scale, so give one with scale=")
        return encode_layers(
            source.content, network, scale=scale, tile=request.tile, memory=request.memory, progress=progress
        )
    field, memory = source.content, request.memory or free_memory()
    needed = FIELD_COPIES * sum(t.nbytes for t in (field.means, field.cholesky))
    if needed > memory:
        raise TooLarge(
            f"its Gaussians take {needed / 1e9:,.1f} GB of memory, and {limit(memory, request.memory)}"
        )
    return [field]


def check_window(window: Window | None, size: tuple[float, float]) -> None:
    """Raise ValueError unless the window lies on the canvas (height, width)."""
    if window is None:
        return
    x, y, width, height = window
    if not (0 <= x < x + width <= size[1] and 0 <= y < y + height <= size[0]):
        raise ValueError(
            f"window={x:g},{y:g},{width:g},{height:g} (x,y,width,height) is not within its "
            f"{size[1]:g}x{size[0]:g} pixels"
        )


def crop_to_window(
    window: Window, source: Source, network: Network, size: tuple[int, int]
) -> tuple[Source, Window]:
    """Crop an image to the receptive field of a window that is rendered at `size`.

    Returns the cropped image and the window in its pixels.
    """
    x, y, width, height = window
    if isinstance(source.content, GaussianField) or size[0] < height or size[1] < width:
        return source, window  # rendering below scale 1 widens Gaussians, so all of them count
    rows, columns = receptive_field(network, window, (source.content.shape[0], source.content.shape[1]))
    pixels = source.content[rows, columns]
    part = replace(source, size=(pixels.shape[0], pixels.shape[1]), content=pixels)
    return part, (x - columns.start, y - rows.start, width, height)


def windowed(field: GaussianField, window: Window | None) -> GaussianField:
    """The field with the window as its canvas; all Gaussians stay, as rendering below scale 1 widens them."""
    if window is None:
        return field
    x, y, width, height = window
    return replace(field.shift(-x, -y), size=(height, width))


def check_replaceable(target: Path, source: Path, overwrite: bool) -> None:
    """Raise ImageError if `target` cannot be written, is `source`, or exists and `overwrite` is false."""
    if not target.parent.is_dir():
        raise ImageError(f"{target} cannot be written: there is no folder {target.parent}.")
    if not os.access(target.parent, os.W_OK):
        raise ImageError(f"{target} cannot be written: the folder {target.parent} is write-protected.")
    if target.is_dir():
        raise ImageError(f"{target} is a folder: name a file to write.")
    if target.exists() and target.samefile(source):
        raise ImageError(f"{target} is also the input: name another output.")
    if target.exists() and not overwrite:
        raise ResultExists(
            f"{target} exists already: replace it with overwrite=True, or name another output."
        )
