"""Upscaling many images: a folder of them, or a list."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dgp_mining.images.failures import failure_of
from dgp_mining.images.formats.table import FOLDER_SUFFIXES, SUFFIXES, suffix_of
from dgp_mining.images.limits import max_pixels, too_large
from dgp_mining.images.paths import is_image_folder, real_path
from dgp_mining.images.reader import ImageError, image_size
from splat2d.atomic_write import make_folder

from ..image_io.reader import images_in
from ..image_io.wholeness import is_whole
from ..image_io.writer import FORMATS
from ..networks.base import Network
from ..scaling import Scale
from .field_file import SUFFIX, load_field
from .files import UpscaleRequest, check_window, upscale_file
from .tiling import ProgressCallback, no_progress
from .upscale import as_network, output_size

log = logging.getLogger(__name__)

Outcome = tuple[int, int] | ImageError | None
"""(height, width) of a result; the error; or None for a result that was there before and was left."""


def check_folder(target: Path) -> None:
    """Raise ImageError if `target`, or what it is to be made in, is a file or write-protected."""
    for place in (target, *target.parents):
        if place.exists():
            if not place.is_dir():
                raise ImageError(
                    f"{place} is a file, but a folder of images is upscaled into a folder: name one with "
                    "target=."
                )
            if not os.access(place, os.W_OK):
                raise ImageError(f"{target} cannot be written: the folder {place} is write-protected.")
            return


def upscale_folder(
    source: str | Path,
    target: str | Path,
    request: UpscaleRequest | Scale,
    model: Network | str | Path | None = None,
    form: str = "png",
    progress: ProgressCallback = no_progress,
) -> Iterator[tuple[Path, Path, Outcome]]:
    """Upscale all images in a folder and below it to the same places below `target`.

    `form` is one of `sr_model.image_io.writer.FORMATS`; the other arguments are those of `upscale_file`.
    Yields (image, its target, outcome) for each image as it is done, and continues after an error. The
    outcome is the result's (height, width), an error, or, if the request says `skip_existing`, None for a
    result that was there before.

    Raises:
        ImageError: if there are no images, or `target` is `source` or a file.
        CheckpointError: if the model cannot be loaded.
        ValueError: if the request has neither a scale nor a size.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (6, 8), "teal").save(folder / "a.png")
    >>> [size for image, target, size in upscale_folder(folder, folder / "large", 2)]
    [(16, 12)]
    """
    source, target = Path(source), Path(target)
    if target.resolve() == source.resolve():
        raise ImageError(f"{target} is the folder of the images themselves: name another output.")
    check_folder(target)
    made = target.resolve()
    images = [path for path in images_in(source, "source=") if not real_path(path).is_relative_to(made)]
    yield from _upscale_each(
        [(path, path.relative_to(source)) for path in images], target, request, model, form, progress
    )


def upscale_images(
    images: Sequence[str | Path],
    target: str | Path,
    request: UpscaleRequest | Scale,
    model: Network | str | Path | None = None,
    form: str = "png",
    progress: ProgressCallback = no_progress,
) -> Iterator[tuple[Path, Path, Outcome]]:
    """Upscale images, or saved fields, from anywhere into the folder `target`, each under its own name.

    An image that is named twice is upscaled once. The other arguments, what is yielded and errors are those
    of `upscale_folder`; ImageError also if two images have the same name, or one is a folder.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "b.png"):
    ...     Image.new("RGB", (6, 8), "teal").save(folder / name)
    >>> done = upscale_images([folder / "a.png", folder / "b.png"], folder / "large", 2)
    >>> [(into.name, size) for image, into, size in done]
    [('a.png', (16, 12)), ('b.png', (16, 12))]
    """
    target = Path(target)
    paths = list({real_path(image): Path(image) for image in images}.values())
    named: dict[str, Path] = {}
    for path in paths:
        if path.is_dir() and not is_image_folder(path):
            raise ImageError(f"{path} is a folder: name it alone, or name images only.")
        if (other := named.setdefault(path.name, path)) != path:
            raise ImageError(
                f"{other} and {path} have the same name: upscale them one after the other, into two folders."
            )
    if any(path.parent.resolve() == target.resolve() for path in paths):
        raise ImageError(f"{target} is the folder of the images themselves: name another output.")
    check_folder(target)
    yield from _upscale_each(
        [(path, Path(path.name)) for path in paths], target, request, model, form, progress
    )


def targets(names: Sequence[Path], suffix: str) -> list[Path]:
    """Return the names of results: those of images with another suffix, and no two the same.

    a.png and a.jpg would have the same; the suffix behind their full names tells them apart.

    >>> [str(name) for name in targets([Path("a.png"), Path("a.jpg"), Path("b/a.png")], ".webp")]
    ['a.png.webp', 'a.jpg.webp', 'b/a.webp']
    """
    short = [name.with_name(stem_of(name) + suffix) for name in names]
    while True:
        times = Counter(short)
        longer = [
            name.with_name(name.name + suffix) if times[into] > 1 else into
            for name, into in zip(names, short, strict=True)
        ]
        if longer == short:
            return short
        short = longer


def stem_of(path: Path) -> str:
    """Return the name of an image or saved field without its suffix, if it has one.

    >>> [stem_of(Path(name)) for name in ("a/b.c.png", "brain.nii.gz", "1.2.840.10008", "a.safetensors")]
    ['b.c', 'brain', '1.2.840.10008', 'a']
    """
    suffix = suffix_of(path.name)
    return path.name[: -len(suffix)] if suffix in SUFFIXES | FOLDER_SUFFIXES | {SUFFIX} else path.name


def _upscale_each(
    images: Sequence[tuple[Path, Path]],  # (file, its place in the folder)
    target: Path,
    request: UpscaleRequest | Scale,
    model: Network | str | Path | None,
    form: str,
    progress: ProgressCallback,
) -> Iterator[tuple[Path, Path, Outcome]]:
    if not isinstance(request, UpscaleRequest):
        request = UpscaleRequest(request)
    if not request.makes_image:
        raise ValueError("give either scale= or size=")
    network = as_network(model)
    names = targets([place for _, place in images], FORMATS[form].suffixes[0])
    for index, ((path, _), name) in enumerate(zip(images, names, strict=True)):
        into = target / name

        def of_all(activity: str, fraction: float, done: int = index, name: str = path.name) -> None:
            progress(f"{done + 1} of {len(images)}, {name}: {activity}", fraction)

        try:
            make_folder(into.parent)
            yield path, into, upscale_unless_done(path, into, request, network, of_all)
        except ImageError as error:
            yield path, into, error
        except OSError as error:
            yield path, into, ImageError(f"{into} cannot be written ({error.strerror or error}).")
        except Exception as error:  # whatever happens to one image, the others go on
            log.debug("%s", path, exc_info=True)
            yield path, into, failure_of(path, "upscaled", error)


def upscale_unless_done(
    source: Path,
    target: Path | None,
    request: UpscaleRequest,
    model: Network | str | Path | None = None,
    progress: ProgressCallback = no_progress,
) -> tuple[int, int] | None:
    """`upscale_file`, or None if the request says `skip_existing` and the result is there.

    A file that is no image of the size that the result will have is made again, and a line is logged.
    """
    if request.skip_existing and target is not None and target.is_file():
        fault = _fault_of_result(source, target, request)
        if not fault:
            return None
        log.warning("%s: made again, since it %s", target, fault)
        request = replace(request, overwrite=True, skip_existing=False)
    return upscale_file(source, target, request, model, progress)


def _fault_of_result(source: Path, target: Path, request: UpscaleRequest) -> str:
    """What tells that `target` is not the result of a request, by both headers; empty if nothing does.

    Raises ImageError if `source` cannot be read, or the request does not fit it.
    """
    size = load_field(source).field.size if source.suffix == SUFFIX else image_size(source, request.reading)
    canvas = (request.window[3], request.window[2]) if request.window else size
    try:
        check_window(request.window, size, request.wrap)
        expected = output_size(canvas, request.scale, request.size)
    except ValueError as error:
        raise ImageError(f"{source} cannot be upscaled: {error}.") from error
    try:
        found = image_size(target)
    except ImageError as error:
        if expected[0] * expected[1] > max_pixels() and str(error) == str(too_large(target)):
            found = expected  # it is written row by row, and may be larger than what is read
        else:
            return "is no whole image"
    if found != expected:
        return f"has {found[1]}x{found[0]} pixels, not {expected[1]}x{expected[0]}"
    return "" if is_whole(target) else "is no whole image"
