"""Signals end a program with one line also while it imports torch."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable

import pytest
import torch

from dgp_mining.entry import dgp_mine
from dgp_mining.exit_status import INTERRUPTED
from sr_model.cli import entry


@pytest.mark.parametrize(
    ("program", "module"),
    [
        (entry.sr_train, "train"),
        (entry.sr_upscale, "upscale"),
        (entry.sr_eval, "evaluate"),
        (entry.sr_convert, "convert"),
        (dgp_mine, "cli"),
    ],
)
def test_ctrl_c_during_the_imports_is_one_line_and_status_130(
    program: Callable[[], None],
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = builtins.__import__

    def interrupted(name: str, *arguments: object, **more: object) -> object:
        if name == module:
            raise KeyboardInterrupt
        return usual(name, *arguments, **more)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == INTERRUPTED
    assert capsys.readouterr().err == "Interrupted.\n"


def test_the_programs_run_their_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for program in (dgp_mine, entry.sr_train, entry.sr_upscale, entry.sr_eval, entry.sr_convert):
        name = program.__name__.replace("_", "-")
        monkeypatch.setattr(sys, "argv", [name, "-h"])
        with pytest.raises(SystemExit) as ended:
            program()
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"Usage: {name} ")


@pytest.mark.parametrize("cores", [1, 2, 64])
def test_threads_are_no_more_than_the_cores_of_a_container(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(entry, "available_cores", lambda: cores)
    try:
        for program in (entry.sr_train, entry.sr_upscale, entry.sr_eval):
            torch.set_num_threads(3)
            monkeypatch.setattr(sys, "argv", [program.__name__, "-h"])
            with pytest.raises(SystemExit):
                program()
            assert torch.get_num_threads() == min(3, cores)
    finally:
        torch.set_num_threads(before)
