"""Whether this project reads the pictures of a folder as other libraries do: a table, and what disagrees.

    python workflows/studies/reader_against_others.py FOLDER [FOLDER ...] [--json disagreements.json]

Every picture is read by `dgp_mining.images.decode_image` and by libvips, OpenCV, Pillow and its field's
libraries (tifffile, GDAL, pydicom, SimpleITK, nibabel, astropy, OpenEXR, rawpy), as far as they are
installed, in processes that may crash or be stopped after `--limit` seconds. Two decoders agree if no value
differs by more than 2/255, or 3/255 in lossy formats. Physical numbers (a CT's) are compared up to a linear
map. Nothing is written except with `--json`, and the exit status is 0.

`reader_against_others.md` has the result for the test pictures that come in the source archives of these
libraries, and says why the disagreements that remain are right. To get them:

    for name in pillow scikit-image imagecodecs pydicom nibabel astropy pillow-heif pillow-jxl-plugin openexr
    do
        pip download --no-deps --no-build-isolation --no-binary :all: --dest archives $name
    done

(where that tries to build a package, its page on pypi.org has the archive under "Download files"), then
unpack each; tifffile's has none, but its tests write some. The other decoders:

    pip install -c constraints.txt '.[compare]'
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from decoding_process import Answer, Process
from other_decoders import DECODERS, OURS, Picture
from PIL import Image

from dgp_mining.images.formats.table import SUFFIXES, format_of
from dgp_mining.images.image_file import turn
from dgp_mining.images.limits import ImageError
from splat2d.atomic_write import atomic_write

EXACT, LOSSY = 2.01 / 255, 3.01 / 255
"""Largest differences of decoders that agree."""
LOSSY_FORMATS = frozenset({"JPEG", "WebP", "AVIF", "HEIF", "JPEG XL", "JPEG 2000", "DICOM", "TIFF"})
PHYSICAL_FORMATS = frozenset({"DICOM", "FITS", "NIfTI"})
"""Their numbers are compared up to a linear map with every decoder: black and white are ours."""
SLOW, LARGE = 5.0, 40.0
"""Seconds, and bytes of memory for each value of the picture, from which our reader's cost is reported."""
AGREE, WITHOUT, DIVIDED, DIFFER = "agree", "agree but for a step", "divided", "differ"
REFUSED, ALONE, NOBODY = "only we refuse", "only we read", "nobody reads"
VERDICTS = {
    AGREE: "all agree with us",
    WITHOUT: "all agree with us, some but for a step they leave out (a profile, a turn, alpha)",
    DIVIDED: "some agree with us, others do not",
    DIFFER: "none agrees with us",
    REFUSED: "others read it, we refuse it",
    ALONE: "we read it, the others refuse it",
    NOBODY: "none reads it",
}
"""What is said of a file."""


@dataclass
class Finding:
    """What the decoders make of one file."""

    path: str
    format: str
    verdict: str
    others: dict[str, str] = field(default_factory=dict)
    """What each other decoder gives, compared with us."""
    sentence: str = ""
    """Why we refuse it, without the name of the file."""
    faults: list[str] = field(default_factory=list)
    """What else is wrong with our reader on it, such as its time."""
    notes: list[str] = field(default_factory=list)
    """Our notes on it."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="FOLDER", help="searched with its subfolders"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every finding to a file")
    parser.add_argument("--limit", type=float, default=30.0, help="seconds for a decoder and a picture")
    options = parser.parse_args()
    installed = [name for name, decoder in DECODERS.items() if decoder.installed]
    print("Compared: " + ", ".join(f"{name} {DECODERS[name].version}" for name in installed) + ".")
    if missing := [decoder.package for decoder in DECODERS.values() if not decoder.installed]:
        print("Not installed and left out: " + ", ".join(dict.fromkeys(missing)) + ".")
    paths = list(pictures(options.folders))
    findings = list(compared(paths, installed, options.limit))
    report(findings)
    if options.json:
        with atomic_write(options.json) as partial:
            partial.write_text(json.dumps([asdict(finding) for finding in findings], indent=1))


def pictures(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that have the suffix or the content of a picture."""
    suffixes = SUFFIXES.union(Image.registered_extensions(), *(each.suffixes for each in DECODERS.values()))
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (path.suffix.lower() in suffixes or recognised(path)):
                yield path


