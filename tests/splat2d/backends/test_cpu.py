"""The C++ library is found, and called with the structs that its header declares."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

import pytest

import splat2d
from splat2d.backends import cpu

HEADER = Path(splat2d.__file__).parent / "src" / "cpu" / "api.h"
CTYPES = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "float": ctypes.c_float}
needs_library = pytest.mark.skipif(cpu.LIBRARY is None, reason="built without the C++ library")


def members(struct: str) -> list[tuple[str, object]]:
    """(name, ctypes type) of each member of a struct of the header, in order."""
    text = re.sub(r"//.*", "", HEADER.read_text())
    (body,) = re.findall(rf"struct {struct} \{{(.*?)\n\}};", text, re.DOTALL)
    found = []
    for declaration in re.findall(r"^ +([^()]+?);", re.sub(r".*\(.*", "", body), re.MULTILINE):
        declared, names = re.fullmatch(r"(?:const )?(\w+\*?) (.*)", declaration).groups()
        for name in names.split(", "):
            base, length = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name).groups()
            if declared.endswith("*"):
                kind = ctypes.c_void_p
            else:
                kind = CTYPES.get(declared) or getattr(cpu, declared)
            found.append((base, kind * int(length) if length else kind))
    return found


@pytest.mark.parametrize("struct", [cpu.FieldArguments, *cpu.ENTRY_POINTS.values()])
def test_a_struct_of_arguments_has_the_members_of_the_header_in_their_order(struct):
    assert list(struct._fields_) == members(struct.__name__)


def test_the_interface_has_the_version_of_the_header():
    assert f"kAbi = {cpu.ABI};" in HEADER.read_text()


@needs_library
def test_a_library_whose_arguments_have_another_size_is_not_called(monkeypatch):
    class Shorter(ctypes.Structure):
        _fields_ = cpu.RenderArguments._fields_[:-1]

    monkeypatch.setitem(cpu.ENTRY_POINTS, "render", Shorter)
    with pytest.raises(ImportError, match=r"arguments of splat2d_render have .* bytes"):
        cpu.load(Path(cpu.LIBRARY._name))


@needs_library
def test_a_library_of_another_version_is_passed_over(monkeypatch):
    monkeypatch.setattr(cpu, "ABI", cpu.ABI + 1)
    assert cpu.load(Path(cpu.LIBRARY._name)) is None


def test_a_checkout_finds_the_library_that_was_built_last(monkeypatch, tmp_path):
    module = tmp_path / "cuda" / "splat2d" / "backends" / "cpu.py"
    older, newer = (tmp_path / "build" / name / f"splat2d{cpu._SUFFIX}" for name in ("a", "b"))
    for path in (older, newer):
        path.parent.mkdir(parents=True)
        path.touch()
    os.utime(older, (0, 0))
    monkeypatch.setattr(cpu, "__file__", str(module))
    assert list(cpu.library_paths())[1:] == [newer, older]


def test_without_the_library_a_direct_call_names_the_fallback(monkeypatch):
    monkeypatch.setattr(cpu, "LIBRARY", None)
    with pytest.raises(RuntimeError, match=r"use splat2d\.backends\.fallback"):
        cpu.instruction_set()
