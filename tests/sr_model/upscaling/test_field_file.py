"""A saved field has all that is needed to write its image; a damaged one is refused."""

import logging
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image

from dgp_mining.images.attachments import GeoReference
from dgp_mining.images.encoding import Encoding
from dgp_mining.images.reader import ImageError
from splat2d import GaussianField
from sr_model.image_io.metadata import Metadata
from sr_model.image_io.reader import read_source_image
from sr_model.upscaling.field_file import SavedField, load_field, save_field
from sr_model.upscaling.files import UpscaleRequest, upscale_file


def test_a_saved_field_carries_what_its_picture_needs(network, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 7, 2), np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    field = tmp_path / "field.safetensors"
    assert upscale_file(tmp_path / "a.png", None, UpscaleRequest(save_field=field), network) is None
    assert "no transparency" in caplog.text
    saved = load_field(field)
    assert (saved.dtype, saved.field.colors.shape[2]) == (np.uint16, 1)
    with_more = replace(saved, metadata=Metadata(b"profile" * 3, None, (300.0, 72.5)))
    save_field(with_more, tmp_path / "more.safetensors")
    assert load_field(tmp_path / "more.safetensors").metadata == with_more.metadata
    assert upscale_file(field, tmp_path / "b.png", UpscaleRequest(3.0), None) == (27, 21)
    assert read_source_image(tmp_path / "b.png").pixels.dtype == np.uint16


def test_a_saved_field_carries_all_that_is_kept(tmp_path):
    camera = Image.Exif()
    camera[ExifTags.Base.Make] = "Camera"
    about = Metadata(
        profile=None,
        exif=camera.tobytes().removeprefix(b"Exif\0\0"),
        dpi=(300.0, 72.5),
        xmp=b"<x/>",
        iptc=b"\x1c\x02",
        texts=(("Title", "Ōba"), ("Title", "")),
        geo=GeoReference(
            (10.0, 10.0, 0.0), (0.0, 0.0, 0.0, 5e5, 46e5 + 1 / 3, 0.0), (), (1, 1), (6.5,), "WGS|"
        ),
        encoding=Encoding(transfer="pq", said_by="its cICP chunk", cicp=(9, 16, 0, 1)),
    )
    field = GaussianField(torch.rand(1, 5, 2), torch.ones(1, 5, 3), torch.rand(1, 5, 3), size=(8, 12))
    save_field(SavedField(field, np.dtype("uint16"), about), tmp_path / "a.safetensors")
    assert load_field(tmp_path / "a.safetensors").metadata == about
    upscale_file(
        tmp_path / "a.safetensors", tmp_path / "b.tif", UpscaleRequest(2.0, window=(6, 4, 6, 2)), None
    )
    tags = tifffile.TiffFile(tmp_path / "b.tif").pages.first.tags
    assert tags[33550].value == (5, 5, 0)
    assert tags[33922].value == pytest.approx((0, 0, 0, 5e5 + 60, 46e5 + 1 / 3 - 40, 0), rel=1e-15)


def test_fields_of_others_are_rendered_and_broken_ones_named(tmp_path):
    means = torch.rand(1, 5, 2)
    field = GaussianField(means, torch.ones(1, 5, 3), torch.rand(1, 5, 3), size=(1.5, 2))
    field.save(tmp_path / "plain.safetensors")
    assert upscale_file(tmp_path / "plain.safetensors", tmp_path / "a.png", UpscaleRequest(10.0), None) == (
        15,
        20,
    )
    replace(field, means=means / 0).save(tmp_path / "nan.safetensors")
    replace(field, colors=torch.rand(1, 5, 4)).save(tmp_path / "four.safetensors")
    GaussianField.merge([field]).scale(2).save(tmp_path / "two.safetensors")
    two = GaussianField(means.repeat(2, 1, 1), torch.ones(2, 5, 3), torch.rand(2, 5, 3), size=(1, 1))
    two.save(tmp_path / "two.safetensors")
    for name in ("nan", "four", "two", "missing"):
        with pytest.raises(ImageError, match=name):
            load_field(tmp_path / f"{name}.safetensors")
    with pytest.raises(ImageError, match=r"field\.npz does not end in \.safetensors"):
        save_field(SavedField(field, np.dtype("uint8"), Metadata()), tmp_path / "field.npz")


def test_a_field_that_cannot_be_written_is_named(tmp_path):
    field = GaussianField(torch.rand(1, 5, 2), torch.ones(1, 5, 3), torch.rand(1, 5, 3), size=(2, 2))
    with pytest.raises(ImageError, match=r"missing/a\.safetensors cannot be written"):
        save_field(SavedField(field, np.dtype("uint8"), Metadata()), tmp_path / "missing" / "a.safetensors")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (Metadata(texts=(("Comment", "x" * 8_000_000),)), "its texts has"),
        (Metadata(xmp=bytes(48_000_000)), "its xmp has 64000000 characters"),
    ],
    ids=["texts", "xmp"],
)
def test_metadata_that_could_not_be_read_again_are_not_written(tmp_path, about, said):
    field = GaussianField(torch.rand(1, 5, 2), torch.ones(1, 5, 3), torch.rand(1, 5, 3), size=(2, 2))
    with pytest.raises(ImageError, match=f"a.safetensors is not written.*{said}.*Remove that from the image"):
        save_field(SavedField(field, np.dtype("uint8"), about), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())
