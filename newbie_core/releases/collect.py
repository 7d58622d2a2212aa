"""Find what no release needs, and move it to the trash; a dry run unless told otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from newbie_core.errors import DamageError, MissingError, ReleaseError, StoreError
from newbie_core.releases.proposals import PROPOSAL, read_proposal
from newbie_core.releases.shelf import Shelf, sets
from newbie_core.releases.views import CANDIDATES, view_folder
from newbie_core.store import Store, object_name

KEEP_DAYS = 7
"""Pictures nothing released are kept so long: an interrupted night may still want them."""

Wanted = Callable[[Store, str], Iterable[str]]
"""Which candidates of rerolls a set still wants, by their objects."""

KEEP_VIEWS = 5
_TRASH_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(slots=True, kw_only=True)
class Collection:
    """What a collection found: names, and the bytes they hold."""

    objects: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    journals: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    bytes: int = 0
    live: int = 0
    applied: bool = False

    def record(self) -> dict[str, object]:
        """The collection as programs read it."""
        return {
            "applied": self.applied,
            "live": self.live,
            "objects": len(self.objects),
            "actions": len(self.actions),
            "views": self.views,
            "emptied": len(self.emptied),
            "bytes": self.bytes,
        }


def collect(
    store: Store,
    root: Path,
    *,
    apply: bool = False,
    keep_days: int = KEEP_DAYS,
    candidates: Wanted | None = None,
) -> Collection:
    """Move to the trash what no release of any set needs; empty the trash of what lies there long.

    Args:
        apply: do it; else only say what would be done.
        keep_days: how long unreleased pictures and trash are kept, by the store's own clock.
        candidates: the other candidates count as unreleased pictures; None keeps all.

    Raises:
        LockedError: somebody is writing.
        StoreError: a release cannot be read, so nobody can say what is needed. Nothing is touched.
    """
    with store.collecting():
        now = datetime.fromtimestamp(store.driver.now(), UTC)
        limit = now - timedelta(days=keep_days)
        live = _live_objects(store, candidates)
        found = Collection(live=len(live), applied=apply)
        _find_actions(store, live, limit, found)
        _find_objects(store, live, found)
        _find_views(store, root, found)
        _find_old_trash(store, limit, found)
        if apply:
            _apply(store, root, found)
    return found


def _live_objects(store: Store, candidates: Wanted | None) -> set[str]:
    live: set[str] = set()
    for set_name in sets(store):
        shelf = Shelf(store, set_name)
        for name in (*shelf.names(), *shelf.missing()):
            try:
                ref = shelf.ref(name)
                release = shelf.read(ref)
            except (DamageError, MissingError, ReleaseError) as error:
                raise StoreError(
                    f'release {name} of set "{set_name}" cannot be read ({error}); nothing was collected. '
                    "Run `newbie verify`, mend or restore it first",
                    code="E_GC_UNREADABLE",
                ) from None
            live.add(ref.manifest)
            live.update(release.manifest.parts().values())
            live.update(entry.object for entry in release.content.entries)
        _keep_proposal(shelf, live)
    _keep_decided(store, live, candidates)
    if any(problem for problem in _unreadable_records(store)):
        raise StoreError(
            "a release record is damaged; nothing was collected. Run `newbie verify`", code="E_GC_UNREADABLE"
        )
    return live


def _keep_proposal(shelf: Shelf, live: set[str]) -> None:
    try:
        proposal = read_proposal(shelf)
    except (DamageError, MissingError) as error:
        raise StoreError(
            f'the proposal of set "{shelf.set}" cannot be read ({error}); nothing was collected. '
            "`newbie run` makes it again",
            code="E_GC_UNREADABLE",
        ) from None
    if proposal is not None:
        live.update(proposal.parts)
        live.update(entry.object for entry in proposal.content.entries)


def _keep_decided(store: Store, live: set[str], candidates: Wanted | None) -> None:
    """Every picture that somebody decided about is needed, released or not, and every golden one.

    So are candidates, but those of a known set that it does not want any more.
    """
    journals = {store.candidates(name).name: name for name in sets(store)}
    doubtful = []
    for journal in store.all_decisions():
        records, damaged = journal.read()
        if damaged:
            raise StoreError(
                f"{journal.name}: line {damaged[0]} is damaged; nothing was collected. Run `newbie verify --repair`",
                code="E_GC_UNREADABLE",
            )
        if candidates and journal.name in journals:
            doubtful.append(journals[journal.name])
        else:
            live.update(record["object"] for record in records if "object" in record)
    if candidates:
        live.update(found for name in doubtful for found in candidates(store, name))
    for journal in store.all_goldens():
        for record in journal.read()[0]:
            live.update(golden["object"] for golden in record.get("goldens", ()))


def _unreadable_records(store: Store) -> list[str]:
    return [name for name in store.driver.names("releases") if store.check_file(name)]


def _find_actions(store: Store, live: set[str], limit: datetime, found: Collection) -> None:
    """Records whose picture is unreleased and old are garbage; all others keep what they name."""
    for name in store.driver.names("actions"):
        record = store.recall(name.rsplit("/", 1)[1])
        if record is None:
            found.actions.append(name)
            continue
        if record["object"] in live or _is_young(record.get("made", ""), limit):
            live.add(record["object"])
            live.add(record["environment"])
        else:
            found.actions.append(name)


def _is_young(made: str, limit: datetime) -> bool:
    try:
        return datetime.fromisoformat(made) > limit
    except ValueError:
        return False


def _find_objects(store: Store, live: set[str], found: Collection) -> None:
    for digest in store.objects():
        if digest not in live:
            stat = store.driver.stat(object_name(digest))
            found.objects.append(digest)
            found.bytes += stat.size if stat else 0


def _find_views(store: Store, root: Path, found: Collection) -> None:
    for set_name in sets(store):
        shelf = Shelf(store, set_name)
        current = shelf.current()
        kept = {*shelf.names()[-KEEP_VIEWS:], current.name if current else "", PROPOSAL, CANDIDATES}
        parent = view_folder(root, set_name, "x").parent
        if parent.is_dir() and not (parent.is_symlink() or parent.parent.is_symlink()):
            folders = (place.name for place in parent.iterdir() if place.is_dir() and not place.is_symlink())
            gone = sorted(name for name in folders if name not in kept)
            found.views.extend(f"{parent.name}/{name}" for name in gone)


def _find_old_trash(store: Store, limit: datetime, found: Collection) -> None:
    for name in store.driver.names("trash"):
        try:
            put_there = datetime.strptime(name.split("/")[1], _TRASH_TIME).replace(tzinfo=UTC)
        except ValueError:
            continue
        if put_there < limit:
            found.emptied.append(name)


def _apply(store: Store, root: Path, found: Collection) -> None:
    for view in found.views:
        shutil.rmtree(root / "views" / view)
    for name in found.emptied:
        store.driver.remove(name)
    if names := [*found.actions, *(object_name(digest) for digest in found.objects)]:
        store.trash(*names)
