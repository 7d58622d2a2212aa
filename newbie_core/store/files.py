"""Single steps on local files: no link is followed, every byte is counted, failures are explained."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from newbie_core.errors import MissingError, StoreError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

FINAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG})
"""What trying once more cannot mend."""

_ADVICE = {
    errno.EDQUOT: ("the disk quota is used up", "free space or raise the quota, then run again"),
    errno.EROFS: ("the file system is read-only", "mount it writable, then run again"),
    errno.EACCES: ("permission denied", "give this user access to the path, then run again"),
    errno.EPERM: ("the file system does not permit it", "check its owner, flags and mount options"),
    errno.EFBIG: ("larger than this process may write", "raise `ulimit -f`, then run again"),
    errno.EMFILE: ("too many open files", "raise `ulimit -n`, then run again"),
    errno.EIO: ("the disk reports an error", "check the disk before trusting it, then run again"),
    errno.ELOOP: ("is a symbolic link, and the store follows none", "remove the link"),
    errno.ENOTDIR: ("a part of the path is not a folder", "move that part out of the store"),
}
_CODES = {errno.ENOSPC: "E_STORE_FULL", errno.EDQUOT: "E_STORE_FULL", errno.EROFS: "E_STORE_READONLY"}


@contextlib.contextmanager
def explained(path: Path, doing: str, *, size: int = 0) -> Iterator[None]:
    """Turn an OSError into a StoreError that names `path`, what was found and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingError(
            f"{path}: cannot {doing}: it is not there; restore it from a copy or make it again"
        ) from error
    except OSError as error:
        raise _explanation(error, path, doing, size) from error


def open_folder(root: Path, parts: Sequence[str], made: Callable[[int], None] | None = None) -> int:
    """A handle on the folder `parts` below `root`, reached without following a link.

    With `made`, missing folders are made, and `made` is called on the folder each was put in.
    """
    handle = os.open(root, FOLDER & ~os.O_NOFOLLOW)
    for depth, part in enumerate(parts, start=1):
        try:
            inner = _enter(handle, part, made)
        except NotADirectoryError as error:
            path = root.joinpath(*parts[:depth])
            if path.is_symlink():
                raise OSError(errno.ELOOP, "symbolic link", str(path)) from error
            raise
        finally:
            os.close(handle)
        handle = inner
    return handle


def write_all(handle: int, data: bytes) -> None:
    """Write every byte, whatever the system takes at a time."""
    rest = memoryview(data)
    while rest:
        count = os.write(handle, rest)
        if count <= 0:
            raise OSError(errno.EIO, "the system took no bytes")
        rest = rest[count:]


def append_all(handle: int, data: bytes, sync: Callable[[int], None]) -> bool:
    """Write at the end of a file and sync it; False when the sync failed in a way a new file may mend."""
    size = os.fstat(handle).st_size
    try:
        write_all(handle, data)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, size)
        raise
    try:
        sync(handle)
    except OSError as error:
        if error.errno in FINAL:
            raise
        return False
    return True


def read_all(handle: int) -> bytes:
    """Every byte of an open plain file; EINVAL when it is something else."""
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a plain file")
    pieces = []
    while piece := os.read(handle, found.st_size + 1):
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def link_new(leaf: str, shelf: int, name: str, folder: int) -> bool:
    """Give a temporary its name; a lost reply (EEXIST though we won, on NFS) shows as two links."""
    try:
        os.link(leaf, name, src_dir_fd=shelf, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return os.stat(leaf, dir_fd=shelf).st_nlink == 2
    return True


def leave_unsynced(handle: int) -> None:
    """For folders that are synced together later."""


def _enter(handle: int, part: str, made: Callable[[int], None] | None) -> int:
    try:
        return os.open(part, FOLDER, dir_fd=handle)
    except FileNotFoundError:
        if made is None:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, dir_fd=handle)
    try:
        made(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.rmdir(part, dir_fd=handle)
        raise
    return os.open(part, FOLDER, dir_fd=handle)


def _explanation(error: OSError, path: Path, doing: str, size: int) -> StoreError:
    number = error.errno or 0
    if number == errno.ENOSPC:
        found, advice = _room(path, size), "free space or move the store, then run again"
    else:
        found, advice = _ADVICE.get(number, (error.strerror or str(error), "mend this, then run again"))
    culprit = error.filename if number == errno.ELOOP and error.filename else path
    where = Path(os.fsdecode(culprit)) if isinstance(culprit, str | bytes) else path
    shown = where if where.is_absolute() else path
    return StoreError(f"{shown}: cannot {doing}: {found}; {advice}", code=_CODES.get(number))


def _room(path: Path, size: int) -> str:
    for folder in path.parents:
        with contextlib.suppress(OSError):
            room = os.statvfs(folder)
            free, total = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
            return f"the disk is full: {free:,} of {total:,} bytes are free and {size:,} were to be written"
    return "the disk is full"
