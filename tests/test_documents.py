"""The documents keep their word: commands run in the order they stand, links resolve, options exist.

Blocks marked bash and python in DOCUMENTS run in one fresh folder per document. A comment right above a block
may change that:

    <!-- tests: skip (REASON) -->              the block does not run
    <!-- tests: instead                        each line runs in place of the command it begins with:
    sr-train --prior dict.npz --steps 1        the same command with cheaper settings
    -->
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml
from PIL import Image

import splat2d

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dgp_mining", "sr_model", "cuda/splat2d")
DOCUMENTS = ["README.md", *(f"{name}/README.md" for name in PACKAGES if (ROOT / name / "README.md").exists())]
ALL_DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)
)
COMMANDS = {
    "dgp-mine": "dgp_mining.cli",
    "sr-train": "sr_model.cli.train",
    "sr-upscale": "sr_model.cli.upscale",
    "sr-eval": "sr_model.cli.evaluate",
    "sr-convert": "sr_model.cli.convert",
}
BLOCK = re.compile(
    r"(?:<!-- tests: (?P<note>.*?)-->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```", re.M | re.S
)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")


@dataclass(frozen=True)
class Block:
    """A block of code in a document."""

    language: str
    text: str
    skipped: bool
    instead: tuple[str, ...]
    """Commands that run in place of the block's own commands that they begin with."""

    @property
    def commands(self) -> list[str]:
        """The block's commands as they stand, without comments, continued lines joined."""
        joined = self.text.replace("\\\n", " ")
        return [shlex.join(words) for line in joined.splitlines() if (words := shlex.split(line, True))]


def blocks(document: str) -> Iterator[Block]:
    for found in BLOCK.finditer((ROOT / document).read_text()):
        kind, _, rest = (found["note"] or "").strip().partition("\n")
        if found["note"]:
            assert kind == "instead" or re.fullmatch(r"skip \(.+\)", kind), f"{document}: {kind!r}"
        instead = tuple(line for line in rest.splitlines() if line)
        yield Block(found["language"], found["text"], kind.startswith("skip"), instead)


