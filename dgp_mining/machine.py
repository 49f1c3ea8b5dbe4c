"""Memory and cores that this process may use: those of its container or batch job, not of the whole machine.

Sources: Linux's documentation of control groups, `admin-guide/cgroup-v2.rst` (`memory.max`, `memory.high`,
`cpu.max`) and `cgroup-v1/memory.rst` and `scheduler/sched-bwc.rst`; `man 5 proc` for the files in `/proc`;
`man 2 getrlimit`. On other systems only the machine itself is asked.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import psutil

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

UNLIMITED = 1 << 60
"""Limits from here on are none; version 1 of control groups writes the largest multiple of a page."""

ROOT = Path("/")


def amount(nbytes: float) -> str:
    """Format bytes of memory or disk in a unit in which they are not nought.

    >>> amount(4.75e6), amount(1.2e10), amount(700), amount(1)
    ('4.8 MB', '12.0 GB', '0.7 kB', '1 byte')
    """
    if nbytes < 100:
        return f"{nbytes:.0f} byte{'s' * (nbytes != 1)}"
    for unit, size in (("kB", 1e3), ("MB", 1e6)):
        if nbytes < 100 * size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{nbytes / 1e9:,.1f} GB"


@dataclass(frozen=True)
class Bound:
    """One of the limits of this process."""

    name: str
    """What sets it: "the machine", a file of a control group, a resource limit or the affinity."""
    total: int
    """Bytes, or cores, that it allows."""
    free: int
    """Bytes of them that can still be allocated; of cores, the same as `total`."""


def available_memory(root: Path = ROOT) -> int:
    """Return the bytes that this process can still allocate: what the tightest of its limits leaves.

    The limits are the machine's memory without swapping, those of the control groups that the process is in
    (containers, batch jobs), and `ulimit -v` and `-d`. It takes less than a millisecond. `root` is where
    `/proc` and `/sys` lie.

    >>> available_memory() > 0
    True
    """
    return min(bound.free for bound in memory_bounds(root))


def available_cores(root: Path = ROOT) -> int:
    """Return the number of cores that this process may keep busy, at least 1.

    The limits are the machine's cores, the affinity of the process, and the quotas of its control groups; of
    a quota of one and a half cores, two can be used.

    >>> 1 <= available_cores() <= os.cpu_count()
    True
    """
    return min(bound.free for bound in core_bounds(root))


def memory_bounds(root: Path = ROOT) -> list[Bound]:
    """Return the limits of memory in bytes; the machine's is the first, and of equal ones it is named."""
    machine = psutil.virtual_memory()
    bounds = [Bound("the machine", int(machine.total), int(machine.available))]
    for folder in _groups(root, "memory"):
        bounds.extend(_memory_of_group(folder))
    return [*bounds, *_resource_limits(root)]


def core_bounds(root: Path = ROOT) -> list[Bound]:
    """Return the limits of cores; the machine's is the first, and of equal ones it is named."""
    machine = os.cpu_count() or 1
    bounds = [Bound("the machine", machine, machine)]
    if hasattr(os, "sched_getaffinity"):
        affinity = len(os.sched_getaffinity(0))
        bounds.append(Bound("the affinity", affinity, affinity))
    for folder in _groups(root, "cpu"):
        bounds.extend(_cores_of_group(folder))
    return bounds


# --- control groups -----------------------------------------------------------------------------------------


def _groups(root: Path, controller: str) -> list[Path]:
    """Return the folders of this process's control groups and of those around them, innermost first.

    Both versions may be there at once, each with some of the controllers.
    """
    try:
        memberships = (root / "proc/self/cgroup").read_text(errors="replace")
    except OSError:
        return []
    return list(_folders(root, controller, memberships))


@lru_cache(maxsize=8)  # by the memberships, so a process that is moved is found in its new group
def _folders(root: Path, controller: str, memberships: str) -> tuple[Path, ...]:
    folders: list[Path] = []
    mounts = _mounts(root)
    for line in memberships.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version2 = number == "0" and not controllers
        if not path.startswith("/") or not (version2 or controller in controllers.split(",")):
            continue
        for kind, options, mounted, place in mounts:
            if kind == "cgroup2" if version2 else kind == "cgroup" and controller in options:
                inner = _below(path, mounted)
                top = root / place.lstrip("/")
                folders.extend(top.joinpath(*inner[:depth]) for depth in range(len(inner), -1, -1))
                break
    return tuple(folders)