def recognised(path: Path) -> str:
    """Our name of a file's format; empty if it has none."""
    try:
        return format_of(path).name
    except (ImageError, OSError):
        return ""


def compared(paths: list[Path], names: list[str], limit: float) -> Iterator[Finding]:
    """Read every file with every decoder."""
    ours, others = Process(limit), Process(limit)
    for number, path in enumerate(paths):
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(paths)}", end="", file=sys.stderr)
        mine = ours.ask(OURS, path)
        theirs = {
            name: others.ask(name, path) for name in names if name != OURS and DECODERS[name].wants(path)
        }
        yield finding(path, mine, theirs)
    ours.close()
    others.close()


def finding(path: Path, mine: Answer, theirs: dict[str, Answer]) -> Finding:
    """Compare the answers on one file."""
    form = recognised(path) or (f"({path.suffix})" if path.suffix.lower() in SUFFIXES else "(other formats)")
    read = {name: answer.picture for name, answer in theirs.items() if answer.picture is not None}
    found = Finding(str(path), form, "", {name: f"refuses ({theirs[name].error})" for name in theirs})
    if mine.printed:
        found.faults.append(f"prints {mine.printed.splitlines()[-1]!r}")
    if mine.picture is None:
        found.verdict = REFUSED if read else NOBODY
        found.sentence = mine.error.replace(str(path), "...")
        if not mine.error.startswith((str(path), str(path.parent))):
            found.faults.append("the sentence does not begin with the file's name")
        found.others.update(dict.fromkeys(read, "reads it"))
        return found
    tolerance = LOSSY if form in LOSSY_FORMATS else EXACT
    physical = form in PHYSICAL_FORMATS
    for name, picture in read.items():
        compared_with = replace(picture, physical=physical or picture.physical)
        found.others[name] = comparison(mine.picture, compared_with, tolerance)
    said = [found.others[name] for name in read]
    agreeing = [each for each in said if each.startswith(AGREE)]
    if not read:
        found.verdict = ALONE
    elif len(agreeing) == len(said):
        found.verdict = AGREE if set(said) == {AGREE} else WITHOUT
    else:
        found.verdict = DIVIDED if agreeing else DIFFER
    facts = mine.picture.facts
    found.notes = facts["notes"]
    if tuple(facts["size"]) != mine.picture.pixels.shape[:2]:
        found.faults.append(f"image_size says {facts['size']}")
    if facts["seconds"] > SLOW:
        found.faults.append(f"takes {facts['seconds']:.1f} s")
    if facts["peak"] * 2**20 > max(LARGE * mine.picture.pixels.size, 64 * 2**20):
        found.faults.append(f"takes {facts['peak']:.0f} MiB")
    return found


def comparison(mine: Picture, theirs: Picture, tolerance: float) -> str:
    """Compare our picture with another decoder's: AGREE, "agree without ...", or how they differ."""
    for step, pixels in {"": mine.pixels, **mine.variants}.items():
        aligned = with_channels(theirs.pixels, pixels)
        if aligned is not None and largest(*aligned, theirs.physical) <= tolerance:
            return f"{AGREE} {step}".strip()
    ours, other = mine.pixels, theirs.pixels
    if ours.shape[:2] != other.shape[:2]:
        return f"shape: {size(other)}, ours {size(ours)}"
    aligned = with_channels(other, ours)
    if aligned is None:
        return f"channels: {other.shape[2]}, ours {ours.shape[2]}"
    ours, other = aligned
    slope, offset = linear_map(other, ours)
    if slope and not theirs.physical and largest(ours, other, True) <= tolerance:
        return f"white: ours = {slope:.4g} * theirs + {offset:.4g}"
    for orientation in range(2, 9):
        turned = turn(ours, orientation)
        if turned.shape == other.shape and largest(turned, other, theirs.physical) <= tolerance:
            return f"orientation: ours turned by {orientation}"
    if ours.shape[2] == 3 and largest(ours[..., ::-1], other, False) <= tolerance:
        return "colours: red and blue exchanged"
    if not np.isfinite(other).all():
        return "values: theirs are not finite"
    apart = np.abs(ours - fitted(other, ours) if theirs.physical else ours - other).max(2)
    worst = np.unravel_index(int(apart.argmax()), apart.shape)
    values = [np.round(255 * each[worst], 1).tolist() for each in (ours, other)]
    return (
        f"values: largest difference {255 * apart.max():.1f}, mean {255 * apart.mean():.2f} of 255; at row "
        f"{worst[0]}, column {worst[1]} ours {values[0]}, theirs {values[1]}"
    )


