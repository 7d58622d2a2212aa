"""Locks the kernel keeps: held on an open empty file, freed when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from newbie_core.errors import LockedError
from newbie_core.store.files import explained

LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_POLL_SECONDS = 0.02


def take_lock(handle: int, path: Path, *, shared: bool, wait: float) -> None:
    """Lock an open file; LockedError when it is still locked after `wait` seconds."""
    deadline = time.monotonic() + wait
    while True:
        with explained(path, "lock"):
            if is_taken(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
                return
        if time.monotonic() >= deadline:
            raise LockedError(f"{path}: is locked by another process; wait for it to end, then run again")
        time.sleep(_POLL_SECONDS)


def is_taken(handle: int, how: int) -> bool:
    """Try once to lock an open file; False when somebody else holds it."""
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
