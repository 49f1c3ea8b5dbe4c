"""Running a command in a test, and checking how it refuses."""

from click.testing import CliRunner, Result
from PIL import Image


def run(command, *arguments) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def refused(result: Result, status: int, *mentions: str) -> None:
    """One sentence, the exit status, the names in it, and no traceback."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    sentence = result.output.strip().splitlines()[-1]
    assert sentence.startswith("Error: ")
    assert "Traceback" not in result.output
    for mention in mentions:
        assert mention in sentence


def size(path: str) -> tuple[int, int]:
    """Width and height of a picture."""
    with Image.open(path) as image:
        return image.size
