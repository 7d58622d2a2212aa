"""Bytes named by their sha256, and what is known of them without reading them again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from newbie_core.digests import digest_bytes
from newbie_core.errors import DamageError, MissingError, StoreError
from newbie_core.store.checking import Problem
from newbie_core.store.driver import Driver, Stat
from newbie_core.store.files import explained
from newbie_core.store.layout import OBJECTS, QUARANTINE, TOKENS, digest_of, object_name
from newbie_core.store.tokens import TokenIndex
from newbie_core.store.views import new_link, place_copy, place_link

_TICK_SECONDS = 0.012
"""Longer than the coarsest clock that stamps files."""


class Objects:
    """The object half of a Store."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._tokens = TokenIndex(driver, TOKENS)
        self._linked: set[str] = set()

    def put(self, data: bytes) -> str:
        """Store one object, durable when it returns; its digest."""
        return self.put_many([data])[0]

    def put_many(self, objects: Sequence[bytes]) -> list[str]:
        """Store objects in one group; their digests. An object that is there is used if it is whole."""
        return self._put(objects, [])

    def get(self, digest: str) -> bytes:
        """The object's bytes, hashed again; MissingError or DamageError when there are no such bytes."""
        name = object_name(digest)
        before = self.driver.stat_many([name])[0]
        data = self.driver.read(name)
        found = digest_bytes(data)
        if found != digest:
            self._tokens.forget(digest)
            raise DamageError(
                f"{self.driver.local_path(name) or name}: is damaged: "
                f"its {len(data):,} bytes hash to {found}; restore it from a copy or make it again"
            )
        if before is not None:
            self._tokens.note(digest, before)
        return data

    def has(self, digest: str) -> bool:
        """Whether an object of this digest is there (it may be damaged: see `check`)."""
        return self.driver.stat_many([object_name(digest)])[0] is not None

    def check(self, digest: str, *, quick: bool) -> Problem | None:
        """What is wrong with an object: every byte hashed, or (`quick`) presence and known size only."""
        if not quick:
            return self._hash_again(digest)
        found = self.driver.stat_many([object_name(digest)])[0]
        if found is None:
            return "missing"
        if found.size < 0:
            return "unreadable"
        size = self._tokens.size(digest)
        if size is None or found.size == size:
            return None
        return "truncated" if found.size < size else "changed"

    def objects(self) -> Iterator[str]:
        """The digest of every object, sorted."""
        for name in self.driver.names(OBJECTS):
            if digest := digest_of(name):
                yield digest

    def trusted(self, digests: Iterable[str]) -> set[str]:
        """The objects untouched since they were last written or hashed whole; nothing is read."""
        return self._tokens.matching(self._stats(digests))

    def check_changed(self, digests: Iterable[str]) -> dict[str, Problem]:
        """What is wrong with which objects; only those touched since they were last hashed are read."""
        stats = self._stats(dict.fromkeys(digests))
        trusted = self._tokens.matching(stats)
        doubtful = [(digest, found) for digest, found in stats if digest not in trusted]
        if any(found is not None and not found.settled for _, found in doubtful):
            time.sleep(_TICK_SECONDS)
        problems = {digest: problem for digest, _ in doubtful if (problem := self._hash_again(digest))}
        self._tokens.save()
        return problems

    def link_view(self, digest: str, target: Path) -> bool:
        """Make `target` a hard link of an object, or a copy where that is impossible (False).

        A link changes the object's token: call `note_linked` after the last one.
        """
        source = self.driver.local_path(object_name(digest))
        is_trusted = bool(self.trusted([digest]))
        if source is not None:
            with explained(target, f"link from {source}"):
                if place_link(source, target):
                    if is_trusted:
                        self._linked.add(digest)
                    return True
        place_copy(self.get(digest), target)
        return False

    def link_views(self, places: Sequence[tuple[str, Path]]) -> None:
        """`link_view` for many (object, new file) at once, and `note_linked` after them."""
        self._linked |= self.trusted(dict.fromkeys(digest for digest, _ in places))
        for digest, target in places:
            source = self.driver.local_path(object_name(digest))
            if source is None or not new_link(source, target):
                place_copy(self.get(digest), target)
        self.note_linked()

    def note_linked(self) -> None:
        """Trust the objects linked by `link_view` as before, so that they are not hashed again."""
        digests, self._linked = sorted(self._linked), set()
        if digests:
            time.sleep(_TICK_SECONDS)
            self._note(digests)
            self._tokens.save()

    def quarantine(self, name: str) -> str:
        """Put a damaged file out of use; its new name."""
        to = f"{QUARANTINE}/{name}"
        self._put_away([(name, to)])
        return to

    def _put(self, objects: Sequence[bytes], records: Sequence[tuple[str, bytes]]) -> list[str]:
        digests = [digest_bytes(data) for data in objects]
        items = {object_name(digest): data for digest, data in zip(digests, objects, strict=True)}
        self._mend(items, digests)
        written = self.driver.put_many(list(items.items()), then=records)
        self._note([digest for name in written if (digest := digest_of(name))])
        return digests

    def _mend(self, items: dict[str, bytes], digests: Sequence[str]) -> None:
        """Put away what lies under a name without being its bytes, so that a put makes it whole."""
        for digest, found in self._stats(dict.fromkeys(digests)):
            name = object_name(digest)
            if found is None or found.size != len(items[name]) or self._tokens.matches(digest, found):
                continue
            if self._hash_again(digest):
                self.quarantine(name)

    def _hash_again(self, digest: str) -> Problem | None:
        size = self._tokens.size(digest)
        try:
            self.get(digest)
        except MissingError:
            self._tokens.forget(digest)
            return "missing"
        except DamageError:
            found = self.driver.stat(object_name(digest))
            is_short = found is not None and (found.size == 0 or (size is not None and found.size < size))
            return "truncated" if is_short else "changed"
        except StoreError:
            return "unreadable"
        return None

    def _note(self, digests: Sequence[str]) -> None:
        for digest, found in self._stats(digests):
            if found is not None:
                self._tokens.note(digest, found)

    def _stats(self, digests: Iterable[str]) -> list[tuple[str, Stat | None]]:
        wanted = list(digests)
        stats = self.driver.stat_many([object_name(digest) for digest in wanted])
        return list(zip(wanted, stats, strict=True))

    def _put_away(self, moves: Sequence[tuple[str, str]]) -> None:
        for name, _ in moves:
            if digest := digest_of(name):
                self._tokens.forget(digest)
        self.driver.move_many(moves)
