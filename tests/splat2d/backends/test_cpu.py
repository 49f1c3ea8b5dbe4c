"""The C++ library is found, and called with the structs that its header declares."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

import splat2d
from splat2d.backends import cpu
from tests.c_structs import members_of

HEADER = Path(splat2d.__file__).parent / "src" / "cpu" / "api.h"
needs_library = pytest.mark.skipif(cpu.LIBRARY is None, reason="built without the C++ library")


@pytest.mark.parametrize("struct", [cpu.FieldArguments, *cpu.ENTRY_POINTS.values()])
def test_a_struct_of_arguments_has_the_members_of_the_header_in_their_order(struct):
    assert list(struct._fields_) == members_of(struct.__name__, HEADER, cpu)


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


def test_without_the_library_a_direct_call_names_the_fallback(monkeypatch):
    monkeypatch.setattr(cpu, "LIBRARY", None)
    with pytest.raises(RuntimeError, match=r"use splat2d\.backends\.fallback"):
        cpu.instruction_set()
