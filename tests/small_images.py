"""A small file of every format of images, as bytes, with the metadata that formats of photographs hold."""

from __future__ import annotations

import importlib.util
import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import ExifTags, Image, ImageCms

HEIGHT, WIDTH = 12, 16

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1" '
    b'tiff:ImageWidth="16"/></rdf:RDF></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x05\x00\x03Owl"


def pixels(dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    """A smooth picture [HEIGHT, WIDTH, channels], or [HEIGHT, WIDTH] of one channel."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = np.stack([(rows * 7 + columns * 5 * (1 + c)) % 200 for c in range(channels)], 2).astype(dtype)
    return planes[..., 0] if channels == 1 else planes


def exif() -> Image.Exif:
    """EXIF of a camera, with details and a place."""
    about = Image.Exif()
    about[ExifTags.Base.Make], about[ExifTags.Base.Artist] = "Maker", "Zoë"
    about[ExifTags.Base.XResolution] = about[ExifTags.Base.YResolution] = 72.0
    about[ExifTags.Base.ResolutionUnit] = 2
    about.get_ifd(ExifTags.IFD.Exif).update({0x829A: 0.01, 0x9003: "2024:01:02 03:04:05", 0xA001: 1})
    about.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (47.0, 30.0, 1.5)})
    return about


def profile() -> bytes:
    """An ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _pillow(form: str, mode: str = "RGB", **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels()).convert(mode).save(content, form, **options)
    return content.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png() -> bytes:
    plain = _pillow("PNG", exif=exif(), icc_profile=profile(), dpi=(72, 72))
    after = plain.index(b"IDAT") - 4
    xmp = _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    return plain[:after] + xmp + _chunk(b"tEXt", b"Title\0Owl") + plain[after:]


def _jpeg() -> bytes:
    segment = struct.Struct(">2sH")
    resource = b"8BIM\4\4\0\0" + struct.pack(">I", len(IPTC)) + IPTC
    parts = [
        (b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        (b"\xff\xed", b"Photoshop 3.0\0" + resource),
    ]
    added = b"".join(segment.pack(marker, len(content) + 2) + content for marker, content in parts)
    plain = _pillow("JPEG", exif=exif(), icc_profile=profile(), comment=b"an owl")
    return plain[:2] + added + plain[2:]


def _tiff(dtype: type = np.uint8, **options: Any) -> bytes:
    content = io.BytesIO()
    tags = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500.0, 800.0, 0.0), True),
        (700, 1, len(XMP), XMP, True),
        (33723, 7, len(IPTC), IPTC, True),
        (271, "s", 0, "Maker", True),
    ]
    tifffile.imwrite(
        content,
        pixels(dtype),
        photometric="rgb",
        extratags=tags,
        iccprofile=profile(),
        metadata=None,
        **options,
    )
    return content.getvalue()


def _tiff_with_exif() -> bytes:
    return _pillow("TIFF", exif=exif(), compression="tiff_lzw")


def _of_codec(name: str, **options: Any) -> Callable[[], bytes]:
    return lambda: bytes(getattr(imagecodecs, f"{name}_encode")(pixels(), **options))


def _radiance() -> bytes:
    stored = np.concatenate([pixels(), np.full((HEIGHT, WIDTH, 1), 128, np.uint8)], 2)
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (HEIGHT, WIDTH) + stored.tobytes()


def _from_file(suffix: str, write: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        write(path)
        return path.read_bytes()


def _heif() -> bytes:
    import pillow_heif

    content = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels())).save(content)
    return content.getvalue()


def _exr() -> bytes:
    import OpenEXR

    def write(path: Path) -> None:
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        light = np.ascontiguousarray(pixels(np.float32) / 200)
        with OpenEXR.File(header, {"RGB": light}) as file:
            file.write(str(path))

    return _from_file(".exr", write)


def _dicom() -> bytes:
    from pydicom import uid
    from pydicom.dataset import FileDataset, FileMetaDataset

    def write(path: Path) -> None:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = "1.2.3", uid.ExplicitVRLittleEndian
        data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
        data.Rows, data.Columns, data.SamplesPerPixel = HEIGHT, WIDTH, 1
        data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelData = 15, pixels(np.uint16, 1).tobytes()
        data.save_as(path, enforce_file_format=True)

    return _from_file(".dcm", write)


