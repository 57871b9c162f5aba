"""Holds something for one process alone: a ROS domain, a run's folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hilserl_core.errors import UserError


def domain_lock() -> Path:
    """The lock file of this user's ROS domain on this machine."""
    domain = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    return Path(tempfile.gettempdir(), f"hilserl-domain-{domain}-{os.getuid()}.lock")


@contextlib.contextmanager
def hold(path: Path, taken: str) -> Iterator[None]:
    """Holds a lock file; the kernel frees it when the process ends, however it ends.

    Args:
        path: the lock file, made where it is missing.
        taken: what to tell the user where another process holds it; ``{pid}`` is its.

    Raises:
        UserError: another process holds it, or it cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{path} cannot be opened: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(taken.format(pid=file.read().strip() or "unknown")) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
