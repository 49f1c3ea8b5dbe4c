"""All five programs agree: on exit statuses, on `-h` and `--version`, on options, and on how errors read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from dgp_mining.cli import main as dgp_mine
from dgp_mining.command_line import (
    ARGUMENT,
    FAILED,
    FINISHED_WITH_FAILURES,
    INTERRUPTED,
    USAGE,
    Command,
    FormerArgument,
    Option,
    in_options,
    option,
    parameters,
    sentence,
)
from splat2d.version import __version__
from sr_model.cli.convert import main as sr_convert
from sr_model.cli.evaluate import main as sr_eval
from sr_model.cli.train import main as sr_train
from sr_model.cli.upscale import main as sr_upscale

ROOT = Path(__file__).resolve().parents[1]

PROGRAMS = (dgp_mine, sr_train, sr_upscale, sr_eval, sr_convert)


def commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and the words that lead to it, from the program's name on."""
    path = (*path, command.name or "")
    yield path, command
    for child in command.commands.values() if isinstance(command, click.Group) else ():
        yield from commands(child, path)


ALL = [found for program in PROGRAMS for found in commands(program)]
IDS = [" ".join(path) for path, _ in ALL]


def run(path: tuple[str, ...], *arguments: object) -> Result:
    """Run a command of a program in this process."""
    program = next(program for program in PROGRAMS if program.name == path[0])
    return CliRunner().invoke(program, [*path[1:], *map(str, arguments)])


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=IDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_in_whole_sentences(path: tuple[str, ...], flag: str) -> None:
    result = run(path, flag)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Usage: {' '.join(path)} ")
    for name in ("--version", "-h, --help"):
        assert name in result.stdout
    assert "FORMER" not in result.stdout.upper()


def test_a_folder_of_images_is_refused_when_given_twice() -> None:
    """One of them would be used without a word."""
    result = run(("sr-train",), "--images", "a", "--steps", 3, "--images=b")
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        USAGE,
        "Error: --images is given 2 times: name one folder.",
    )


def test_an_option_of_several_values_is_taken_as_often_as_it_is_given() -> None:
    result = run(("sr-train",), *("--set", "training.batch=4", "--set", "training.crop=x"), "--images", "a")
    assert "training.crop" in result.output.splitlines()[-1]


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=IDS)
def test_every_command_names_the_version(path: tuple[str, ...]) -> None:
    result = run(path, "--version")
    assert (result.exit_code, result.stdout) == (0, f"{path[0]} {__version__}\n")


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_every_option_is_described_by_a_sentence(path: tuple[str, ...], command: click.Command) -> None:
    for param in command.params:
        if isinstance(param, click.Option):
            assert re.fullmatch(r"[A-Z].*\.(  \[default: [^\]]+\])?", param.help or ""), (
                path,
                param.opts,
            )


def first_words(text: str) -> str:
    """The words of a help text that must not differ: the first sentence, up to what a command adds."""
    return re.split(r"[.:]|  \[", text)[0]


SHARED = {
    "--store": "The store of fits",
    "--images": "Folder of images, searched with its subfolders",
    "--out": "Where to write ",
    "--prior": "A dictionary of kernels, such as dict",
    "--model": "The checkpoint of a network",
    "--lr": "Folder of LR images, paired with HR images by name; their sizes give the scales",
    "--overwrite": "Replace what already exists",
    "--seed": "Seed of ",
    "--json": "Print the results as JSON",
    "--white": "The stored number that is white, in images of more than 8 bits and of floats",
    "--axis": "Axis across which volumes and series are cut",
    "--slice": "Number, from 0, of the slice, frame or page that is read",
    "--tone": "What becomes of linear light above white (OpenEXR, Radiance)",
    "--dry-run": "Only print an estimate",
    "--ensemble": "Mean over eight flips and turns of the ",
    "--reduction": "Kernel by which ",
}


def offered() -> dict[str, dict[str, click.Option]]:
    """Option -> command -> that command's option of this name."""
    found: dict[str, dict[str, click.Option]] = {}
    for path, command in ALL:
        for param in command.params:
            if isinstance(param, click.Option):
                for name in param.opts:
                    found.setdefault(name, {})[" ".join(path)] = param
    return found


