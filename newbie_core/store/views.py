"""Give an object a second name outside the store, for people to look at."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from newbie_core.store.files import NEW_FILE, explained, write_all


def new_link(source: Path, target: Path) -> bool:
    """Make `target`, which is not there yet, a hard link of `source`; False when links are impossible."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        return False
    return True


def place_link(source: Path, target: Path) -> bool:
    """Make `target` a hard link of `source`, replacing what was there; False when links are impossible."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(source.lstat(), target.lstat()):
            return True
    beside = _beside(target)
    try:
        os.link(source, beside, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    beside.replace(target)
    return True


def place_copy(data: bytes, target: Path) -> None:
    """Make `target` a read-only file of `data`, replacing what was there."""
    beside = _beside(target)
    with explained(target, "write", size=len(data)):
        handle = os.open(beside, NEW_FILE, 0o444)
        try:
            write_all(handle, data)
            beside.replace(target)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)


def _beside(target: Path) -> Path:
    return target.with_name(f".{os.urandom(8).hex()}.new")