def _nifti() -> bytes:
    import nibabel as nib

    volume = np.stack([pixels(np.int16, 1)] * 3, 2)
    return _from_file(".nii", lambda path: nib.save(nib.Nifti1Image(volume, np.eye(4)), path))


def _fits() -> bytes:
    from astropy.io import fits

    return _from_file(".fits", lambda path: fits.PrimaryHDU(pixels(np.int16, 1)).writeto(path))


def _dng() -> bytes:
    content = io.BytesIO()
    matrix = (32406, -15372, -4986, -9689, 18758, 415, 557, -2040, 10570)
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "Test Camera", True),
        (271, "s", 0, "Test", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50717, "H", 1, 4095, True),
        (50721, "2i", 9, tuple(part for value in matrix for part in (value, 10_000)), True),
        (50778, "H", 1, 21, True),
        (50728, "2I", 3, (1, 1) * 3, True),
    ]
    mosaic = np.tile(pixels(np.uint16, 1) * 10, (3, 3))
    tifffile.imwrite(content, mosaic, photometric=32803, extratags=tags, metadata=None)
    return content.getvalue()


_MAKERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a.png": ("", _png),
    "palette.png": ("", lambda: _pillow("PNG", "P")),
    "a.jpg": ("", _jpeg),
    "progressive.jpg": ("", lambda: _pillow("JPEG", progressive=True)),
    "a.jls": ("", _of_codec("jpegls")),
    "a.tif": ("", _tiff),
    "exif.tif": ("", _tiff_with_exif),
    "deflate.tif": ("", lambda: _tiff(np.uint16, compression="zlib", tile=(16, 16))),
    "a.bmp": ("", lambda: _pillow("BMP")),
    "a.gif": ("", lambda: _pillow("GIF", "P")),
    "a.webp": ("", lambda: _pillow("WEBP", exif=exif(), icc_profile=profile(), xmp=XMP)),
    "a.tga": ("", lambda: _pillow("TGA", compression="tga_rle")),
    "a.ppm": ("", lambda: _pillow("PPM")),
    "a.pfm": ("", lambda: b"PF\n%d %d\n-1.0\n" % (WIDTH, HEIGHT) + (pixels("<f4") / 200).tobytes()),
    "a.pam": (
        "",
        lambda: (
            b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" % (WIDTH, HEIGHT)
            + pixels().tobytes()
        ),
    ),
    "a.qoi": ("", _of_codec("qoi")),
    "a.hdr": ("", _radiance),
    "a.jp2": ("", _of_codec("jpeg2k", codecformat="jp2")),
    "a.jxl": ("", _of_codec("jpegxl")),
    "a.avif": ("", _of_codec("avif")),
    "a.heic": ("pillow_heif", _heif),
    "a.exr": ("OpenEXR", _exr),
    "a.dcm": ("pydicom", _dicom),
    "a.nii": ("nibabel", _nifti),
    "a.fits": ("astropy", _fits),
    "a.dng": ("rawpy", _dng),
}
"""By name of a file: the module that reads it beyond those that are always installed, and its maker."""


def damaged_images() -> dict[str, bytes]:
    """Files that cannot be read, by name: one of every format that ends too early, and others."""
    found = {f"short-{name}": content[: len(content) // 3] for name, content in small_images().items()}
    png, jpeg = _pillow("PNG"), _pillow("JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    return found | {
        "empty.png": b"",
        "text.tif": b"no image",
        "claims-much.jpg": jpeg[:at] + struct.pack(">HH", 13_377, 13_377) + jpeg[at + 4 :],
        "claims-more.png": png[:16] + struct.pack(">II", 1 << 30, 1 << 30) + png[24:],
    }


def unwritable_exif() -> bytes:
    """EXIF that is read, but cannot be packed again: its place has fractions where TIFF has an integer."""
    about = Image.Exif()
    about[ExifTags.Base.Make] = "Maker"
    about.get_ifd(ExifTags.IFD.GPSInfo).update({2: (47.0, 30.0, 1.5)})
    content = about.tobytes().removeprefix(b"Exif\0\0")
    return content.replace(b"\0\2\0\5\0\0\0\3", b"\1\0\0\5\0\0\0\3")


def small_images() -> dict[str, bytes]:
    """The files of all formats that can be read here, by name; all but raw are HEIGHT x WIDTH pixels."""
    return {
        name: make()
        for name, (needed, make) in _MAKERS.items()
        if not needed or importlib.util.find_spec(needed)
    }