NAMESAKES = {"--window"}
"""Black and white in dgp-mine; a part of the image in sr-upscale, where black and white are --levels."""


@pytest.mark.parametrize(
    "name", [name for name, places in offered().items() if len(places) > 1 and name not in NAMESAKES]
)
def test_an_option_means_the_same_in_every_command(name: str) -> None:
    options = offered()[name]
    words = {first_words(param.help or "") for param in options.values()}
    if SHARED[name].endswith(" "):
        words = {SHARED[name] for text in words if text.startswith(SHARED[name])}
    assert words == {SHARED[name]}, f"{name} reads differently in {', '.join(options)}"
    flags = {(param.is_flag, tuple(param.secondary_opts)) for param in options.values()}
    assert len(flags) == 1


def test_stores_images_targets_and_dictionaries_have_one_name() -> None:
    options = offered()
    for old in ("--data", "--dictionary", "--to"):
        assert old not in options
    assert set(options["--crop"]) == {"dgp-mine fit"}
    assert {"dgp-mine fit", "dgp-mine status", "dgp-mine verify", "dgp-mine report"} < set(options["--store"])
    assert {"sr-eval", "sr-train", "dgp-mine fit", "dgp-mine verify"} < set(options["--images"])
    assert {"sr-convert", "sr-upscale", "sr-train", "dgp-mine merge"} < set(options["--out"])
    assert set(options["--prior"]) == {"dgp-mine report", "sr-train"}


def renamed() -> Iterator[tuple[tuple[str, ...], str, str]]:
    for path, command in ALL:
        for param in command.params:
            for old in param.former if isinstance(param, Option) else ():
                yield path, old, param.opts[0]


@pytest.mark.parametrize(("path", "old", "new"), list(renamed()))
@pytest.mark.parametrize("equals", [True, False])
def test_old_options_work_with_a_line(path: tuple[str, ...], old: str, new: str, equals: bool) -> None:
    program = next(command for words, command in ALL if words == path)
    required = [
        text
        for param in program.params
        if param.required and new not in param.opts
        for text in ([param.opts[0], "1"] if isinstance(param, click.Option) else ["x"])
    ]
    given = [f"{old}=9"] if equals else [old, "9"]
    context = program.make_context(path[-1], [*given, *required])
    (param,) = [param for param in program.params if new in param.opts]
    assert str(context.params[param.name or ""]) == "9"
    result = run(path, *given, *required, "--no-such-option")
    assert result.stderr.splitlines()[0] == f"{old} is now {new}; the old name will be removed in 0.3."


@pytest.mark.parametrize(("path", "old", "new"), list(renamed()))
def test_an_option_is_refused_under_both_its_names(path: tuple[str, ...], old: str, new: str) -> None:
    for given in ([old, "8", new, "9"], [f"{new}=9", f"{old}=8"]):
        result = run(path, *given)
        assert result.exit_code == USAGE
        assert result.stderr.endswith(f"Error: Give {new} only once, not also as {old}.\n")


def test_all_that_was_renamed_is_known() -> None:
    assert {(" ".join(path), old, new) for path, old, new in renamed()} == {
        ("dgp-mine report", "--dictionary", "--prior"),
        ("dgp-mine export-field", "--crop", "--index"),
        ("dgp-mine export-field", "--to", "--out"),
        ("dgp-mine dictionary build", "--size", "--kernels"),
        ("dgp-mine dictionary export", "--to", "--out"),
        ("sr-eval", "--data", "--images"),
    }


FORMER_ARGUMENTS = {
    "dgp-mine status": "store",
    "dgp-mine verify": "store",
    "dgp-mine report": "store",
    "dgp-mine export-field": "store",
    "sr-upscale": "out",
    "sr-convert": "out",
}


def test_all_arguments_that_became_options_are_known() -> None:
    assert {
        " ".join(path): param.option
        for path, command in ALL
        for param in command.params
        if isinstance(param, FormerArgument)
    } == FORMER_ARGUMENTS


