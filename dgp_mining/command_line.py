"""Shared by the commands dgp-mine, sr-train, sr-upscale, sr-eval and sr-convert.

`-h` and `--version`; options that mean the same in every command; the old names of options and
commands; errors as one sentence that names options instead of Python arguments.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from splat2d.atomic_write import refuse_irregular
from splat2d.version import __version__

from .error_words import plain, reworded, system_errors_in_words
from .error_words import sentence as sentence
from .exit_status import FAILED as FAILED
from .exit_status import FINISHED_WITH_FAILURES as FINISHED_WITH_FAILURES
from .exit_status import INTERRUPTED as INTERRUPTED
from .exit_status import USAGE as USAGE
from .exit_status import interruptible

REMOVAL = "0.3"
"""The release in which the old names of options and commands stop working."""

Function = TypeVar("Function", bound=Callable[..., Any])


def announce_renaming(old: str, new: str) -> None:
    """Print the notice of an old name on stderr."""
    click.echo(f"{old} is now {new}; the old name will be removed in {REMOVAL}.", err=True)


class Option(click.Option):
    """An option that may have old names, and another name as a Python argument."""

    def __init__(
        self, *args: Any, former: Sequence[str] = (), argument: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.former = tuple(former)
        """Old names, which still work but print a notice on stderr."""
        self.argument = tuple(argument)
        """Further names of the library's arguments that this option sets."""


class FormerArgument(click.Argument):
    """A positional argument that has become the option `--<option>`; not shown in the help."""

    def __init__(self, param_decls: Sequence[str], option: str) -> None:
        super().__init__(param_decls, required=False, expose_value=False, is_eager=True)
        self.option = option

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        value = opts.get(self.name or "")
        if isinstance(value, str):
            (option,) = [param for param in ctx.command.params if f"--{self.option}" in param.opts]
            if option.name in opts:
                raise click.UsageError(f"Give --{self.option} only once, not also as {value!r}.", ctx)
            # Eager, hence before the option itself reads what was parsed.
            cast(dict[str, Any], opts)[str(option.name)] = value
            if not args:  # otherwise click refuses the command line for its further arguments
                announce_renaming(f"{value!r} without an option", f"--{self.option} {value}")
        return super().handle_parse_result(ctx, opts, args)

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        return []


class Command(click.Command):
    """A command with `-h` and `--version`; prints foreseen errors as one sentence and exits with status 1."""

    foreseen: tuple[type[Exception], ...] = (ValueError, OSError)
    """Errors whose message is meant for the user; most of the library's errors are ValueErrors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **_with_context_settings(kwargs))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with interruptible(), system_errors_in_words():
            return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with interruptible():  # before click, which has another line and status for Ctrl-C
            return super().make_context(*args, **kwargs)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return _with_version(super().get_params(ctx))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _translated(ctx):
            args = _by_new_names(self, args, ctx)
            refuse_repeated(self, ctx, args)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _translated(ctx), interruptible():
                return super().invoke(ctx)
        except self.foreseen as error:
            raise click.ClickException(with_option(in_options(sentence(error), ctx), ctx)) from error


class Group(click.Group):
    """A group of such commands, with `-h`, `--version` and the old names of commands."""

    command_class: type[click.Command] | None = Command
    group_class = type

    def __init__(self, *args: Any, former: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **_with_context_settings(kwargs))
        self.former = dict(former or {})
        """Old name -> new name."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with interruptible(), system_errors_in_words():
            return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with interruptible():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with interruptible():
            return super().invoke(ctx)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return _with_version(super().get_params(ctx))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if new := self.former.get(args[0]):
            announce_renaming(f"{ctx.command_path} {args[0]}", f"{ctx.command_path} {new}")
            args = [new, *args[1:]]
        return super().resolve_command(ctx, args)


def _with_context_settings(given: dict[str, Any]) -> dict[str, Any]:
    defaults = {"help_option_names": ["-h", "--help"], "show_default": True}
    return {**given, "context_settings": {**defaults, **(given.get("context_settings") or {})}}


