"""Field files from strangers: what they say is checked before it is believed, and refused in one sentence."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mutations import changed_bytes, changed_json, examples, is_one_sentence, outcome, strange_values
from safetensors.torch import save_file

from splat2d import GaussianField
from splat2d.field_file import FORMAT, NEWER_FORMAT

TENSORS = {
    "means": torch.full((2, 3, 2), 4.0),
    "cholesky": torch.tensor([1.0, 0.0, 1.0]).expand(2, 3, 3).contiguous(),
    "colors": torch.full((2, 3, 3), 0.5),
    "counts": torch.tensor([3, 2]),
}
SIZE, RENDERING = [8, 12], {"averaged": False, "normalised": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fields")


def written(
    folder: Path, changed: dict[str, torch.Tensor | None], size: object = SIZE, rendering: object = None
) -> Path:
    header = {"format": NEWER_FORMAT if rendering else FORMAT, "size": json.dumps(size)}
    if rendering:
        header["rendering"] = json.dumps(rendering)
    tensors = {name: tensor for name, tensor in (TENSORS | changed).items() if tensor is not None}
    save_file(tensors, folder / "field.safetensors", metadata=header)
    return folder / "field.safetensors"


def refused(path: Path) -> str:
    """The one sentence with which a file is refused."""
    _, said = outcome(lambda: GaussianField.load(path))
    assert said.startswith(f"{path} is not a Gaussian field (")
    assert is_one_sentence(said)
    return said


@pytest.mark.parametrize(
    "size",
    [[8], [8, 12, 3], [], [8, 1e30], [8, 1e-30], [8, float("nan")], [8, float("inf")], [-8, 12], [0, 12],
     [True, 12], ["8", "12"], [[8], 12], "8x12", {"8": 12}, 8, None, [8, 10**400]],
)  # fmt: skip
def test_a_size_that_is_not_two_possible_numbers_is_refused(folder: Path, size: object) -> None:
    assert "its size must be two numbers" in refused(written(folder, {}, size))


def test_a_text_in_the_header_is_not_parsed_however_deep_or_long_it_is(folder: Path) -> None:
    for text in ("[" * 100_000, "[" * 900 + "]" * 900, "1" * 10_000):
        save_file(TENSORS, folder / "a.safetensors", metadata={"format": FORMAT, "size": text})
        assert "its size" in refused(folder / "a.safetensors")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"means": TENSORS["means"].to(torch.int64)}, "floats of one type"),
        ({"means": TENSORS["means"].to(torch.complex64)}, "floats of one type"),
        ({"means": TENSORS["means"].double()}, "floats of one type"),
        ({name: TENSORS[name].bool() for name in ("means", "cholesky", "colors")}, "floats of one type"),
        ({"means": TENSORS["means"][:, :2].contiguous()}, r"cholesky must be \[B, N, 3\]"),
        ({"cholesky": TENSORS["cholesky"][..., :2].contiguous()}, r"cholesky must be \[B, N, 3\]"),
        ({"colors": TENSORS["colors"][0].contiguous()}, r"colors must be \[B, N, C\]"),
        ({"colors": torch.ones(2, 3, 9)}, "colors must have 1 to 8 channels, not 9"),
        ({"colors": torch.ones(2, 3, 0)}, "colors must have 1 to 8 channels, not 0"),
        ({"counts": torch.tensor([3, 4])}, "counts must lie between 0 and"),
        ({"counts": torch.tensor([3, -1])}, "counts must lie between 0 and"),
        ({"counts": torch.tensor([3])}, r"counts must be I64 \[2\]"),
        ({"counts": torch.tensor([3.0, 2.0])}, "counts must be I64"),
        ({"counts": torch.tensor([True, True])}, "counts must be I64"),
        ({"opacity\x1b[2J": torch.ones(1)}, "it holds"),
        ({"means": torch.zeros(2**40, 0, 2), "cholesky": torch.zeros(2**40, 0, 3),
          "colors": torch.zeros(2**40, 0, 3), "counts": None}, "means cannot have the shape"),
        ({"means": torch.zeros(0, 2**40, 2), "cholesky": torch.zeros(0, 2**40, 3),
          "colors": torch.zeros(0, 2**40, 3), "counts": None}, "means cannot have the shape"),
    ],
)  # fmt: skip
def test_tensors_of_other_types_and_shapes_are_refused(folder: Path, changed: dict, reason: str) -> None:
    assert re.search(reason, refused(written(folder, changed)))


@pytest.mark.parametrize(
    "rendering", [{"averaged": 1}, {"averaged": "no"}, {"more": True}, ["averaged"], "averaged", 3]
)
def test_flags_that_are_not_true_or_false_are_refused(folder: Path, rendering: object) -> None:
    assert "rendering" in refused(written(folder, {}, rendering=rendering))


def test_gaussians_that_cannot_be_rendered_are_named_when_they_are(folder: Path) -> None:
    singular = TENSORS["cholesky"].clone()
    singular[1, 0, 2] = 0
    field = GaussianField.load(written(folder, {"cholesky": singular}))
    with pytest.raises(ValueError, match="Gaussian 0 of row 1 cannot be rendered"):
        field.render()


# --- any change ---------------------------------------------------------------------------------------------


def right_or_refused(path: Path, content: bytes) -> None:
    """Load a changed file: it is a field that renders, or is refused in one sentence, here or by `render`."""
    path.write_bytes(content)
    field, refused = outcome(lambda: GaussianField.load(path))
    if refused:
        assert refused.startswith(f"{path} is not a Gaussian field (")
        assert is_one_sentence(refused)
        return
    image, refused = outcome(lambda: field.render((4, 6)))
    assert "cannot be rendered" in refused or image.shape == (len(field), field.colors.shape[2], 4, 6)


def with_header(content: bytes, header: Any) -> bytes:
    length = int.from_bytes(content[:8], "little")
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


@examples(60)
@given(data=st.data())
def test_strangers_bytes_are_a_field_or_one_sentence(folder: Path, data: st.DataObject) -> None:
    whole = written(folder, {}, rendering=RENDERING).read_bytes()
    right_or_refused(folder / "changed.safetensors", data.draw(changed_bytes(whole)))


@examples(100)
@given(data=st.data())
def test_strangers_headers_are_a_field_or_one_sentence(folder: Path, data: st.DataObject) -> None:
    whole = written(folder, {}, rendering=RENDERING).read_bytes()
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    right_or_refused(folder / "h.safetensors", with_header(whole, data.draw(changed_json(header))))


@examples(60)
@given(size=strange_values(), rendering=strange_values())
def test_strangers_sizes_and_flags_are_a_field_or_one_sentence(
    folder: Path, size: object, rendering: object
) -> None:
    path = written(folder, {}, size, rendering)
    right_or_refused(folder / "s.safetensors", path.read_bytes())