@pytest.mark.parametrize("name", FORMER_ARGUMENTS)
def test_arguments_that_became_options_work_with_a_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, new = tuple(name.split()), FORMER_ARGUMENTS[name]
    command = next(command for words, command in ALL if words == path)
    subject = ["x"] if name.startswith("sr-") else []
    required = [*subject, "there", *(("--index", "0", "--out", "f.png") if "export" in name else ())]
    assert str(command.make_context(path[-1], list(required)).params[new]) == "there"
    line = f"'there' without an option is now --{new} there; the old name will be removed in 0.3.\n"
    assert capsys.readouterr().err == line
    twice = run(path, *required, f"--{new}", "here")
    assert twice.exit_code == USAGE
    assert f"--{new}" in twice.stderr
    assert "there" in twice.stderr


def test_the_old_name_of_a_command_works_with_a_line() -> None:
    result = run(("dgp-mine",), "export", "-h")
    assert result.exit_code == 0
    assert (
        result.stderr
        == "dgp-mine export is now dgp-mine export-field; the old name will be removed in 0.3.\n"
    )
    assert "Usage: dgp-mine export-field" in result.stdout
    assert "\n  export " not in run(("dgp-mine",), "-h").stdout


def raising(error: BaseException) -> click.Command:
    @click.command("program", cls=Command)
    @option("--prior", argument=["dictionary"])
    @option("--kernels", "size", type=int)
    @option("--json", "as_json", is_flag=True)
    @option("--symmetric/--asymmetric")
    @option("--overwrite", is_flag=True)
    @click.argument("source", metavar="INPUT", required=False)
    def program(**options: object) -> None:
        raise error

    return program


@pytest.mark.parametrize(
    ("library", "printed"),
    [
        ("name a dictionary with prior=.", "name a dictionary with --prior."),
        ("dictionary= is needed", "--prior is needed"),
        ("take size=65 or size=126", "take --kernels 65 or --kernels 126"),
        ("a grid is not symmetric: use symmetric=False", "a grid is not symmetric: use --asymmetric"),
        ("exists: overwrite=True replaces it", "exists: --overwrite replaces it"),
        ("(see as_json=, source=)", "(see --json, INPUT)"),
        ("density= is not known here", "density= is not known here"),
        ("training.size=3 and a/size=3/x.png stay", "training.size=3 and a/size=3/x.png stay"),
        ("--set size=3: no such setting", "--set size=3: no such setting"),
    ],
)
def test_arguments_in_messages_become_options(library: str, printed: str) -> None:
    assert in_options(library, click.Context(raising(ValueError()))) == printed
    result = CliRunner().invoke(raising(ValueError(library)))
    assert result.exit_code == FAILED
    assert result.stderr == f"Error: {printed.rstrip('.')}.\n"
    result = CliRunner().invoke(raising(click.UsageError(library)))
    assert result.exit_code == USAGE
    assert result.stderr.endswith(f"Error: {printed}\n")


def test_clicks_own_errors_are_in_plain_words() -> None:
    result = run(("dgp-mine", "status"), "a", "b")
    assert result.exit_code == USAGE
    assert result.stderr.endswith("Error: There is one argument too many: b.\n")
    assert "without an option" not in result.stderr
    result = run(("dgp-mine", "dictionary", "build"), "--kernels", "many")
    assert result.stderr.endswith("Error: Invalid value for '--kernels': 'many' is not a whole number.\n")


def test_an_option_of_another_command_of_the_program_is_named_if_the_running_one_lacks_it() -> None:
    status = next(command for path, command in ALL if path == ("dgp-mine", "status"))
    context = click.Context(status, parent=click.Context(dgp_mine))
    assert in_options("start anew with overwrite=True", context) == "start anew with --overwrite"


