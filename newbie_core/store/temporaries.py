"""Files on their way into the store, in one folder a writer: `tmp/<pid>-<random>/`.

A writer keeps the `lock` file of its folder flocked while it lives, so the folders of the dead are
told by asking the kernel, never by process number or clock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from newbie_core.store.files import FINAL, FOLDER, NEW_FILE, explained, open_folder, write_all

TEMPORARIES = "tmp"
_LOCK = "lock"
_LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_GROUP = 64
"""Files open at once: far below the usual limit of 1,024."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """The folder of one process: its name, a handle on it, and its held lock."""

    name: str
    handle: int
    lock: int
    process: int


class Temporaries:
    """One driver's temporaries; safe for threads, and a forked child gets its own folder."""

    def __init__(self, root: Path, sync: Callable[[int], None]) -> None:
        self._root = root
        self._sync = sync
        self._own: _Own | None = None
        self._guard = threading.Lock()
        self._numbers = itertools.count()
        self._tidy: weakref.finalize[..., Temporaries] | None = None

    @contextlib.contextmanager
    def staged(self, items: Sequence[tuple[str, bytes]], mode: int) -> Iterator[tuple[int, list[str]]]:
        """Durable temporaries of all items: a folder handle and their names in it; gone afterwards."""
        folder = self.folder()
        leaves: list[str] = []
        try:
            for start in range(0, len(items), _GROUP):
                self._write_group(folder, items[start : start + _GROUP], mode, leaves)
            yield folder, leaves
        finally:
            for leaf in leaves:
                with contextlib.suppress(OSError):
                    os.unlink(leaf, dir_fd=folder)

    def folder(self) -> int:
        """A handle on this process's own folder, made when first asked for."""
        with self._guard:
            own = self._own
            if own is None or own.process != os.getpid() or os.fstat(own.handle).st_nlink == 0:
                own = self._own = self._make_own()
            return own.handle

    def sweep(self) -> int:
        """Remove the folders of writers that died; returns how many files were in them."""
        with explained(self._root / TEMPORARIES, "sweep"), contextlib.ExitStack() as stack:
            try:
                shelf = open_folder(self._root, (TEMPORARIES,))
            except FileNotFoundError:
                return 0
            stack.callback(os.close, shelf)
            if not self._take(shelf, fcntl.LOCK_EX | fcntl.LOCK_NB, stack):
                return 0
            folders = [name for name in _listed(shelf) if name != _LOCK]
            return sum(_swept(shelf, name) for name in folders)

    def close(self) -> None:
        """Remove this process's own folder; nothing may be on its way meanwhile."""
        with self._guard:
            if self._tidy is not None:
                self._tidy()
            self._own = self._tidy = None

    def _make_own(self) -> _Own:
        """The shelf's lock keeps sweepers away between making a folder and locking it."""
        if self._tidy is not None:
            self._tidy()
        self.sweep()
        name = f"{os.getpid()}-{os.urandom(8).hex()}"
        path = self._root / TEMPORARIES / name
        with (
            explained(path, "make a temporary folder"),
            contextlib.ExitStack() as stack,
            contextlib.ExitStack() as undo,
        ):
            shelf = open_folder(self._root, (TEMPORARIES,), self._sync)
            stack.callback(os.close, shelf)
            self._take(shelf, fcntl.LOCK_SH, stack)
            os.mkdir(name, 0o700, dir_fd=shelf)
            handle = os.open(name, FOLDER, dir_fd=shelf)
            undo.callback(os.close, handle)
            lock = os.open(_LOCK, _LOCK_FILE, 0o600, dir_fd=handle)
            undo.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            undo.pop_all()
        own = _Own(name=name, handle=handle, lock=lock, process=os.getpid())
        self._tidy = weakref.finalize(self, _tidied, self._root, own)
        return own

    @staticmethod
    def _take(shelf: int, how: int, stack: contextlib.ExitStack) -> bool:
        lock = os.open(_LOCK, _LOCK_FILE, 0o644, dir_fd=shelf)
        stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, how)
        except BlockingIOError:
            return False
        return True

    def _write_group(
        self, folder: int, items: Sequence[tuple[str, bytes]], mode: int, leaves: list[str]
    ) -> None:
        """Write all, then sync all: the first sync carries most of the others along."""
        with contextlib.ExitStack() as stack:
            written = []
            for name, data in items:
                with explained(self._root / name, "write", size=len(data)):
                    leaf = str(next(self._numbers))
                    handle = os.open(leaf, NEW_FILE, mode, dir_fd=folder)
                    stack.callback(os.close, handle)
                    leaves.append(leaf)
                    write_all(handle, data)
                    written.append((name, data, leaf, handle))
            for name, data, leaf, handle in written:
                with explained(self._root / name, "make durable", size=len(data)):
                    self._settle(folder, leaf, handle, data, mode)

    def _settle(self, folder: int, leaf: str, handle: int, data: bytes, mode: int) -> None:
        """Sync; what failed once is never trusted: it is deleted and written again from memory."""
        try:
            self._sync(handle)
            return
        except OSError as error:
            if error.errno in FINAL:
                raise
        os.unlink(leaf, dir_fd=folder)
        again = os.open(leaf, NEW_FILE, mode, dir_fd=folder)
        try:
            write_all(again, data)
            self._sync(again)
        finally:
            os.close(again)


def _swept(shelf: int, name: str) -> int:
    """Empty and remove one folder unless its writer lives; returns the files removed."""
    try:
        handle = os.open(name, FOLDER, dir_fd=shelf)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            return 0
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=shelf)
            return 1
        return 0
    try:
        lock = os.open(_LOCK, _LOCK_FILE, 0o600, dir_fd=handle)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _emptied(shelf, name, handle)
        finally:
            os.close(lock)
    except OSError:
        return 0
    finally:
        os.close(handle)


def _emptied(shelf: int, name: str, handle: int) -> int:
    leaves = [leaf for leaf in _listed(handle) if leaf != _LOCK]
    for leaf in [*leaves, _LOCK]:
        os.unlink(leaf, dir_fd=handle)
    os.rmdir(name, dir_fd=shelf)
    return len(leaves)


def _listed(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _tidied(root: Path, own: _Own) -> None:
    """A forked child only closes its copies: the folder is its parent's."""
    with contextlib.suppress(OSError):
        if own.process == os.getpid():
            shelf = open_folder(root, (TEMPORARIES,))
            try:
                _emptied(shelf, own.name, own.handle)
            finally:
                os.close(shelf)
    os.close(own.handle)
    os.close(own.lock)
