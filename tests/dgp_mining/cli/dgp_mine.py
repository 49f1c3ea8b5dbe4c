"""Helpers of the tests of `dgp-mine`."""

from __future__ import annotations

from click.testing import CliRunner, Result

from dgp_mining import cli


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def one_sentence(result: Result, status: int) -> str:
    """The one-line message of a command that failed with this exit status."""
    assert result.exit_code == status, result.output
    message = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(message) == 1
    assert result.stderr.splitlines()[-1] == message[0]
    return message[0]
