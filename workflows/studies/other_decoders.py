"""How other libraries read a picture, each in a process that may crash, and in a form that can be compared.

Every decoder takes a path and returns a `Picture`: the first page or frame (of DICOM, NIfTI and FITS the
middle one), upright and converted to sRGB where the library does either, integers divided by the largest of
their type. `reader_against_others.py` compares them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

HIGH_WATER = Path("/proc/self/status")
"""Where Linux says how much memory a process has used at most."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture."""

    pixels: np.ndarray
    """[H, W, C] float32; alpha, if there is any, is last."""
    physical: bool = False
    """Whether the numbers are physical ones, without a black and a white: they are compared with others up to
    a linear map."""
    variants: dict[str, np.ndarray] = field(default_factory=dict)
    """The same without a step that other decoders leave out; only of our reader."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is known; only of our reader."""


def unit(numbers: np.ndarray) -> Picture:
    """Divide 8 and 16 bits by the largest number of the type; others are taken for physical ones."""
    pixels = numbers.reshape(*numbers.shape[:2], -1)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype in (np.uint8, np.uint16):
        return Picture(pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max))
    floats = pixels.astype(np.float32)
    inside = floats.dtype.kind == "f" and floats.size > 0 and floats.min() >= 0 and floats.max() <= 1
    return Picture(floats, physical=pixels.dtype.kind != "f" or not inside)


def of_linear_light(light: np.ndarray) -> Picture:
    """Clip light to [0, 1] and encode it (IEC 61966-2-1)."""
    light = light.reshape(*light.shape[:2], -1).astype(np.float32).clip(0, 1)
    return Picture(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def without_inks(inks: np.ndarray) -> np.ndarray:
    """CMYK without a profile: (1 - c)(1 - k), of 255 or 65535."""
    whole = float(np.iinfo(inks.dtype).max)
    light = 1 - inks.astype(np.float64) / whole
    return ((light[..., :3] * light[..., 3:4]) * whole).round().astype(inks.dtype)


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def is_linear_light(path: Path) -> bool:
    """Whether it is a Radiance or an OpenEXR file."""
    return head(path).startswith((b"#?", b"\x76\x2f\x31\x01"))


def by_vips(path: Path) -> Picture:
    import pyvips

    image = pyvips.Image.new_from_file(str(path), fail_on="error").autorot()
    if image.get_typeof("icc-profile-data"):
        depth = 16 if image.format == "ushort" else 8
        image = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=depth)
    elif image.interpretation == "cmyk":
        return unit(without_inks(image.numpy()))
    elif image.interpretation in ("lab", "labs", "scrgb", "xyz"):
        image = image.colourspace("srgb")
    return unit(image.numpy())


def _by_opencv(path: Path, flags: str) -> Picture:
    os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"
    import cv2

    image = cv2.imread(str(path), getattr(cv2, flags))
    if image is None:
        raise ValueError("imread returns None")
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return of_linear_light(image) if is_linear_light(path) else unit(image)


def by_opencv(path: Path) -> Picture:
    return _by_opencv(path, "IMREAD_UNCHANGED")


def by_opencv_in_colour(path: Path) -> Picture:
    return _by_opencv(path, "IMREAD_COLOR")


def by_pillow(path: Path) -> Picture:
    from PIL import Image, ImageCms, ImageOps

    for plugin in ("pillow_heif", "pillow_jxl"):
        if importlib.util.find_spec(plugin):
            module = importlib.import_module(plugin)
            getattr(module, "register_heif_opener", int)()
    with Image.open(path) as opened:
        profile, modes = opened.info.get("icc_profile"), {"P": "RGBA", "PA": "RGBA", "1": "L", "YCbCr": "RGB"}
        if opened.mode == "LAB":
            profile, image = ImageCms.createProfile("LAB"), ImageOps.exif_transpose(opened)
            return unit(np.asarray(ImageCms.profileToProfile(image, profile, srgb(), outputMode="RGB")))
        image = ImageOps.exif_transpose(opened)
        image = image.convert(modes.get(image.mode, image.mode))
    if profile and image.mode in ("L", "RGB", "RGBA", "CMYK"):
        from io import BytesIO

        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        image = image.convert("RGB") if image.mode == "RGBA" else image
        image = ImageCms.profileToProfile(image, source, srgb(), outputMode="RGB")
    elif image.mode == "CMYK":
        return unit(without_inks(np.asarray(image)))
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    return unit(np.asarray(image))


def srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