def with_channels(other: np.ndarray, ours: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(ours, the other) with as many channels: alpha dropped, grey repeated. None if that is not possible."""
    if ours.shape[:2] != other.shape[:2]:
        return None
    count = ours.shape[2]
    if other.shape[2] in (2, 4) and count != other.shape[2]:
        other = other[..., :-1]
    if count == 1 and other.shape[2] == 3:
        ours = np.repeat(ours, 3, axis=2)
    if count == 3 and other.shape[2] == 1:
        other = np.repeat(other, 3, axis=2)
    return (ours, other) if ours.shape == other.shape else None


def largest(ours: np.ndarray, other: np.ndarray, up_to_a_linear_map: bool) -> float:
    """The largest difference; up to a linear map, in units of our range, and where theirs are finite."""
    if not up_to_a_linear_map:
        difference = np.abs(ours - other).max(initial=0.0)
        return float(difference) if np.isfinite(difference) else np.inf
    held = np.isfinite(other)  # others stand for no data
    ours, other = ours[held], other[held]
    if ours.size == 0:
        return 0.0  # nothing to compare
    return float(np.abs(ours - fitted(other, ours)).max() / (np.ptp(ours) or 1.0))


def linear_map(other: np.ndarray, ours: np.ndarray) -> tuple[float, float]:
    """The least-squares (slope, offset) from the other's to our values that are not clipped."""
    held = np.isfinite(other)
    inside = held & (ours > 0) & (ours < 1)
    inside = inside if inside.any() else held
    x, y = other[inside].astype(np.float64), ours[inside].astype(np.float64)
    if x.size == 0 or x.min() == x.max():
        return 0.0, float(y.mean()) if y.size else 0.0
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / x.var())
    return slope, float(y.mean() - slope * x.mean())


def fitted(other: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """The other's values on our scale."""
    slope, offset = linear_map(other, ours)
    return (slope * other.astype(np.float64) + offset).clip(0, 1)


def size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def report(findings: list[Finding]) -> None:
    """Print the table of formats, the disagreements, our sentences and our faults, as Markdown."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for each in findings:
        counts[each.format][each.verdict] += 1
    print("\n| format | files | " + " | ".join(VERDICTS) + " |\n|---" + "|---" * (len(VERDICTS) + 1) + "|")
    total: Counter[str] = sum(counts.values(), Counter())
    for form, found in [
        *sorted(counts.items(), key=lambda item: (item[0][0] == "(", item[0])),
        ("all", total),
    ]:
        cells = [str(found[verdict] or "") for verdict in VERDICTS]
        print(f"| {form} | {found.total()} | " + " | ".join(cells) + " |")
    print("\n" + "\n".join(f"- {verdict}: {meaning}" for verdict, meaning in VERDICTS.items()))
    common = os.path.commonpath([Path(each.path).parent for each in findings]) if findings else ""
    for verdict in (DIFFER, DIVIDED, REFUSED):
        print(f"\n## {verdict}\n")
        for each in findings:
            if each.verdict == verdict:
                shown = {k: v for k, v in each.others.items() if not v.startswith(("refuses", AGREE))}
                why = [each.sentence] * bool(each.sentence) + [f"{k}: {v}" for k, v in shown.items()]
                print(f"- `{os.path.relpath(each.path, common)}`: " + "; ".join(why))
    print("\n## What we say where we refuse\n\n| files | sentence |\n|---|---|")
    for sentence, number in Counter(each.sentence for each in findings if each.sentence).most_common():
        print(f"| {number} | {sentence} |")
    print("\n## Other faults of ours\n")
    for each in findings:
        for fault in each.faults:
            print(f"- `{os.path.relpath(each.path, common)}`: {fault}")


if __name__ == "__main__":
    main()