def _with_version(params: list[click.Parameter]) -> list[click.Parameter]:
    return [*params[:-1], VERSION, *params[-1:]]  # the last one is --help


def _print_version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"{ctx.find_root().command.name} {__version__}")
        ctx.exit()


VERSION = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)


def _by_new_names(command: click.Command, args: list[str], ctx: click.Context) -> list[str]:
    """Replace the old names of options by the new ones, with a notice on stderr for each.

    Raises UsageError if an option is given by two of its names, since one value would be ignored.
    """
    end = args.index("--") if "--" in args else len(args)
    given = {arg.partition("=")[0] for arg in args[:end]}
    new_names: dict[str, str] = {}
    for param in command.params:
        former = param.former if isinstance(param, Option) else ()
        new_names |= dict.fromkeys(former, param.opts[0])
        used = [name for name in (*param.opts, *former) if name in given]
        if len(used) > 1 and used[-1] in former:
            raise click.UsageError(f"Give {param.opts[0]} only once, not also as {used[-1]}.", ctx)
    return [*(_by_new_name(arg, new_names) for arg in args[:end]), *args[end:]]


def _by_new_name(arg: str, new_names: Mapping[str, str]) -> str:
    name, equals, value = arg.partition("=")
    if name not in new_names:
        return arg
    announce_renaming(name, new_names[name])
    return new_names[name] + equals + value


ARGUMENT = re.compile(
    r"""(?:(?<=[\s("'])|^)(?<!--set )((?:reading\.)?[a-z]\w*)=(True\b|False\b)?((?=[\w"'/]|-\d))?"""
)
"""An argument in the library's messages: `prior=`, `size=65`, `overwrite=True` or `reading.white=`."""


@contextlib.contextmanager
def _translated(ctx: click.Context) -> Iterator[None]:
    """Make click's errors that are raised inside name options instead of Python arguments."""
    try:
        yield
    except click.ClickException as error:
        text = in_options(plain(error.message), ctx)
        if text == error.message:
            raise
        raise reworded(error, text, ctx) from error


def in_options(text: str, ctx: click.Context | None = None) -> str:
    """Replace the Python arguments that `text` names by the options of the running command.

    'name a dictionary with prior=' becomes 'name a dictionary with --prior', 'take size=65' becomes 'take
    --kernels 65', and 'overwrite=True' becomes '--overwrite'. If the running command has no such
    option, another command's of the same program is taken; if there is none either, the text is unchanged.
    """
    ctx = ctx or click.get_current_context(silent=True)
    if ctx is None:
        return text
    known = parameters(ctx)
    return ARGUMENT.sub(lambda match: _in_option(match, known), text)


def with_option(text: str, ctx: click.Context) -> str:
    """Begin a message that begins with the value of an option, such as a file, with the option's name.

    'dict.npz does not exist.' becomes '--prior dict.npz does not exist.', unless it names the option anyway.
    """
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if isinstance(param, click.Option) and isinstance(value, str | Path) and str(value):
            name = option_name(param)
            if re.match(re.escape(str(value)) + r":? ", text) and not re.search(rf"{name}(?![\w-])", text):
                return f"{name} {text}"
    return text


def _in_option(match: re.Match[str], known: Mapping[str, click.Parameter]) -> str:
    name, switch, value = match.groups()
    param = known.get(name)
    if param is None:
        return match.group(0)
    shown = option_name(param)
    if switch == "False":
        return param.secondary_opts[0] if param.secondary_opts else f"no {shown}"
    return shown if value is None else f"{shown} "


def option_name(param: click.Parameter) -> str:
    """Return the name of a parameter on the command line: '--out', or 'INPUT'."""
    return max(param.opts, key=len) if isinstance(param, click.Option) else param.human_readable_name


def parameters(ctx: click.Context) -> dict[str, click.Parameter]:
    """Map argument names to parameters of the running command and of the other commands of its program."""
    found: dict[str, click.Parameter] = {}
    for command in (ctx.command, *_commands(ctx.find_root().command)):
        for param in command.params:
            if not isinstance(param, FormerArgument):
                for name in (param.name, *(param.argument if isinstance(param, Option) else ())):
                    found.setdefault(name or "", param)
    return found


