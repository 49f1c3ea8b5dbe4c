"""Signals and closed pipes end a program in order, with the exit status that shells have for them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dgp_mining.cli.group import Command, Group
from dgp_mining.exit_status import CLOSED_PIPE, INTERRUPTED, Ended, interruptible
from dgp_mining.terminal import ProgressLine

PROGRAM = """
import sys, time
import click
from dgp_mining.command_line import Command
from splat2d.atomic_write import atomic_write

@click.command("program", cls=Command)
def program():
    with atomic_write("out") as partial:
        partial.write_text("half")
        print("writing", flush=True)
        time.sleep(60)

program()
"""
"""A command that is writing a file."""

DGP_MINE = [sys.executable, "-c", "from dgp_mining.entry import dgp_mine; dgp_mine()"]


def under_way(folder: Path, **more: object) -> subprocess.Popen[str]:
    """The program, once it is writing."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder}
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes, **more)  # type: ignore[call-overload]
    assert program.stdout.readline() == "writing\n"
    return program


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [
        (signal.SIGINT, 130, "Interrupted.\n"),
        (signal.SIGTERM, 143, "Ended by SIGTERM.\n"),
        (signal.SIGHUP, 129, "Ended by SIGHUP.\n"),
    ],
)
def test_a_signal_leaves_the_former_file_one_line_and_its_status(
    tmp_path: Path, number: int, status: int, line: str
) -> None:
    (tmp_path / "out").write_text("former")
    program = under_way(tmp_path)
    program.send_signal(number)
    assert program.communicate(timeout=60)[1] == line
    assert program.returncode == status
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "former"


ENDING = """
import atexit, os, sys, time
from dgp_mining.exit_status import program

def end(write=os.write, sleep=time.sleep):
    write(1, b"ending\\n")
    sleep(0.2)

class Library:
    def __del__(self, end=end):
        end()

with program():
    {library}
    os.write(1, b"begun\\n")
    time.sleep(60)
"""
"""A program with a library that takes a while to end."""


@pytest.mark.parametrize("library", ["atexit.register(end)", "sys.modules['of_a_library'] = Library()"])
def test_a_second_ctrl_c_while_python_is_ending_changes_no_status(library: str) -> None:
    command = [sys.executable, "-c", ENDING.format(library=library)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in ("begun\n", "ending\n"):
        assert running.stdout.readline() == line
        running.send_signal(signal.SIGINT)
    assert running.communicate()[1] == "Interrupted.\n"
    assert running.returncode == INTERRUPTED


def test_a_program_that_ignores_the_closing_of_its_terminal_still_does(tmp_path: Path) -> None:
    """As `nohup` has it."""
    program = under_way(tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    program.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert program.poll() is None
    program.terminate()
    program.communicate(timeout=60)
    assert program.returncode == 143


def test_several_signals_that_come_together_count_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ended: list[int] = []

    def end_twice() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Ended as error:
            os.kill(os.getpid(), signal.SIGHUP)  # must not end what is put in order here
            ended.append(error.number)
            raise

    with pytest.raises(SystemExit) as left, interruptible():
        end_twice()
    assert (ended, left.value.code) == ([signal.SIGTERM], 143)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_forked_process_ends_as_if_nothing_handled_its_signals() -> None:
    with interruptible():
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(writer, b"!")
                time.sleep(60)
            finally:
                os._exit(7)
        os.read(reader, 1)  # before, Python forgets the signal
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def test_other_threads_leave_signals_alone() -> None:
    seen = []

    def run() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.parametrize("cls", [Command, Group])
@pytest.mark.parametrize("method", ["parse_args", "invoke"])
def test_ctrl_c_has_one_line_and_status_wherever_it_comes(
    cls: type[click.Command], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """click itself says 'Aborted!', and exits with 1."""

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Group if cls is Group else click.Command, method, interrupted)
    result = CliRunner().invoke(cls("program", callback=lambda: None), ["word"] * (cls is Group))
    assert (result.exit_code, result.stderr) == (INTERRUPTED, "Interrupted.\n")


@pytest.mark.parametrize("arguments", [["-h"], ["images", "-h"], ["fit"]], ids=" ".join)
def test_output_that_nobody_reads_ends_a_program_without_a_word(arguments: list[str]) -> None:
    """As `dgp-mine ... | head -1`, also of what is printed on the error output."""
    reader, writer = os.pipe()
    os.close(reader)
    closed = "stderr" if arguments == ["fit"] else "stdout"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: writer}
    done = subprocess.run([*DGP_MINE, *arguments], **streams, check=False)  # type: ignore[call-overload]
    os.close(writer)
    assert done.returncode == CLOSED_PIPE == 141
    assert not done.stdout
    assert not done.stderr


def test_a_broken_pipe_to_something_else_is_an_error_like_others() -> None:
    @click.command(cls=Command)
    def program() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    result = CliRunner().invoke(program)
    assert (result.exit_code, result.stderr) == (1, "Error: Broken pipe.\n")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (MemoryError(), ""),
        (
            ImportError("libtorch.so: failed to map segment from shared object"),
            " (libtorch.so: failed to map",
        ),
    ],
)
def test_memory_that_does_not_suffice_is_one_sentence(error: Exception, detail: str) -> None:
    """As under `ulimit -v`, where a command of any kind may fail while it is starting."""

    @click.command(cls=Command)
    def program() -> None:
        raise error

    result = CliRunner().invoke(program)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The memory does not suffice: end other programs")
    assert result.stderr.count("\n") == 1
    assert detail in result.stderr
    with pytest.raises(ImportError), interruptible():
        raise ImportError("No module named 'torch'")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bound no address space")
def test_a_limit_too_low_for_torch_is_one_sentence() -> None:
    program = "from sr_model.cli.entry import sr_upscale; sr_upscale()"
    script = 'ulimit -v 300000 && exec "$@"'
    started = ["bash", "-c", script, "bash", sys.executable, "-c", program, "--help"]
    done = subprocess.run(started, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The memory does not suffice")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["-h"], ["images", "-h"]], ids=" ".join)
def test_a_full_disk_behind_the_output_is_one_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*DGP_MINE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    said = "Error: The output cannot be written (No space left on device).\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_progress_goes_nowhere_if_the_error_output_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has None in its place, after `2>&-`."""
    monkeypatch.setattr(sys, "stderr", None)
    line = ProgressLine(patience=0)
    line.interject("A line.")
    line.finish("The end.")
    shown = io.StringIO()
    ProgressLine(shown).interject("A line.")
    assert shown.getvalue() == "A line.\n"


def test_names_that_are_no_text_are_printed_and_end_no_program() -> None:
    """Where a terminal's encoding is strict, as in most languages, they were an error of Python."""
    program = "from dgp_mining.exit_status import interruptible\nwith interruptible(): print('a\\udcff.png')"
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=strict, check=True)
    assert done.stdout.split() == [b"a\\udcff.png"]
