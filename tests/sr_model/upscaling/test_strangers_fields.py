"""Whatever changes in a saved field: its picture is made, or it is refused in one sentence that names it."""

import json
from pathlib import Path

import mutations
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from safetensors import safe_open
from safetensors.torch import save

from dgp_mining.images.attachments import GeoReference
from dgp_mining.images.encoding import Encoding
from dgp_mining.images.reader import ImageError
from splat2d import GaussianField
from sr_model.image_io.metadata import Metadata
from sr_model.upscaling.field_file import SavedField, load_field, save_field
from sr_model.upscaling.files import UpscaleRequest, upscale_file

TEXTS = ("", "x", "nan inf", "1 2 3", "-1 -1", "1e9 1", "A" * 999, "0" * 400, "\x00", "SUkqAAgAAAABAA==")
FORMS = ("png", "tif", "jpg", "webp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a saved field that notes everything."""
    folder = tmp_path_factory.mktemp("changed")
    camera = Image.Exif()
    camera[ExifTags.Base.Make] = "Camera"
    field = GaussianField(torch.rand(1, 5, 2), torch.ones(1, 5, 3), torch.rand(1, 5, 3), size=(3, 4))
    about = Metadata(
        exif=camera.tobytes().removeprefix(b"Exif\0\0"),
        dpi=(300.0, 72.5),
        xmp=b"<x/>",
        iptc=b"\x1c\x02",
        texts=(("Title", "x"), ("Title", "")),
        geo=GeoReference((10.0, 10.0, 0.0), (0.0, 0.0, 0.0, 5e5, 46e5, 0.0), (), (1, 1), (6.5,), "WGS|"),
        encoding=Encoding(transfer="pq", said_by="its cICP chunk", cicp=(9, 16, 0, 1)),
    )
    save_field(SavedField(field, np.dtype("uint16"), about), folder / "whole.safetensors")
    return folder


def notes_of(folder: Path) -> dict[str, str]:
    with safe_open(str(folder / "whole.safetensors"), framework="pt") as file:
        return dict(sorted(file.metadata().items()))  # safetensors has another order each time


def write(folder: Path, notes: dict[str, str]) -> Path:
    with safe_open(str(folder / "whole.safetensors"), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path = folder / "a.safetensors"
    path.write_bytes(save(tensors, notes))
    return path


def drawn_or_refused(path: Path, form: str) -> None:
    target = path.with_suffix(f".{form}")
    target.unlink(missing_ok=True)
    try:
        drawn = upscale_file(path, target, UpscaleRequest(2.0))
    except ImageError as error:
        text = str(error)
        assert str(path) in text
        assert text.endswith(".")
        assert len(text) < 2000
        assert not target.exists()
        return
    assert drawn is not None
    with Image.open(target) as picture:
        assert picture.size == drawn[::-1]


@mutations.examples(60)
@given(st.data(), st.sampled_from(FORMS))
def test_notes(folder: Path, data, form):
    notes = notes_of(folder)
    name = data.draw(st.sampled_from([key for key in notes if key != "format"]))
    if name in ("size", "texts", "georeference", "encoding"):
        notes[name] = mutations.as_text(data.draw(mutations.changed_json(json.loads(notes[name]))))
    else:
        notes[name] = data.draw(st.sampled_from(TEXTS))
    try:
        path = write(folder, notes)
    except Exception:  # safetensors cannot write it
        return
    drawn_or_refused(path, form)


@mutations.examples(40)
@given(st.data(), st.sampled_from(FORMS))
def test_bytes(folder: Path, data, form):
    path = folder / "a.safetensors"
    path.write_bytes(data.draw(mutations.changed_bytes((folder / "whole.safetensors").read_bytes())))
    drawn_or_refused(path, form)


NOTES = {
    "dtype": ["x", "float64", ""],
    "dpi": ["nan 1", "inf inf", "-1 2", "1", "x y"],
    "texts": ["3", "[[1, 2]]", '["ab"]', "[" * 100_000, '{"a": "b"}', "[["],
    "georeference": ["[]", "3", '{"keys": [70000]}', '{"keys": [true]}', '{"scale": [1]}', '{"more": 1}'],
    "encoding": ["[]", '{"transfer": "x"}', '{"primaries": [0,0,0,0,0,0,0,0]}', '{"cicp": [1, 2, 3]}'],
    "exif": ["x", "AAAA"],
    "icc_profile": ["???"],
    "size": ["[1]", "[true, 1]", "[NaN, 1]", "[1e30, 1e30]", "3", "[" * 9999],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name in NOTES for text in NOTES[name]])
def test_notes_of_another_type_are_refused_by_name(folder: Path, name, text):
    path = write(folder, {**notes_of(folder), name: text})
    with pytest.raises(ImageError) as error:
        load_field(path)
    assert name.replace("exif", "EXIF") in str(error.value).replace("exif", "EXIF")
    assert str(path) in str(error.value)
