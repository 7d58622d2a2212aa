"""A local folder as the place that keeps the store's bytes.

What is new is written to a temporary, synced, given its name by rename or link, and its folder is
synced: after any crash a name stands for the whole bytes or is not there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from newbie_core.errors import StoreError
from newbie_core.store.driver import Stat, check_name, folder_of
from newbie_core.store.files import (
    READ_FILE,
    append_all,
    explained,
    leave_unsynced,
    link_new,
    open_folder,
    read_all,
)
from newbie_core.store.locks import LOCK_FILE, take_lock
from newbie_core.store.stamps import NOT_A_FILE, stat_names
from newbie_core.store.temporaries import TEMPORARIES, Temporaries

_APPEND_FILE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_SEALED_MODE = 0o444
_OPEN_MODE = 0o644


class LocalDriver:
    """The store's bytes as files below `root`; `durable=False` skips every sync, for tests."""

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root.absolute()
        self.durable = durable
        self._temporaries = Temporaries(self.root, self._sync)

    def read(self, name: str) -> bytes:
        """All bytes of `name`; MissingError when it is not there."""
        path = self._path(name)
        with explained(path, "read"), self._folder(folder_of(name)) as folder:
            handle = os.open(path.name, READ_FILE, dir_fd=folder)
            try:
                return read_all(handle)
            finally:
                os.close(handle)

    def stat(self, name: str) -> Stat | None:
        """Size and change token; None when it is not there; StoreError when it is no plain file."""
        check_name(name)
        found = self.stat_many([name])[0]
        if found == NOT_A_FILE:
            raise self._refusal(name)
        return found

    def stat_many(self, names: Sequence[str]) -> list[Stat | None]:
        """`stat` of each name, quickly; size -1 stands for what is no plain file."""
        return stat_names(self.root, names, self._is_plain_folder)

    def names(self, prefix: str = "") -> Iterator[str]:
        """Every name below the folder `prefix`, sorted, temporaries left out."""
        if prefix.split("/")[0] == TEMPORARIES:
            return
        with explained(self.root / prefix, "list"):
            try:
                with self._folder(prefix) as folder, os.scandir(folder) as entries:
                    found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            except FileNotFoundError:
                return
        for leaf in sorted(leaf + "/" * is_folder for leaf, is_folder in found):
            name = f"{prefix}/{leaf}" if prefix else leaf
            if leaf.endswith("/"):
                yield from self.names(name[:-1])
            else:
                yield name

    def put_many(
        self, items: Sequence[tuple[str, bytes]], *, then: Sequence[tuple[str, bytes]] = ()
    ) -> list[str]:
        """Store items (named by content) and then records; each whole or absent, all durable.

        A name that is there with the same size is not written, but its folder is synced with the
        rest: the writer that put it there may have died before doing so.
        """
        wanted, records = dict(items), dict(then)
        fresh = {name: wanted[name] for name in self._not_there(wanted)}
        self._not_there(records)
        with self._temporaries.staged([*fresh.items(), *records.items()], _SEALED_MODE) as (shelf, leaves):
            self._publish(wanted, shelf, dict(zip(fresh, leaves, strict=False)))
            self._publish(records, shelf, dict(zip(records, leaves[len(fresh) :], strict=True)))
        return list(fresh)

    def create(self, name: str, data: bytes) -> bool:
        """Publish by link(), which never replaces; False when the name is there."""
        path = self._path(name)
        with (
            self._temporaries.staged([(name, data)], _SEALED_MODE) as (shelf, leaves),
            explained(path, "create"),
            self._folder(folder_of(name), make=True) as folder,
        ):
            won = link_new(leaves[0], shelf, path.name, folder)
            self._sync(folder)
        if not won:
            self.stat(name)
        return won

    def replace(self, name: str, data: bytes) -> None:
        """Put `data` in the place of whatever was there; readers see the old or the new whole."""
        self.stat(name)
        with self._temporaries.staged([(name, data)], _OPEN_MODE) as (shelf, leaves):
            self._publish({name: data}, shelf, {name: leaves[0]}, _OPEN_MODE)

    def append(self, name: str, data: bytes) -> None:
        """Add `data` at the end; after a failed sync the whole file is written anew."""
        path = self._path(name)
        with (
            explained(path, "append", size=len(data)),
            self._folder(folder_of(name), make=True) as folder,
        ):
            handle = os.open(path.name, _APPEND_FILE, _OPEN_MODE, dir_fd=folder)
            try:
                size = os.fstat(handle).st_size
                durable = append_all(handle, data, self._sync)
                whole = b"" if durable else os.pread(handle, size, 0) + data
            finally:
                os.close(handle)
            if size == 0:
                self._sync(folder)
        if not durable:
            self.replace(name, whole)

    def remove(self, name: str) -> None:
        """Take `name` away; nothing happens when it is not there."""
        path = self._path(name)
        with (
            explained(path, "remove"),
            contextlib.suppress(FileNotFoundError),
            self._folder(folder_of(name)) as folder,
        ):
            os.unlink(path.name, dir_fd=folder)

    def move_many(self, moves: Sequence[tuple[str, str]]) -> None:
        """Rename each first name to its second; every touched folder is synced once."""
        for name, to in moves:
            path, target = self._path(name), self._path(to)
            with (
                explained(path, f"move to {target}"),
                self._folder(folder_of(name)) as old,
                self._folder(folder_of(to), make=True) as new,
            ):
                os.rename(path.name, target.name, src_dir_fd=old, dst_dir_fd=new)
        for failed in (self._unsynced(to for _, to in moves), self._unsynced(name for name, _ in moves)):
            for folder, error in failed.items():
                raise StoreError(f"{self.root / folder}: cannot make a move durable: {error}") from error

    def prepare(self, folders: Iterable[str]) -> None:
        """Make folders ahead of time."""
        made = list(folders)
        for name in made:
            with explained(self._path(name), "make a folder"):
                os.close(open_folder(self.root, name.split("/"), leave_unsynced))
        touched = {*made, *(str(above) for name in made for above in PurePosixPath(name).parents)}
        for folder, error in self._unsynced(touched).items():
            raise StoreError(f"{self.root / folder}: cannot make new folders durable: {error}") from error

    def local_path(self, name: str) -> Path | None:
        """The file behind `name`."""
        return self._path(name)

    def free_bytes(self) -> int | None:
        """Bytes this user may still write."""
        with explained(self.root, "ask for free space"):
            found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def now(self) -> float:
        """The file system's own clock: the time it stamps on a new file."""
        with (
            self._temporaries.staged([("now", b"")], _OPEN_MODE) as (shelf, leaves),
            explained(self.root, "ask for the time"),
        ):
            return os.stat(leaves[0], dir_fd=shelf).st_mtime

    def sweep(self) -> int:
        """Remove temporaries of dead processes; returns how many."""
        return self._temporaries.sweep()

    def close(self) -> None:
        """Remove this process's temporary folder; the driver can still be used."""
        self._temporaries.close()

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool, wait: float = 0) -> Iterator[None]:
        """Hold the empty file `name` flocked; the kernel frees it when the process dies.

        A forked child shares the lock: it is freed when the last of them dies.
        """
        path = self._path(name)
        with explained(path, "lock"), self._folder(folder_of(name), make=True) as folder:
            handle = os.open(path.name, LOCK_FILE, _OPEN_MODE, dir_fd=folder)
        try:
            take_lock(handle, path, shared=shared, wait=wait)
            yield
        finally:
            os.close(handle)

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    @contextlib.contextmanager
    def _folder(self, name: str, *, make: bool = False) -> Iterator[int]:
        parts = name.split("/") if name else []
        handle = open_folder(self.root, parts, self._sync if make else None)
        try:
            yield handle
        finally:
            os.close(handle)

    def _sync(self, handle: int) -> None:
        if self.durable:
            os.fsync(handle)

    def _not_there(self, items: Mapping[str, bytes]) -> list[str]:
        """The names that are absent or of another size; StoreError when one is no plain file."""
        absent = []
        for name, found in zip(items, self.stat_many([check_name(name) for name in items]), strict=True):
            if found == NOT_A_FILE:
                raise self._refusal(name)
            if found is None or found.size != len(items[name]):
                absent.append(name)
        return absent

    def _is_plain_folder(self, name: str) -> bool:
        """False where a link stands in the way; what is not there or no folder leads nowhere."""
        try:
            with self._folder(name):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def _refusal(self, name: str) -> StoreError:
        for path in (self.root / name, *(self.root / name).parents):
            if path != self.root and path.is_symlink():
                return StoreError(f"{path}: is a symbolic link, and the store follows none; remove the link")
        return StoreError(
            f"{self.root / name}: is not a plain file that can be read; move it out of the store"
        )

    def _publish(
        self, items: Mapping[str, bytes], shelf: int, leaves: Mapping[str, str], mode: int = _SEALED_MODE
    ) -> None:
        """Rename temporaries to their names and sync each folder once.

        The items of a folder whose sync failed are written and renamed once more; objects whose
        folder fails again are taken away, so that no later put finds and trusts them.
        """
        self._rename(shelf, leaves)
        failed = self._unsynced(items)
        if not failed:
            return
        again = [(name, data) for name, data in items.items() if folder_of(name) in failed]
        with self._temporaries.staged(again, mode) as (shelf, fresh):
            self._rename(shelf, dict(zip((name for name, _ in again), fresh, strict=True)))
        failed = self._unsynced(name for name, _ in again)
        for name, _ in again:
            if folder_of(name) in failed and mode == _SEALED_MODE:
                self.remove(name)
        for folder, error in failed.items():
            raise StoreError(
                f"{self.root / folder}: cannot make new names durable: {error.strerror}; "
                "check the disk before trusting it, then run again"
            ) from error

    def _rename(self, shelf: int, leaves: Mapping[str, str]) -> None:
        for name, leaf in leaves.items():
            path = self.root / name
            with explained(path, "write"), self._folder(folder_of(name), make=True) as folder:
                os.rename(leaf, path.name, src_dir_fd=shelf, dst_dir_fd=folder)

    def _unsynced(self, names: Iterable[str]) -> dict[str, OSError]:
        """Sync the folders of `names`, each once; those that failed, with the reason."""
        failed: dict[str, OSError] = {}
        if not self.durable:
            return failed
        for name in sorted({folder_of(name) for name in names}):
            try:
                with self._folder(name) as folder:
                    os.fsync(folder)
            except OSError as error:
                failed[name] = error
        return failed
