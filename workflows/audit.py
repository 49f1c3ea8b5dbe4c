"""Ask for known vulnerabilities of the packages that the project needs, in the versions that are installed.

It informs and never fails: pip-audit is installed into a folder of its own, and both it and the service that
it asks need a network. At most MOST_SECONDS are spent.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from licences import EXTRAS, packages

MOST_SECONDS = 60


def main() -> None:
    """Print what pip-audit finds, or why it could not be asked."""
    ends = time.monotonic() + MOST_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        needed = Path(folder, "needed.txt")
        lines = [f"{package.name}=={version(package.name).partition('+')[0]}" for package in packages(EXTRAS)]
        needed.write_text("\n".join(lines), encoding="utf-8")
        python = Path(folder, "audit", "Scripts" if sys.platform == "win32" else "bin", "python")
        commands = (
            [sys.executable, "-m", "venv", f"{folder}/audit"],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pip-audit"],
            [
                python,
                "-m",
                "pip_audit",
                "-r",
                needed,
                "--no-deps",
                "--disable-pip",
                "--progress-spinner",
                "off",
            ],
        )
        for command in commands:
            try:
                done = subprocess.run(
                    [*map(str, command)],
                    capture_output=True,
                    text=True,
                    timeout=max(1.0, ends - time.monotonic()),
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                print(f"No audit: {error}.")
                return
            if done.returncode and command is not commands[-1]:
                print(f"No audit: pip-audit cannot be installed here ({last_line(done.stderr)}).")
                return
    unknown = (done.stdout + done.stderr).count("could not be audited")
    if "Traceback" in done.stderr or unknown >= len(lines):
        print(
            "No audit: the service of known vulnerabilities cannot be reached, or knows none of the packages."
        )
        return
    print(done.stdout or done.stderr)


def last_line(text: str) -> str:
    """The last line of what a program printed."""
    return (text.strip().splitlines() or ["without a word"])[-1]


if __name__ == "__main__":
    main()
