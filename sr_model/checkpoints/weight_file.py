"""Files of weights: what they hold, without running code from them, or one sentence on what they are instead.

Read are the files of `torch.save`, of today and from before torch 1.6, and safetensors, by what they begin
with and not by their suffix, and the pair of files of an ncnn network (`ncnn_file`), by either of them.
"""

from __future__ import annotations

import re
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from dgp_mining.schema import kind_in_words, shortened
from splat2d.safetensors_header import read_header

from .ncnn_file import ncnn_files, read_ncnn
from .pickled_objects import describe_pickle
from .tensor_file import CheckpointError
from .torch_file import Excessive, check_claims, plain_content

AGAIN = "download or copy it again"
ARCHIVES = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z", b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
"""First bytes of compressed files."""
OTHERS = {
    b"\x89HDF": "an HDF5 file, as Keras writes",
    b"\x93NUMPY": "a NumPy array",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
"""First bytes of other files that a wrong path or link leads to."""
OURS = {
    "sr_model-checkpoint/1": "a checkpoint of this project, for sr-upscale --model and sr-train --init",
    "sr_model-training/1": "the state of a training, which sr-train --resume continues: the networks are "
    "best.safetensors and last.safetensors beside it",
    "sr_model-batch/1": "a training's first batch, not weights",
}
"""Formats of this project's own safetensors files, and what to say of them."""


def read_weight_file(path: str | Path) -> Mapping[Any, Any]:
    """Return the content of a file of weights: a mapping of plain values, tensors and further mappings.

    Raises:
        CheckpointError: if it cannot be read without running code, holds something else, or is not whole.
    """
    path = Path(path)
    if problem := _distributed(path):
        raise CheckpointError(f"{path} {problem}.")
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name a file of weights in it.")
    if not path.is_file():
        raise CheckpointError(
            f"{path} is not a file: name a file of weights, such as a .pth or .safetensors."
        )
    try:
        with path.open("rb") as file:
            start = file.read(200)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    if pair := ncnn_files(path, start):
        return read_ncnn(*pair)
    if problem := _other_than_weights(start):
        raise CheckpointError(f"{path} {problem}.")
    try:
        content = _read_safetensors(path) if start[8:9] == b"{" else _read_torch(path)
        if not isinstance(content, Mapping):
            raise CheckpointError(
                f"{path} holds no weights by name, but {kind_in_words(content)}: name the file of a state "
                "dict."
            )
        return plain_content(content, path.stat().st_size)
    except Excessive as error:
        raise CheckpointError(f"{path} {error}.") from error


def _distributed(path: Path) -> str:
    """Return what to do with a checkpoint that several processes wrote, or a file of it; "" for others."""
    folder = path.parent if path.suffix == ".distcp" else path
    if not (folder / ".metadata").is_file():
        return ""
    return (
        "is of torch.distributed.checkpoint: make one file of its folder with `python -m "
        f"torch.distributed.checkpoint.format_utils dcp_to_torch {folder.name} weights.pth`"
    )


def _other_than_weights(start: bytes) -> str:
    """Return what is wrong with a file that begins so; "" if it may be weights."""
    if not start:
        return f"is empty: {AGAIN}"
    if not start.strip(b"\0"):
        return f"begins with zeros, as an interrupted download leaves behind: {AGAIN}"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, a few lines that stand for the file: fetch the file with `git lfs pull`"
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|\?xml)", start, re.IGNORECASE):
        return "is a web page, not weights: open the link that it was downloaded from, and download the file"
    for magic, name in ARCHIVES.items():
        if start.startswith(magic):
            return f"is a {name} archive: unpack it, and name a file of weights in it"
    for magic, name in OTHERS.items():
        if start.startswith(magic):
            return f"is {name}, not a file of weights of torch or safetensors"
    if len(start) > 3 and (text := _as_text(start)):
        return f"is a text that begins with {text!r}, not weights: {AGAIN}"
    return ""


def _as_text(start: bytes) -> str:
    """Return the first words of a plain text; "" for other bytes."""
    if re.fullmatch(rb"[\t\n\r\x20-\x7e]+", start) is None:
        return ""
    return " ".join(start.decode("ascii").split())[:40].rstrip(" .")


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        form = read_header(path).metadata.get("format", "")
        if form in OURS:
            raise CheckpointError(f"{path} is {OURS[form]}.")
        with safe_open(str(path), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    except CheckpointError:
        raise
    except ValueError as error:
        reason = shortened(str(error))
        raise CheckpointError(f"{path} is not a whole safetensors file ({reason}): {AGAIN}.") from error
    except (SafetensorError, LookupError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"{path} holds numbers of a type that is not known here: save them as float16 or float32."
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        check_claims(path)
        with warnings.catch_warnings(action="ignore"):  # what torch warns of is said below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Excessive:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # other bytes, read as a pickle, can fail in any way
        raise CheckpointError(f"{path} {_unread(path, error)}.") from error


def _unread(path: Path, error: Exception) -> str:
    """Return why torch did not read a file, and what to do."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile:
            return f"is cut off: {AGAIN}"
        except Exception:  # names that are no text, versions and flags that are none
            return f"is damaged: {AGAIN}"
        if problem := _other_than_saved(path, names):
            return problem
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            names = archive.getnames()
        if {"pickle", "storages", "tensors"} <= set(names):
            return (
                "is in the tar format of torch before 0.1.10, which is not read without code: where you "
                f"trust it, save it again with {_saved_again(path)}"
            )
        return "is a tar archive: unpack it, and name a file of weights in it"
    if problem := describe_pickle(path, str(error)):
        return problem
    if isinstance(error, EOFError) or "unexpected EOF" in str(error) or "failed finding" in str(error):
        return f"is cut off: {AGAIN}"
    ncnn = f", nor of ncnn with its {path.stem}.param in the same folder" if path.suffix == ".bin" else ""
    return f"is not a file of plain tensors that torch or safetensors wrote{ncnn}"


def _other_than_saved(path: Path, names: list[str]) -> str:
    """Return what a whole zip file with these names is; "" for one of torch.save."""
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        load = f'torch.jit.load("{path.name}").state_dict()'
        return f'is a TorchScript archive of code: save its weights with torch.save({load}, "weights.pth")'
    if "archive_format" in inner and "data.pkl" not in inner:
        load = f'torch.export.load("{path.name}").state_dict'
        return f'is an exported program: save its weights with torch.save({load}, "weights.pth")'
    if "data.pkl" not in inner:
        some = ", ".join(names[:3])
        return f"is a zip archive ({some}, ...), not weights of torch: unpack it, and name a file in it"
    return ""


def _saved_again(path: Path) -> str:
    return f'torch.save(torch.load("{path.name}", weights_only=False), "weights.pth")'
