"""From image files, folders of them and saved fields to enlarged image files."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dgp_mining.images.reader import ImageError
from splat2d import GaussianField

from ..image_io.metadata import Metadata
from ..image_io.reader import pictures_in, read_picture
from ..image_io.writer import FORMATS, Target, check, write
from ..memory import free_memory, ran_out
from ..networks.base import Network
from ..scaling import RequestedSize, Scale, check_size, complete_size, scale_between, scaled
from .field_file import SUFFIX, SavedField, load_field, save_field
from .tiling import FIELD_COPIES, Progress, TooLarge, receptive_field
from .upscale import encode_layers, render_layers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """How to enlarge."""

    scale: Scale | None = None
    """One factor, or one for the height and one for the width; or give `size`."""
    size: RequestedSize | None = None
    """(height, width) of the result in pixels; one may be None, and follows from the aspect ratio."""
    window: tuple[float, float, float, float] | None = None
    """(x, y, width, height) of the part to enlarge, in LR pixels; default: all of it."""
    tile: int | None = None
    """Side in LR pixels of the parts in which a large image is encoded; default: as memory allows."""
    memory: int | None = None
    """Bytes to use; default: what is free."""
    quality: int = 95
    """Of JPEG and WebP, 1 to 100."""
    overwrite: bool = False
    """Replace files that exist."""
    save_field: Path | None = None
    """Where to keep the field of Gaussians."""

    @property
    def enlarges(self) -> bool:
        """Whether an image is to be made; otherwise only a field is."""
        return self.scale is not None or self.size is not None

    def of(self, size: tuple[float, float]) -> tuple[int, int]:
        """(height, width) of the result for an LR image or window of `size`. Raises ValueError."""
        result = complete_size(self.size, size) if self.size else scaled(size, self.scale)
        check_size(*result)
        return result


@dataclass(frozen=True)
class Source:
    """An image or field that has been read."""

    path: Path
    """Its file."""
    size: tuple[float, float]
    """(height, width) in LR pixels."""
    channels: int
    """1 to 4, as `Target.channels`."""
    dtype: np.dtype
    """Of its values."""
    metadata: Metadata
    """What goes with them."""
    pixels: np.ndarray | None
    """[H, W, channels]; None for a field."""
    field: GaussianField | None
    """The field; None for pixels."""

    @staticmethod
    def read(path: Path) -> Source:
        """Read an image file or a saved field. Raises ImageError, naming it."""
        if not path.exists():
            raise ImageError(f"{path} does not exist: name an image, a folder of images or a saved field.")
        if path.suffix == SUFFIX:
            saved = load_field(path)
            field = saved.field
            return Source(path, field.size, field.colors.shape[2], saved.dtype, saved.metadata, None, field)
        picture = read_picture(path)
        height, width, channels = picture.pixels.shape
        return Source(
            path, (height, width), channels, picture.pixels.dtype, picture.metadata, picture.pixels, None
        )


def is_field(path: Path) -> bool:
    """Whether `upscale_file` takes a file for a saved field, which needs no network."""
    return path.suffix == SUFFIX and not path.is_dir()


def upscale_file(
    source: Path,
    target: Path | None,
    request: Request,
    model: Network | None,
    progress: Progress = lambda what, part: None,
) -> tuple[int, int] | None:
    """Enlarge an image file, or a part of it or of a saved field, into the file `target`.

    Alpha, depth, colour profile, EXIF and resolution are kept as far as the format of `target` keeps them;
    what it does not is logged. Large results are written row by row. A saved field needs no `model`.

    Returns (height, width) of the result, None where only a field was asked for. Raises ImageError, naming
    the file, for what cannot be read, made or written: most of it before any work is done.
    """
    try:
        return _enlarge(Source.read(source), target, request, model, progress)
    except ImageError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise ImageError(f"{source} does not fit into memory: give a smaller --tile, or cut it.") from error
    except ValueError as error:
        raise ImageError(f"{source} cannot be enlarged: {error}.") from error


def _enlarge(
    source: Source, target: Path | None, request: Request, model: Network | None, progress: Progress
) -> tuple[int, int] | None:
    window = request.window
    check_window(window, source.size)
    result = scale = None
    if request.enlarges:
        canvas = (window[3], window[2]) if window else source.size
        size = request.of(canvas)
        scale = scale_between(canvas, size)
        result = Target(target, *size, source.channels, source.dtype, source.metadata, request.quality)
        check_new(target, source.path, request.overwrite)
        check(result, request.memory or free_memory())
    if request.save_field:
        check_new(request.save_field, source.path, request.overwrite)
    if window and result and source.field is None and not request.save_field:
        source, window = around(window, source, model, size)
    layers = _layers(source, request, model, scale, progress)
    if request.save_field:
        if len(layers) > 1:
            log.warning("%s: the saved field holds colours only, no transparency", request.save_field)
        save_field(SavedField(layers[0], source.dtype, source.metadata), request.save_field)
    if result is None:
        return None
    layers = [windowed(layer, window) for layer in layers]
    rendered = render_layers(layers, size, result.written_dtype, progress)
    write(result, (band for _, band in rendered))
    return size


def _layers(
    source: Source, request: Request, model: Network | None, scale: float | None, progress: Progress
) -> list[GaussianField]:
    if source.field is None:
        if model.conditioned and scale is None:
            raise ValueError("its network makes a field for each scale, so give one with --scale")
        return encode_layers(
            source.pixels, model, scale=scale, tile=request.tile, memory=request.memory, progress=progress
        )
    memory = request.memory or free_memory()
    needed = FIELD_COPIES * sum(t.nbytes for t in (source.field.means, source.field.cholesky))
    if needed > memory:
        raise TooLarge(
            f"its Gaussians take {needed / 1e9:,.1f} GB of memory, {memory / 1e9:,.1f} GB may be used"
        )
    return [source.field]


def check_window(window: tuple[float, float, float, float] | None, size: tuple[float, float]) -> None:
    """Raise ValueError unless the window lies on the canvas (height, width)."""
    if window is None:
        return
    x, y, width, height = window
    if not (0 <= x < x + width <= size[1] and 0 <= y < y + height <= size[0]):
        raise ValueError(
            f"the window {x:g},{y:g},{width:g},{height:g} (x,y,width,height) is not within its "
            f"{size[1]:g}x{size[0]:g} pixels"
        )


def around(
    window: tuple[float, float, float, float], source: Source, model: Network, size: tuple[int, int]
) -> tuple[Source, tuple[float, float, float, float]]:
    """The part of an image that decides what its window shows at `size`, and the window's place in it."""
    x, y, width, height = window
    if size[0] < height or size[1] < width:  # a coarse rendering widens Gaussians
        return source, window
    rows, columns = receptive_field(model, window, source.size)
    pixels = source.pixels[rows, columns]
    part = replace(source, size=pixels.shape[:2], pixels=pixels)
    return part, (x - columns.start, y - rows.start, width, height)