def runnable(block: Block, document: str) -> list[str]:
    """The block's commands, each exchanged for the next line of `instead` if that begins with it."""
    instead, commands = list(block.instead), []
    for command in block.commands:
        words = shlex.split(command)
        begins = bool(instead) and shlex.split(instead[0])[: len(words)] == words
        commands.append(instead.pop(0) if begins else command)
    assert not instead, f"{document}: no command of the block begins {instead[0]!r}"
    return commands


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder with what the documents take for granted: photographs by the names they use."""
    for name, source, side in (
        ("DIV2K", "mining", 192),
        ("heldout", "heldout", 96),
        ("pages", "heldout", 96),
    ):
        (tmp_path / name).mkdir()
        for path in sorted((ROOT / "data" / "samples" / source).iterdir())[:4]:
            Image.open(path).convert("RGB").crop((120, 60, 120 + side, 60 + side)).save(
                tmp_path / name / f"{path.stem}.png"
            )
    for path in (tmp_path / "DIV2K").iterdir():
        for part, scale in (("HR", 1), ("X2", 2), ("X3", 3)):
            (tmp_path / "pairs" / part).mkdir(parents=True, exist_ok=True)
            suffix = f"x{scale}" if scale > 1 else ""
            Image.open(path).reduce(scale).save(tmp_path / "pairs" / part / f"{path.stem}{suffix}.png")
    Image.open(tmp_path / "DIV2K" / "coffee.png").crop((0, 0, 160, 100)).save(tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize(
    "document",
    [pytest.param(name, marks=[pytest.mark.slow] if "/" in name else []) for name in DOCUMENTS],
)
def test_the_commands_of_a_document_run_in_the_order_they_stand(document: str, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "2",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    for block in blocks(document):
        if block.skipped or block.language not in ("bash", "python"):
            continue
        if block.language == "python":
            programs = [[sys.executable, "-W", "ignore", "-c", block.text]]
        else:
            programs = [["bash", "-ec", command] for command in runnable(block, document)]
        for program in programs:
            done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{document}: {program[-1]}\n{done.stdout}{done.stderr}"
            assert "old name" not in done.stderr, f"{document}: {program[-1]}\n{done.stderr}"


@pytest.mark.parametrize("document", ALL_DOCUMENTS)
def test_every_local_link_leads_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{document} links to {target}"
        if anchor:
            assert anchor in headings(linked), f"{document} links to {target}"


def headings(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    lines = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S).splitlines()
    titles = (line.lstrip("# ").lower() for line in lines if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", [name for name in ALL_DOCUMENTS if name != "CHANGELOG.md"])
def test_every_option_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    known = set().union(*(options(path) for path in command_paths())) | script_options()
    foreign = set()
    for line in text.replace("\\\n", " ").splitlines():
        for code in [line, *re.findall(r"`([^`]+)`", line)]:
            words = code.split()
            called = our_command(words)
            if called:
                missing = set(OPTION.findall(code.split(" #")[0])) - options(called)
                # After "--" and in a scheduler's command line, options belong to the other command.
                assert not missing or " -- " in code, f"{document}: {' '.join(called)} has no {missing}"
            elif words and words[0] in FOREIGN:
                foreign |= set(OPTION.findall(code))
    unknown = set(OPTION.findall(text)) - known - foreign - FOREIGN_OPTIONS
    assert not unknown, f"{document} names {sorted(unknown)}"


FOREIGN = {
    "OMP_NUM_THREADS=1", "cmake", "dask", "kubectl", "make", "pip", "pytest", "python", "sbatch", "torchrun",
}  # fmt: skip
"""Programs that are not ours; their options are theirs."""
FOREIGN_OPTIONS = {"--doctest-modules", "--hypothesis-profile", "--import-mode"}
"""Options of those that documents name alone."""


def our_command(words: list[str]) -> tuple[str, ...]:
    """The command that a line of code calls, such as ("dgp-mine", "dictionary", "show"); () if not ours."""
    words = [word for word in words if "=" not in word or word.startswith("--")]
    best: tuple[str, ...] = ()
    for path in command_paths():
        if tuple(words[: len(path)]) == path and len(path) > len(best):
            best = path
    return best


def command_paths() -> list[tuple[str, ...]]:
    def walk(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk((*path, name), inner)

    return [path for name in COMMANDS for path in walk((name,), main_of(name))]


def main_of(name: str) -> click.Command:
    return importlib.import_module(COMMANDS[name]).main


def options(path: tuple[str, ...]) -> set[str]:
    """The options of one of our commands; those of all below for a group."""
    command = main_of(path[0])
    for name in path[1:]:
        command = command.commands[name]  # type: ignore[attr-defined]  # a group, by command_paths
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    inner = [options((*path, name)) for name in getattr(command, "commands", {})]
    return own.union({"--help"}, *inner)


def script_options() -> set[str]:
    """The options of the scripts in workflows/, which have their own parsers."""
    texts = [path.read_text() for path in (ROOT / "workflows").rglob("*.py")]
    return {option for text in texts for option in re.findall(r'"(--[a-z][a-z0-9-]*)"', text)}


def test_every_package_and_folder_of_the_front_page_is_there() -> None:
    named = re.findall(r"\[`([\w/]+/)`\]", (ROOT / "README.md").read_text())
    assert {"dgp_mining/", "sr_model/", "cuda/splat2d/", "workflows/", "data/", "findings/"} <= set(named)


def test_citation_and_changelog_are_of_this_version() -> None:
    release = splat2d.__version__.split(".dev")[0]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == release
    assert citation["authors"]
    assert all(reference["title"] and reference["authors"] for reference in citation["references"])
    assert f"\n## {release}" in (ROOT / "CHANGELOG.md").read_text()
