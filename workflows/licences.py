"""Print the licences of everything that this project needs, from the installed environment.

    python workflows/licences.py            # what 'pip install dgp-mining' brings
    python workflows/licences.py --extras   # and what each extra adds
    python workflows/licences.py --write    # all of it, into THIRD_PARTY.md

Exit status 1: a licence is unknown, or does not go with Apache-2.0. Versions are not printed, so that the
document changes only when a package or a licence does.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "THIRD_PARTY.md"

EXTRAS = ("gpu", "heif", "notebook", "perceptual", "s3", "science", "slurm", "tensorboard", "viewer")
"""Extras of users; `test` and `compare` are for those who work on this project."""

ACCEPTED = frozenset(
    {
        *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause"),
        *(
            "BSL-1.0",
            "CC0-1.0",
            "HPND",
            "ISC",
            "MIT",
            "MIT-0",
            "MIT-CMU",
            "PSF-2.0",
            "Python-2.0",
            "Unlicense",
            "Zlib",
        ),
    }
)
"""Licences under which a package may be used by one under Apache-2.0, whatever is done with both."""

APART = {
    "certifi": "MPL-2.0 asks for its own files only",
    "nvidia-cuda-nvrtc": "NVIDIA's; for GPUs alone, and not passed on with this project",
    "tqdm": "MPL-2.0 asks for its own files only",
}
"""Packages of extras whose licence is another, and why they may be used all the same."""

NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 3-Clause": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What packages without an SPDX expression write -> its identifier."""

NOT_STATED = {"gsplat": "Apache-2.0", "openexr": "BSD-3-Clause"}
"""Licences of packages whose metadata state none, from the files of their sources."""


@dataclass(frozen=True)
class Package:
    """A package and its licence."""

    name: str
    licence: str
    """An SPDX expression, or what the package says; empty if it says nothing."""
    extra: str = ""
    """The extra that brings it; empty: always needed."""

    @property
    def verdict(self) -> str:
        """Why it cannot be used; empty if it can."""
        if accepted(self.licence) or (self.extra and self.name in APART):
            return ""
        return f"{self.name} is under {self.licence or 'no licence that it states'}, which is not accepted"


def accepted(expression: str) -> bool:
    """Whether all licences of an SPDX expression that are joined by AND, and one of those joined by OR, go.

    >>> accepted("MIT"), accepted("GPL-3.0-only"), accepted("MIT AND (GPL-2.0-only OR BSD-3-Clause)")
    (True, False, True)
    """
    plain = re.sub(r"[()]", "", expression)
    every = (re.split(r"\s+OR\s+", part) for part in re.split(r"\s+AND\s+", plain))
    return all(any(name.strip() in ACCEPTED for name in choice) for choice in every)


def licence_of(package: Distribution) -> str:
    """Return the licence that a package's metadata state, best as an SPDX expression (PEP 639)."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [
        line.split(" :: ")[-1] for line in about.get_all("Classifier") or () if line.startswith("License")
    ]
    classifiers = [name for name in classifiers if name != "OSI Approved"]
    said = (about.get("License") or "").strip()
    if classifiers and (len(said) > 40 or "\n" in said or said not in {*ACCEPTED, *NAMES}):
        return " OR ".join(NAMES.get(name, name) for name in classifiers)
    return NAMES.get(said, said.partition("\n")[0]) or NOT_STATED.get(_normal(about["Name"]), "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def packages(extras: Iterable[str] = ()) -> list[Package]:
    """Return what the project needs and, of extras, what they add; what is not installed is left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {name: Package(name, licence_of(package)) for name, package in _needed(project["dependencies"])}
    for extra in extras:
        for name, package in _needed(project["optional-dependencies"][extra]):
            found.setdefault(name, Package(name, licence_of(package), extra))
    return sorted(found.values(), key=lambda package: (package.extra, package.name))


def _needed(requirements: Iterable[str]) -> Iterator[tuple[str, Distribution]]:
    """The packages that meet requirements, and those that these need, each once."""
    waiting = [(line, frozenset({""})) for line in requirements]
    seen = set()
    while waiting:
        line, extras = waiting.pop()
        wanted = Requirement(line)
        if wanted.marker is not None and not any(wanted.marker.evaluate({"extra": one}) for one in extras):
            continue
        name, inner = _normal(wanted.name), frozenset({"", *wanted.extras})
        if (name, inner) in seen:
            continue
        seen.add((name, inner))
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:  # of another system, or of an extra that is not installed
            continue
        yield name, package
        waiting += [(further, inner) for further in package.requires or ()]


INTRODUCTION = """# Third-party software

This project is under Apache-2.0 and contains no code of others. It needs the packages below, which pip
installs beside it and which are not passed on with it. `python workflows/licences.py --write` writes this
file from the installed environment, and a test fails if a licence is unknown or does not go with
Apache-2.0.

Wheels hold libraries of others, under licences that the wheels name: those of imagecodecs, Pillow and
torch many; those of pillow-heif libheif and libde265 (LGPL-3.0) and x265 (GPL-2.0), those of rawpy LibRaw
(LGPL-2.1 or CDDL-1.0). Whoever passes on an environment with them must heed these. The photographs in
`data/samples` and the weights that the reference model started from have [theirs](data/README.md).

| package | licence | for |
|---|---|---|"""


def document(found: Iterable[Package]) -> str:
    """Return the text of THIRD_PARTY.md."""
    lines = [INTRODUCTION]
    for package in found:
        remark = (
            f" ({APART[package.name]})" if not accepted(package.licence) and package.name in APART else ""
        )
        lines.append(f"| {package.name} | {package.licence}{remark} | {package.extra or 'everything'} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Print or write the licences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--extras", action="store_true", help="also what the extras add")
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    asked = parser.parse_args()
    found = packages(EXTRAS if asked.extras or asked.write else ())
    if asked.write:
        DOCUMENT.write_text(document(found), encoding="utf-8")
    else:
        for package in found:
            print(f"{package.name:28} {package.licence}{f'   [{package.extra}]' if package.extra else ''}")
    refused = [package.verdict for package in found if package.verdict]
    sys.exit("\n".join(refused) or 0)


if __name__ == "__main__":
    main()