def windowed(field: GaussianField, window: tuple[float, float, float, float] | None) -> GaussianField:
    """The field with the window as its canvas; all Gaussians stay, for a coarse rendering widens them."""
    if window is None:
        return field
    x, y, width, height = window
    return replace(field.shift(-x, -y), size=(height, width))


def check_new(target: Path, source: Path, overwrite: bool) -> None:
    """Raise ImageError where `target` may not or cannot be written."""
    if not target.parent.is_dir():
        raise ImageError(f"{target} cannot be written: there is no folder {target.parent}.")
    if not os.access(target.parent, os.W_OK):
        raise ImageError(f"{target} cannot be written: the folder {target.parent} is write-protected.")
    if target.is_dir():
        raise ImageError(f"{target} is a folder: name a file to write.")
    if target.exists() and target.samefile(source):
        raise ImageError(f"{target} is what it would be made of: name another output.")
    if target.exists() and not overwrite:
        raise ImageError(f"{target} exists already: replace it with --overwrite, or name another output.")


def upscale_folder(
    source: Path,
    target: Path,
    request: Request,
    model: Network,
    form: str,
    progress: Progress = lambda what, part: None,
) -> Iterator[tuple[Path, Path, tuple[int, int] | ImageError]]:
    """Enlarge all images in `source` and below it into the same places below `target`, as `form` (FORMATS).

    Yields (image, its target, the result's (height, width) or what went wrong) as they are done; goes on
    after an error. Raises ImageError where there are no images.
    """
    if target.resolve() == source.resolve():
        raise ImageError(f"{target} is the folder of the images themselves: name another output.")
    made = target.resolve()
    images = [path for path in pictures_in(source, "INPUT") if not path.resolve().is_relative_to(made)]
    suffix = FORMATS[form].suffixes[0]
    stems = Counter(path.with_suffix("") for path in images)
    for index, path in enumerate(images):
        into = target / path.relative_to(source)
        # a.png and a.jpg would become one file; their whole names tell them apart.
        twin = stems[path.with_suffix("")] > 1
        into = into.with_name(into.name + suffix) if twin else into.with_suffix(suffix)

        def of_all(what: str, part: float, done: int = index, name: str = path.name) -> None:
            progress(f"{done + 1} of {len(images)}, {name}: {what}", part)

        try:
            into.parent.mkdir(parents=True, exist_ok=True)
            yield path, into, upscale_file(path, into, request, model, of_all)
        except ImageError as error:
            yield path, into, error
        except OSError as error:
            yield path, into, ImageError(f"{into} cannot be written ({error.strerror}).")