def _commands(command: click.Command) -> Iterator[click.Command]:
    """Yield the command and all its subcommands."""
    yield command
    for child in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _commands(child)


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """Like `click.option`, but also takes the `former` names of an option and its `argument` in Python."""
    return click.option(*names, cls=Option, **settings)


def former_argument(new: str) -> Callable[[Function], Function]:
    """Accept the former positional argument for what is now the option --`new`."""
    return click.argument(f"former_{new}", cls=FormerArgument, option=new)


# Options of several commands. Each has the same meaning and the same help text everywhere.


def store_option() -> Callable[[Function], Function]:
    """--store."""
    return option("--store", default="dgp.zarr", metavar="STORE", help="The store of fits.")


ONE_FOLDER = ("images", "val")
"""Options of folders that, given twice, might mean both."""


def refuse_repeated(command: click.Command, ctx: click.Context, args: list[str]) -> None:
    """Raise click.UsageError if an option that names one folder of images is given twice.

    click would use the last folder without a word. Of other options, a command's end may override its start.
    """
    _, _, given = command.make_parser(ctx).parse_args(args=list(args))
    for parameter in given:
        if parameter.name in ONE_FOLDER and not parameter.multiple and given.count(parameter) > 1:
            times = given.count(parameter)
            raise click.UsageError(f"--{parameter.name} is given {times} times: name one folder.", ctx)


def images_option(more: str = "", **settings: Any) -> Callable[[Function], Function]:
    """--images."""
    text = "Folder of images, searched with its subfolders."
    return option("--images", metavar="DIR", help=text + more, **settings)


def out_option(what: str, more: str = "", **settings: Any) -> Callable[[Function], Function]:
    """--out, the file to write `what` to."""
    return option("--out", **{"metavar": "FILE", "help": f"Where to write {what}.{more}", **settings})


def refuse_existing(out: str, overwrite: bool) -> None:
    """Raise click.ClickException if the file `out`, given by --out, exists and `overwrite` is false."""
    if Path(out).exists() and not overwrite:
        raise click.ClickException(
            f"--out {out} exists already: name another file, or replace it with --overwrite."
        )


class NewFile(click.Path):
    """A file to write, in a folder that exists; the error for another comes before any work."""

    name = "file"

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        named = f"{option_name(param)} {value}" if param else str(value)
        if not (folder := Path(value).parent).is_dir():
            raise click.ClickException(f"{named} cannot be written: there is no folder {folder}.")
        try:
            refuse_irregular(value)
        except IsADirectoryError:
            pass  # of which click has its own words
        except OSError as error:
            raise click.ClickException(
                f"{named} cannot be written ({error.strerror}): name a file."
            ) from error
        return super().convert(value, param, ctx)


REPLACED = " It is replaced if it exists."
"""In the help of options for files that are written without --overwrite, since they can be made again."""


def prior_option(more: str, **settings: Any) -> Callable[[Function], Function]:
    """--prior."""
    text = "A dictionary of kernels, such as dict.npz."
    return option("--prior", metavar="FILE", help=text + more, **settings)


def overwrite_option(more: str = "") -> Callable[[Function], Function]:
    """--overwrite."""
    return option("--overwrite", is_flag=True, help="Replace what already exists." + more)


def seed_option(what: str) -> Callable[[Function], Function]:
    """--seed."""
    kind = click.IntRange(0, 2**63 - 1)  # as large as files and NumPy have whole numbers
    return option("--seed", default=0, type=kind, metavar="N", help=f"Seed of {what}.")


def json_option() -> Callable[[Function], Function]:
    """--json."""
    return option("--json", "as_json", is_flag=True, help="Print the results as JSON.")


def dry_run_option(more: str) -> Callable[[Function], Function]:
    """--dry-run."""
    return option("--dry-run", is_flag=True, help="Only print an estimate: " + more)
