"""A Driver that keeps everything in a dictionary: proves that the store and its suite are not local-only."""

import contextlib
import itertools
import threading
import time

from newbie_core.errors import LockedError, MissingError
from newbie_core.store import Stat, check_name


class MemoryDriver:
    """Names to bytes, with a counter as change token, as an object store's ETag would be."""

    def __init__(self):
        self._files = {}
        self._guard = threading.RLock()
        self._tokens = itertools.count()
        self._locks = {}

    def read(self, name):
        with self._guard:
            if check_name(name) not in self._files:
                raise MissingError(f"{name}: is not there")
            return self._files[name][0]

    def stat(self, name):
        check_name(name)
        return self.stat_many([name])[0]

    def stat_many(self, names):
        with self._guard:
            found = [self._files.get(check_name(name)) for name in names]
        return [entry and Stat(len(entry[0]), entry[1], True) for entry in found]

    def names(self, prefix=""):
        start = f"{prefix}/" if prefix else ""
        with self._guard:
            yield from sorted(name for name in self._files if name.startswith(start))

    def put_many(self, items, *, then=()):
        written = []
        with self._guard:
            for name, data in dict(items).items():
                if (found := self.stat(name)) is None or found.size != len(data):
                    self.replace(name, data)
                    written.append(name)
            for name, data in then:
                self.replace(name, data)
        return written

    def create(self, name, data):
        with self._guard:
            if self.stat(name) is not None:
                return False
            self.replace(name, data)
            return True

    def replace(self, name, data):
        with self._guard:
            self._files[check_name(name)] = (bytes(data), str(next(self._tokens)))

    def append(self, name, data):
        with self._guard:
            before = self.read(name) if self.stat(name) else b""
            self.replace(name, before + data)

    def remove(self, name):
        with self._guard:
            self._files.pop(check_name(name), None)

    def move_many(self, moves):
        with self._guard:
            for name, to in moves:
                self.replace(to, self.read(name))
                self.remove(name)

    def prepare(self, folders):
        for name in folders:
            check_name(name)

    def local_path(self, name):
        check_name(name)

    def free_bytes(self):
        return None

    def now(self):
        return time.time()

    def sweep(self):
        return 0

    @contextlib.contextmanager
    def lock(self, name, *, shared, wait=0):
        deadline = time.monotonic() + wait
        check_name(name)
        while not self._take(name, shared):
            if time.monotonic() >= deadline:
                raise LockedError(f"{name}: is locked")
            time.sleep(0.005)
        try:
            yield
        finally:
            with self._guard:
                self._locks[name] -= 1 if shared else -1

    def _take(self, name, shared):
        with self._guard:
            holders = self._locks.get(name, 0)
            if holders < 0 or (holders and not shared):
                return False
            self._locks[name] = holders + (1 if shared else -1)
            return True