def by_tifffile(path: Path) -> Picture:
    import tifffile
    from tifffile import PHOTOMETRIC

    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        pixels, bits, photometric = page.asarray(), page.bitspersample, page.photometric
        axes, colours = page.axes, page.colormap
        jpeg = page.compression in (6, 7, 34887, 34892, 50001, 50002)
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, 2)
    elif axes not in ("YX", "YXS"):
        raise ValueError(f"tifffile gives the axes {axes}")
    if photometric == PHOTOMETRIC.PALETTE and colours is not None:
        pixels = pixels[..., 0] if pixels.ndim == 3 else pixels  # without alpha
        return unit(np.moveaxis(colours, 0, -1)[pixels])
    if pixels.dtype.kind == "u" and bits < 8 * pixels.dtype.itemsize:
        pixels = (pixels * (65535 / (2**bits - 1))).round().astype(np.uint16)
    if photometric == PHOTOMETRIC.MINISWHITE and pixels.dtype.kind in "bu":
        pixels = np.iinfo(pixels.dtype).max - pixels if pixels.dtype.kind == "u" else ~pixels
    if photometric == PHOTOMETRIC.SEPARATED and pixels.dtype in (np.uint8, np.uint16):
        pixels = without_inks(pixels)
    elif photometric not in (0, 1, 2) and not (photometric == PHOTOMETRIC.YCBCR and jpeg):
        raise ValueError(f"tifffile leaves {photometric.name} as it is")
    return unit(pixels)


def by_gdal(path: Path) -> Picture:
    import rasterio

    with rasterio.open(path) as opened:
        pixels, tags = np.moveaxis(opened.read(), 0, 2), opened.tags(1, ns="IMAGE_STRUCTURE")
        with contextlib.suppress(ValueError):  # no palette
            colours = opened.colormap(1)
            table = np.array([colours.get(i, (0, 0, 0, 0)) for i in range(max(colours) + 1)], np.uint8)
            return unit(table[pixels[..., 0], :3])
        if opened.colorinterp[0].name == "cyan" and pixels.dtype in (np.uint8, np.uint16):
            pixels = without_inks(pixels)
        white = 2 ** int(tags.get("NBITS", 0)) - 1
        if white and pixels.dtype.kind == "u":
            return Picture((pixels / white).astype(np.float32))
        if opened.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES" and pixels.dtype.kind == "u":
            pixels = np.iinfo(pixels.dtype).max - pixels
    return unit(pixels)


