"""Device files under /dev: what keeps one from being opened, in words."""

from __future__ import annotations

import contextlib
import grp
import os
from pathlib import Path

SHOWN = 3
"""Programs that are named where a device is in use."""


def no_permission(path: str, group: str) -> str:
    """What to do where a device may not be opened.

    Args:
        group: the usual one, where the file's own cannot be told.
    """
    with contextlib.suppress(KeyError, OSError):
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    return (
        f"no permission to open {path}: join its group with 'sudo usermod -aG {group} $USER', "
        "log out, and log in again"
    )


def by_whom(path: str) -> str:
    """`` by process 123 (name)`` of those that hold a file, as far as this user may see."""
    target = os.path.realpath(path)
    holders = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(fd) == target for fd in (folder / "fd").iterdir()):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                name = " ".join(Path(os.fsdecode(part)).name for part in command[:2] if part)
                holders.append(f"{folder.name} ({name})")
        except OSError:
            continue
    more = ", ..." if len(holders) > SHOWN else ""
    return f" by process {', '.join(holders[:SHOWN])}{more}" if holders else ""
