"""Which objects were last seen whole, and what the place said of them then.

An object whose change token is still the one noted here has not been touched since its bytes were
hashed or written, so it need not be hashed again. The index is droppable.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

import orjson

from newbie_core.errors import DamageError, MissingError, StoreError
from newbie_core.store.driver import Driver, Stat
from newbie_core.store.records import seal_named, unseal_named

logger = logging.getLogger(__name__)


class TokenIndex:
    """Digest → size and token when last known whole; safe for threads, merged between processes."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self._name = name
        self._guard = threading.RLock()
        self._known: dict[str, str] | None = None
        self._noted: dict[str, str] = {}
        self._forgotten: set[str] = set()

    def matches(self, digest: str, stat: Stat) -> bool:
        """Whether the object was known whole with exactly this size and token."""
        return self._entries().get(digest) == f"{stat.size}:{stat.token}"

    def matching(self, stats: Iterable[tuple[str, Stat | None]]) -> set[str]:
        """Those of many objects that `matches` says yes to."""
        with self._guard:
            known = self._entries()
            return {
                digest
                for digest, stat in stats
                if stat is not None and known.get(digest) == f"{stat.size}:{stat.token}"
            }

    def size(self, digest: str) -> int | None:
        """The object's size when it was last known whole."""
        entry = self._entries().get(digest)
        return int(entry.partition(":")[0]) if entry else None

    def note(self, digest: str, stat: Stat) -> None:
        """The object was whole at `stat`. What is not settled yet will be hashed once more."""
        if not stat.settled:
            return
        entry = f"{stat.size}:{stat.token}"
        with self._guard:
            if self._entries().get(digest) != entry:
                self._entries()[digest] = self._noted[digest] = entry
                self._forgotten.discard(digest)

    def forget(self, digest: str) -> None:
        """The object is gone or damaged."""
        with self._guard:
            if self._entries().pop(digest, None) is not None:
                self._noted.pop(digest, None)
                self._forgotten.add(digest)

    def save(self) -> None:
        """Write down what was noted since; a failure costs hashing later and is only logged."""
        with self._guard:
            if not self._noted and not self._forgotten:
                return
            entries = {**self._load(), **self._noted}
            for digest in self._forgotten:
                entries.pop(digest, None)
            try:
                self._driver.replace(self._name, seal_named(orjson.dumps(entries), self._name))
            except StoreError as error:
                logger.warning("the index of objects known whole was not saved: %s", error)
                return
            self._known, self._noted, self._forgotten = entries, {}, set()

    def _entries(self) -> dict[str, str]:
        with self._guard:
            if self._known is None:
                self._known = self._load()
            return self._known

    def _load(self) -> dict[str, str]:
        try:
            entries: dict[str, str] = orjson.loads(unseal_named(self._driver.read(self._name), self._name))
        except (MissingError, DamageError):
            return {}
        return entries