def by_itk(path: Path) -> Picture:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    image = SimpleITK.ReadImage(str(path))
    if image.GetDimension() == 4:
        image = image[..., 0]
    slices = SimpleITK.GetArrayFromImage(image)
    if path.name.endswith((".nii", ".nii.gz")):  # columns from left to right, rows from the front to the back
        slices = SimpleITK.GetArrayFromImage(SimpleITK.DICOMOrient(image, "LPS"))
        return Picture(slices[len(slices) // 2, :, ::-1, None].astype(np.float32), physical=True)
    middle = slices[len(slices) // 2] if image.GetDimension() > 2 else slices
    if middle.dtype == np.uint8:
        return unit(middle)
    return Picture(middle.reshape(*middle.shape[:2], -1).astype(np.float32), physical=True)


def by_pydicom(path: Path) -> Picture:
    import pydicom
    from pydicom import pixels as px

    data = pydicom.dcmread(path, force=True)
    numbers = px.pixel_array(data, index=int(data.get("NumberOfFrames") or 1) // 2)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        return unit(px.apply_color_lut(numbers, data))
    if numbers.ndim == 3:
        whole = 2 ** int(data.BitsStored) - 1
        return Picture((numbers / np.float64(whole)).astype(np.float32), physical=whole > 65535)
    physical = px.apply_voi_lut(px.apply_modality_lut(numbers, data), data)
    sign = -1.0 if data.PhotometricInterpretation == "MONOCHROME1" else 1.0
    return Picture((sign * np.asarray(physical, np.float64))[..., None].astype(np.float32), physical=True)


def by_nibabel(path: Path) -> Picture:
    import nibabel

    volume = nibabel.as_closest_canonical(nibabel.load(path)).dataobj
    middle = volume[:, :, volume.shape[2] // 2] if len(volume.shape) > 2 else volume[...]
    while middle.ndim > 2:
        middle = middle[..., 0]
    return Picture(np.asarray(middle.T[::-1], np.float32)[..., None], physical=True)


def by_astropy(path: Path) -> Picture:
    from astropy.io import fits

    with fits.open(path) as units:
        for each in units:
            if (
                isinstance(each, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU)
                and each.data is not None
            ):
                data = np.asarray(each.data, np.float32)
                while data.ndim > 2:
                    data = data[len(data) // 2]
                return Picture(data[::-1, :, None], physical=True)
    raise ValueError("no unit of it is an image")


def by_openexr(path: Path) -> Picture:
    import OpenEXR

    part = OpenEXR.File(str(path), separate_channels=True).parts[0]
    names = [name for name in ("R", "G", "B") if name in part.channels] or ["Y"]
    light = np.stack([part.channels[name].pixels for name in names], -1).astype(np.float32)
    if "A" in part.channels:  # colours are multiplied by it
        alpha = part.channels["A"].pixels.astype(np.float32)[..., None]
        light = np.divide(light, alpha, out=np.zeros_like(light), where=alpha > 0)
    return of_linear_light(light)


def by_rawpy(path: Path) -> Picture:
    import rawpy

    with rawpy.imread(str(path)) as raw:
        return unit(raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16))


def peak() -> float:
    """The most memory, in MiB, since the last call; 0 where the system does not say."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        line = next(line for line in HIGH_WATER.read_text().splitlines() if line.startswith("VmHWM"))
        Path("/proc/self/clear_refs").write_text("5")  # Linux: begin anew
        return int(line.split()[1]) / 1024
    return 0.0


def by_us(path: Path) -> Picture:
    """Our reader, and what it would give without the steps that other decoders leave out."""
    from dgp_mining.images.colour import to_srgb
    from dgp_mining.images.image_file import Alpha
    from dgp_mining.images.reader import decode_image, image_size, turn
    from dgp_mining.images.stored import read_stored

    peak()
    before, started = peak(), time.perf_counter()
    decoded = decode_image(path)
    cost = {"seconds": time.perf_counter() - started, "peak": max(peak() - before, 0.0)}
    stored = read_stored(path)
    whole = np.iinfo(stored.pixels.dtype).max if stored.pixels.dtype.kind == "u" else 1
    kept = stored.pixels.astype(np.float32) / np.float32(whole)
    file, back = stored.file, {6: 8, 8: 6}.get(stored.file.orientation, stored.file.orientation)
    colours = kept[..., :-1] if stored.alpha else kept
    variants = {"without converting colours": colours} if not file.encoding.is_srgb else {}
    if stored.alpha and file.alpha == Alpha.ASSOCIATED:
        multiplied = to_srgb(colours * kept[..., -1:], file.model, file.encoding, lambda note: None)
        variants["with colours still multiplied by alpha"] = multiplied
    if file.orientation != 1:
        variants["without turning"] = turn(decoded.pixels, back)
        variants["without turning or converting colours"] = turn(colours, back)
    facts = {
        "format": file.format,
        "size": list(image_size(path)),
        "bits": file.bits,
        "model": str(file.model),
        "notes": list(decoded.notes),
        **cost,
    }
    return Picture(np.asarray(decoded.pixels), variants=variants, facts=facts)


@dataclass(frozen=True)
class Decoder:
    """A way to read pictures."""

    read: Callable[[Path], Picture]
    module: str
    """What is imported for it."""
    package: str
    """The distribution, for its version."""
    suffixes: tuple[str, ...] = ()
    """Files that it is asked for; empty: all, except those of the fields' own libraries."""
    magic: tuple[tuple[int, bytes], ...] = ()
    """Or those that have these bytes at this offset."""

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None

    @property
    def version(self) -> str:
        """Of the package; empty if it was installed in another way."""
        with contextlib.suppress(PackageNotFoundError):
            return version(self.package)
        return ""

    def wants(self, path: Path) -> bool:
        """Whether it should be asked for a file."""
        if not self.suffixes:
            return True
        start = head(path)
        return path.name.lower().endswith(self.suffixes) or any(
            start[at : at + len(magic)] == magic for at, magic in self.magic
        )


OURS = "this reader"
DECODERS = {
    OURS: Decoder(by_us, "dgp_mining", "dgp-mining"),
    "libvips": Decoder(by_vips, "pyvips", "pyvips-binary"),
    "OpenCV": Decoder(by_opencv, "cv2", "opencv-python-headless"),
    "OpenCV, colour": Decoder(by_opencv_in_colour, "cv2", "opencv-python-headless"),
    "Pillow": Decoder(by_pillow, "PIL", "pillow"),
    "tifffile": Decoder(
        by_tifffile, "tifffile", "tifffile", (".tif", ".tiff"), ((0, b"II*\0"), (0, b"MM\0*"))
    ),
    "GDAL": Decoder(
        by_gdal, "rasterio", "rasterio", (".tif", ".tiff", ".jp2", ".j2k"), ((0, b"II*\0"), (0, b"MM\0*"))
    ),
    "SimpleITK": Decoder(
        by_itk, "SimpleITK", "SimpleITK", (".dcm", ".nii", ".nii.gz"), ((128, b"DICM"), (344, b"n+1\0"))
    ),
    "pydicom": Decoder(by_pydicom, "pydicom", "pydicom", (".dcm",), ((128, b"DICM"),)),
    "nibabel": Decoder(by_nibabel, "nibabel", "nibabel", (".nii", ".nii.gz"), ((344, b"n+1\0"),)),
    "astropy": Decoder(by_astropy, "astropy", "astropy", (".fits", ".fits.gz"), ((0, b"SIMPLE  ="),)),
    "OpenEXR": Decoder(by_openexr, "OpenEXR", "OpenEXR", (".exr",), ((0, b"\x76\x2f\x31\x01"),)),
    "rawpy": Decoder(by_rawpy, "rawpy", "rawpy", (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf")),
}