def _below(path: str, mounted: str) -> list[str]:
    """Return the parts of a group's path below the one that is mounted.

    None if the path does not lie there: then what is mounted is this container's own group.
    """
    parts, base = ([part for part in name.split("/") if part] for name in (path, mounted))
    return parts[len(base) :] if parts[: len(base)] == base and ".." not in parts else []


def _mounts(root: Path) -> list[tuple[str, list[str], str, str]]:
    """Return the mounted hierarchies: kind, options, which group is mounted, and the folder."""
    try:
        lines = (root / "proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        mount, _, system = line.partition(" - ")
        fields, of_system = mount.split(), system.split()
        if len(fields) >= 5 and len(of_system) >= 3 and of_system[0] in ("cgroup", "cgroup2"):
            group, place = (_unescaped(field) for field in fields[3:5])
            found.append((of_system[0], of_system[2].split(","), group, place))
    return found


def _unescaped(field: str) -> str:
    """Return a field of mountinfo, in which spaces are written as \\040.

    >>> _unescaped("/a\\\\040b")
    '/a b'
    """
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)


def _memory_of_group(folder: Path) -> Iterator[Bound]:
    for limit, usage, prefix in (
        ("memory.max", "memory.current", ""),
        ("memory.high", "memory.current", ""),  # above it, processes are all but stopped
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ):
        total = _number(folder / limit)
        if total is None or not 0 <= total < UNLIMITED:
            continue
        used = _number(folder / usage) or 0
        yield Bound(str(folder / limit), total, max(0, total - max(0, used - _cached(folder, prefix))))


def _cached(folder: Path, prefix: str) -> int:
    """Return the bytes of a group's use that the kernel takes back at need: pages of files.

    Those that are in use now count half: among them are programs, without which a process crawls.
    """
    counts = {}
    with contextlib.suppress(OSError):
        for line in (folder / "memory.stat").read_text(errors="replace").splitlines():
            name, _, count = line.partition(" ")
            if count.isdecimal():
                counts[name] = int(count)
    return counts.get(f"{prefix}inactive_file", 0) + counts.get(f"{prefix}active_file", 0) // 2


def _cores_of_group(folder: Path) -> Iterator[Bound]:
    """Yield the quota of a group in version 2 (one file) or 1 (two files), if it has one."""
    single = folder / "cpu.max"
    with contextlib.suppress(OSError, ValueError):
        quota, period = (int(number) for number in single.read_text().split())
        if quota > 0 and period > 0:
            yield Bound(str(single), -(-quota // period), -(-quota // period))
    quota_file = folder / "cpu.cfs_quota_us"
    quotas, periods = _number(quota_file) or 0, _number(folder / "cpu.cfs_period_us") or 0
    if quotas > 0 and periods > 0:  # a quota of -1 is none
        yield Bound(str(quota_file), -(-quotas // periods), -(-quotas // periods))


def _number(path: Path) -> int | None:
    """Return the number in a file; None if it is "max", no number, or if the file cannot be read."""
    try:
        return int(path.read_text(errors="replace"))
    except (OSError, ValueError):
        return None


# --- limits of the process ----------------------------------------------------------------------------------


def _resource_limits(root: Path) -> Iterator[Bound]:
    """Yield what `ulimit -v` and `-d` allow, of which Linux counts the address space and the data."""
    limits = []
    for name, option, field in (("RLIMIT_AS", "ulimit -v", 0), ("RLIMIT_DATA", "ulimit -d", 5)):
        if resource is not None and hasattr(resource, name):
            soft = resource.getrlimit(getattr(resource, name))[0]
            if 0 <= soft < UNLIMITED:
                limits.append((option, field, soft))
    if not limits:
        return
    try:
        pages = [int(count) for count in (root / "proc/self/statm").read_text().split()]
    except (OSError, ValueError):
        return
    size = os.sysconf("SC_PAGE_SIZE")
    for option, field, soft in limits:
        if field < len(pages):
            yield Bound(option, soft, max(0, soft - pages[field] * size))
