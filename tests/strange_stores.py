"""Stores as strangers make them: the one of version 0.1.0 with other attributes and chunks."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from google_crc32c import value as crc32c
from mutations import CONTROL, outcome

from dgp_mining.store.integrity import StoreError, seal
from dgp_mining.store.verify import verify

SAMPLE = Path(__file__).resolve().parents[1] / "data/samples/stores/0.1.0.tar.xz"


def unpacked(folder: Path) -> Path:
    """The store of version 0.1.0, in a folder."""
    with tarfile.open(SAMPLE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "small.zarr"


def part_of(store: Path) -> Path:
    (name,) = attributes_of(store)["parts"]
    return store / "parts" / name


def attributes_of(group: Path) -> dict[str, Any]:
    found = json.loads((group / "zarr.json").read_text())["attributes"]
    found.pop("digest", None)
    return found


def describe(group: Path, attributes: Any) -> None:
    """Give a group other attributes, with the digest that fits them: it is no secret."""
    file = group / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"] = seal(attributes) if isinstance(attributes, dict) else attributes
    file.write_text(json.dumps(content))


def chunk_of(store: Path, name: str) -> Path:
    return min(path for path in (part_of(store) / name / "c").rglob("*") if path.is_file())


def with_checksum(content: bytes) -> bytes:
    return content + crc32c(content).to_bytes(4, "little")


def in_one_sentence(store: Path) -> str:
    """What `verify` says of the damage, in the report or as the error."""
    found, said = outcome(lambda: verify(store), StoreError)
    said = said or "; ".join(damage.what for damage in found.damage)
    assert said
    assert not CONTROL.search(said)
    return said
