"""The store: objects named by their digest, records of actions, journals, locks and caches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from newbie_core.errors import DamageError, LockedError, MissingError
from newbie_core.store.checking import Problem, problem_of
from newbie_core.store.driver import Driver, check_name
from newbie_core.store.files import explained
from newbie_core.store.formats import make_store, mend_format, require_store
from newbie_core.store.journals import Journal
from newbie_core.store.layout import (
    ACTIONS,
    DECISIONS,
    GOLDENS,
    JOURNAL,
    LOCKS,
    MEMO,
    QUARANTINE,
    RUNS,
    TRASH,
    UNCHECKED,
    action_name,
    candidates_name,
    decisions_name,
    goldens_name,
    journal_name,
    notes_name,
)
from newbie_core.store.local import LocalDriver
from newbie_core.store.names import safe_name
from newbie_core.store.objects import Objects
from newbie_core.store.records import decode_lines, encode_line, seal_named, unseal_named


class Store(Objects):
    """Objects named by their digest: whole or not there. Works on any Driver."""

    def __init__(self, driver: Driver, *, doubtful: bool = False) -> None:
        """The store on `driver`; `doubtful` opens one whose `format.json` is damaged, to look at the rest."""
        try:
            require_store(driver)
        except DamageError:
            if not doubtful:
                raise
        super().__init__(driver)
        self._close_driver: Callable[[], None] | None = None

    @classmethod
    def open(cls, root: Path, *, create: bool = True, durable: bool = True, doubtful: bool = False) -> Store:
        """The store in the folder `root`; made when absent or empty, unless `create` is False.

        Args:
            doubtful: open a store whose `format.json` is damaged too, to look at the rest.
        """
        if create:
            with explained(root, "make a store"):
                root.mkdir(parents=True, exist_ok=True)
        elif not root.is_dir():
            raise MissingError(f"{root}: there is no store; check the path", code="E_NO_STORE")
        driver = LocalDriver(root, durable=durable)
        if create:
            make_store(driver)
        store = cls(driver, doubtful=doubtful)
        store._close_driver = driver.close
        return store

    def close(self) -> None:
        """Write down what is known of the objects, and tidy up; the store can still be used."""
        self._tokens.save()
        if self._close_driver is not None:
            self._close_driver()

    def __enter__(self) -> Store:
        """The store itself; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    # Actions and memos

    def commit(self, pictures: Sequence[tuple[str, bytes, dict[str, Any]]]) -> list[str]:
        """Store (action key, object, record) in one group; objects durable before any record."""
        records = [_action(key, record) for key, _, record in pictures]
        return self._put([data for _, data, _ in pictures], records)

    def remember(self, key: str, record: dict[str, Any]) -> None:
        """Note what the action `key` gave, in the place of what was noted before."""
        self.driver.put_many([], then=[_action(key, record)])

    def recall(self, key: str) -> dict[str, Any] | None:
        """What the action `key` gave; None when nothing whole is noted."""
        name = action_name(key)
        try:
            record: dict[str, Any] = orjson.loads(unseal_named(self.driver.read(name), name))
        except (MissingError, DamageError):
            return None
        return record

    def forget_actions(self, is_meant: Callable[[dict[str, Any]], bool]) -> int:
        """Take away the records of actions that `is_meant` says yes to; how many. Their objects stay."""
        forgotten = 0
        for name in self.driver.names(ACTIONS):
            record = self.recall(name.rpartition("/")[2])
            if record is not None and is_meant(record):
                self.driver.remove(name)
                forgotten += 1
        return forgotten

    def damaged_actions(self) -> list[str]:
        """The names of action records that `recall` passes over because they are damaged."""
        return [name for name in self.driver.names(ACTIONS) if problem_of(self.driver, name)]

    def memo_save(self, name: str, data: bytes) -> None:
        """Keep a cache that may vanish at any time."""
        memo = f"{MEMO}/{check_name(name)}"
        self.driver.replace(memo, seal_named(data, memo))

    def memo_load(self, name: str) -> bytes | None:
        """A cache kept before; None when there is none or it is damaged (then it is removed)."""
        memo = f"{MEMO}/{check_name(name)}"
        try:
            return unseal_named(self.driver.read(memo), memo)
        except MissingError:
            return None
        except DamageError:
            self.driver.remove(memo)
            return None

    # Journals

    def journal(self, run_id: str) -> Journal:
        """The journal of one run; it need not be there yet."""
        return Journal(self.driver, journal_name(run_id))

    def journals(self) -> Iterator[Journal]:
        """The journal of every run in the store."""
        yield from self._journals(RUNS)

    def decisions(self, set_name: str) -> Journal:
        """The journal of what people decided about a set; it need not be there yet."""
        return Journal(self.driver, decisions_name(set_name))

    def candidates(self, set_name: str) -> Journal:
        """The journal of a set's candidates; it need not be there yet."""
        return Journal(self.driver, candidates_name(set_name))

    def decision_notes(self, set_name: str, kind: str) -> Journal:
        """The journal of a kind of notes that go with a set's decisions; it need not be there yet."""
        return Journal(self.driver, notes_name(set_name, kind))

    def goldens(self, set_name: str) -> Journal:
        """The journal of a set's golden pictures; it need not be there yet."""
        return Journal(self.driver, goldens_name(set_name))

    def all_goldens(self) -> Iterator[Journal]:
        """The journals of golden pictures of every set."""
        yield from self._journals(GOLDENS)

    def all_decisions(self) -> Iterator[Journal]:
        """The journals of decisions, of candidates and of other notes of every set."""
        yield from self._journals(DECISIONS)

    def _journals(self, area: str) -> Iterator[Journal]:
        for name in self.driver.names(area):
            if name.endswith(f"/{JOURNAL}"):
                yield Journal(self.driver, name)

    # Locks

    @contextlib.contextmanager
    def writing(self, set_name: str, *, wait: float = 0) -> Iterator[None]:
        """Hold the right to write one set; others may write other sets."""
        lock = f"{LOCKS}/sets/{safe_name(set_name)}"
        with (
            self._locked(f"{LOCKS}/store", True, wait, "the store is being cleaned"),
            self._locked(lock, False, wait, f'another run is writing the set "{set_name}"'),
        ):
            yield

    @contextlib.contextmanager
    def deciding(self, set_name: str, *, wait: float = 10) -> Iterator[None]:
        """Hold the right to decide about one set: short, and a run of the set may go on meanwhile."""
        lock = f"{LOCKS}/decisions/{safe_name(set_name)}"
        with (
            self._locked(f"{LOCKS}/store", True, wait, "the store is being cleaned"),
            self._locked(lock, False, wait, f'somebody else is deciding about the set "{set_name}"'),
        ):
            yield

    @contextlib.contextmanager
    def night(self) -> Iterator[None]:
        """Hold the night: a second one of the same store ends at once."""
        with self._locked(f"{LOCKS}/night", False, 0, "another night of this store is under way"):
            yield

    @contextlib.contextmanager
    def collecting(self, *, wait: float = 0) -> Iterator[None]:
        """Hold the whole store: nobody writes any set meanwhile."""
        with self._locked(f"{LOCKS}/store", False, wait, "somebody is writing to the store or cleaning it"):
            yield

    @contextlib.contextmanager
    def publishing(self, *, wait: float = 10) -> Iterator[None]:
        """Hold the right to publish: short, so others wait for it."""
        with self._locked(f"{LOCKS}/publish", False, wait, "another run is publishing a release"):
            yield

    # Every file

    def trash(self, *names: str) -> list[str]:
        """Put files nothing needs in `trash/<store's time>/`; their new names."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.driver.now()))
        moves = [(name, f"{TRASH}/{stamp}/{name}") for name in names]
        self._put_away(moves)
        return [to for _, to in moves]

    def every_file(self) -> Iterator[str]:
        """The name of every stored file; not temporaries, locks, views, or what is in quarantine."""
        for name in self.driver.names():
            if name.partition("/")[0] not in UNCHECKED:
                yield name

    def mend_decisions(self, name: str) -> None:
        """Keep the whole lines of a damaged journal of decisions or goldens; the file as it was goes to quarantine."""
        with self.collecting():
            data = self.driver.read(name)
            self.driver.replace(f"{QUARANTINE}/{name}", data)
            records, _ = decode_lines(data)
            self.driver.replace(name, b"".join(encode_line(record) for record in records))

    def mend_format(self) -> bool:
        """Write a damaged `format.json` again; False where it names another format."""
        return mend_format(self.driver)

    def check_file(self, name: str) -> Problem | None:
        """What is wrong with any file of the store, every byte of it considered."""
        return problem_of(self.driver, name)

    @contextlib.contextmanager
    def _locked(self, name: str, shared: bool, wait: float, reason: str) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.driver.lock(name, shared=shared, wait=wait))
            except LockedError as error:
                where = self.driver.local_path(name) or name
                raise LockedError(
                    f"{reason} ({where} is locked); wait for that to end, then run again"
                ) from error
            yield


def _action(key: str, record: dict[str, Any]) -> tuple[str, bytes]:
    name = action_name(key)
    return name, seal_named(orjson.dumps(record, option=orjson.OPT_SORT_KEYS), name)