@pytest.mark.parametrize(
    ("library", "printed"),
    [
        ("a.npz does not exist.", "--prior a.npz does not exist."),
        ("a.npz: no such thing.", "--prior a.npz: no such thing."),
        ("a.npz does not exist: see prior=.", "a.npz does not exist: see --prior."),
        ("a.npz.gz does not exist.", "a.npz.gz does not exist."),
        ("picture.png does not exist.", "picture.png does not exist."),
    ],
)
def test_a_message_about_the_value_of_an_option_names_the_option(library: str, printed: str) -> None:
    result = CliRunner().invoke(raising(ValueError(library)), ["--prior", "a.npz", "picture.png"])
    assert result.stderr == f"Error: {printed}\n"


def test_outside_of_commands_messages_stay() -> None:
    assert in_options("prior= is needed") == "prior= is needed"


@pytest.mark.parametrize("error", [ValueError("It failed."), FileNotFoundError("It failed")])
def test_foreseen_errors_are_one_sentence_and_status_1(error: Exception) -> None:
    result = CliRunner().invoke(raising(error))
    assert (result.exit_code, result.stderr) == (FAILED, "Error: It failed.\n")


def test_unforeseen_errors_keep_their_traceback() -> None:
    assert isinstance(CliRunner().invoke(raising(ZeroDivisionError())).exception, ZeroDivisionError)


def test_ctrl_c_is_one_line_and_status_130() -> None:
    result = CliRunner().invoke(raising(KeyboardInterrupt()))
    assert (result.exit_code, result.stderr) == (INTERRUPTED, "Interrupted.\n")


def test_the_statuses_are_what_the_help_and_shells_have() -> None:
    assert (1, click.UsageError.exit_code, 3, 130) == (FAILED, USAGE, FINISHED_WITH_FAILURES, INTERRUPTED)
    for path, command in ALL:
        for status in re.findall(r"Exit status (\d+)", command.help or ""):
            assert int(status) in (FAILED, FINISHED_WITH_FAILURES), path


def test_sentences_end_once() -> None:
    assert [sentence(ValueError(text)) for text in ("a", "a.", "a?", "")] == ["a.", "a.", "a?", "ValueError."]


def messages(package: str) -> Iterator[tuple[str, int, str]]:
    """(file, line, text) of every string of a package's library that is neither a docstring nor markup."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if path.relative_to(ROOT / package).parts[0] in ("cli", "command_line.py"):
            continue
        tree = ast.parse(path.read_text())
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in bare else None
            if isinstance(text, str) and '="' not in text:
                yield path.relative_to(ROOT).as_posix(), node.lineno, text


@pytest.mark.parametrize("package", ["dgp_mining", "sr_model"])
def test_every_argument_that_a_message_names_is_an_option(package: str) -> None:
    programs = [dgp_mine] if package == "dgp_mining" else [sr_train, sr_upscale, sr_eval, sr_convert]
    known = {name for program in programs for name in parameters(click.Context(program))}
    known |= {"weights_only", "folder"}  # torch.load's; a default that sr-eval replaces by suite=
    unnamed = [
        f"{file}:{line}: no command has an option for {match.group(0)}"
        for file, line, text in messages(package)
        for match in ARGUMENT.finditer(text)
        if match.group(1) not in known
    ]
    assert not unnamed


OUTPUTS = [
    ("dgp-mine", "report", "--out"),
    ("dgp-mine", "dictionary", "build", "--out"),
    ("dgp-mine", "dictionary", "show", "x.npz", "--plot"),
    ("dgp-mine", "dictionary", "import", "--released", "--out"),
    ("dgp-mine", "dictionary", "export", "x.npz", "--out"),
    ("dgp-mine", "export-field", "--index", "0", "--out"),
]


@pytest.mark.parametrize("arguments", OUTPUTS, ids=" ".join)
def test_a_device_is_no_output_and_stays(arguments: tuple[str, ...]) -> None:
    """It would be replaced by a file: before any work there is a sentence."""
    result = run(arguments, "/dev/null")
    said = f"Error: {arguments[-1]} /dev/null cannot be written (it is a device, not a file): name a file.\n"
    assert (result.exit_code, result.stderr) == (FAILED, said)
    assert Path("/dev/null").is_char_device()
