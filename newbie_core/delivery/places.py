"""Where an export is built: in a partial place beside its own, which gets its name when it is whole.

A partial place is locked by its writer, so one that can be locked belonged to an export that was killed;
the next export into the same folder removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from newbie_core.errors import ReleaseError
from newbie_core.store.files import explained

_PARTIAL = re.compile(r"\.newbie-export-[0-9a-f]{12}\.part")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ZIP_MODE = 0o100644 << 16


class Place(Protocol):
    """Takes files by their relative names, each once."""

    def write(self, name: str, data: bytes) -> None:
        """Keep `data` under `name`, with "/" between its parts."""


@contextlib.contextmanager
def new_place(to: Path, *, packed: bool) -> Iterator[Place]:
    """A place to write files into, which becomes `to` at the end; nothing is left behind of one that fails.

    Args:
        packed: a zip file instead of a folder; equal files give equal bytes.

    Raises:
        ReleaseError: `to` exists already.
        StoreError: it cannot be written.
    """
    refuse_existing(to)
    with explained(to, "write"):
        to.parent.mkdir(parents=True, exist_ok=True)
        sweep_partials(to.parent)
        partial, lock = _make_partial(to.parent, packed=packed)
        try:
            if packed:
                with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
                    yield _Zip(archive)
            else:
                yield _Folder(partial)
            _give_name(partial, to)
        finally:
            _remove(partial)
            os.close(lock)


def write_file(to: Path, data: bytes, *, replace: bool) -> None:
    """One file, whole or not there; `replace` lets it take the place of a file of that name.

    Raises:
        ReleaseError: `to` exists already.
        StoreError: it cannot be written.
    """
    with explained(to, "write"):
        to.parent.mkdir(parents=True, exist_ok=True)
        sweep_partials(to.parent)
        partial, lock = _make_partial(to.parent, packed=True)
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace and to.is_file() and not to.is_symlink():
                partial.replace(to)
            else:
                _give_name(partial, to)
        finally:
            _remove(partial)
            os.close(lock)


def refuse_existing(to: Path) -> None:
    """Nothing is overwritten.

    Raises:
        ReleaseError: something stands at `to`.
    """
    if to.exists() or to.is_symlink():
        raise ReleaseError(
            f"{to}: exists already and nothing is overwritten; name a new place", code="E_EXPORT_EXISTS"
        )


def sweep_partials(folder: Path) -> int:
    """Remove what killed exports left in `folder`; how many there were."""
    swept = 0
    for left in sorted(folder.iterdir()):
        if _PARTIAL.fullmatch(left.name) and not left.is_symlink():
            with contextlib.suppress(OSError):
                handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(left)
                    swept += 1
                finally:
                    os.close(handle)
    return swept


def _make_partial(folder: Path, *, packed: bool) -> tuple[Path, int]:
    """A new partial place and the lock on it; made again when a sweep came between the two."""
    while True:
        partial = folder / f".newbie-export-{secrets.token_hex(6)}.part"
        if packed:
            partial.touch(exist_ok=False)
        else:
            partial.mkdir()
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            handle = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(handle), partial.lstat()):
                    return partial, handle
            except OSError:
                os.close(handle)
                raise
            os.close(handle)


def _give_name(partial: Path, to: Path) -> None:
    """Rename without replacing: a file gets its name by link(), where the disk has links."""
    if partial.is_file():
        try:
            os.link(partial, to)
            return
        except FileExistsError:
            refuse_existing(to)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise
    refuse_existing(to)
    partial.rename(to)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, data: bytes) -> None:
        place = self._folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            file.write(data)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def write(self, name: str, data: bytes) -> None:
        entry = zipfile.ZipInfo(name, _ZIP_TIME)
        entry.external_attr = _ZIP_MODE
        entry.create_system = 3
        self._archive.writestr(entry, data)
