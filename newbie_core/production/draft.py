"""A plan with what the store knows: which pictures are there already, and which are still to make."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from newbie_core.catalogs import Catalog
from newbie_core.errors import DamageError, MissingError
from newbie_core.generation import Engine, recall_made
from newbie_core.plans import Directions, Item, Plan, PlanOptions, Previous, make_plan
from newbie_core.releases import Entry, Place, Release, ReleaseRef, Shelf
from newbie_core.releases.manifest import decode_manifest
from newbie_core.review.cells import Obeyed, obey_cells, read_cells
from newbie_core.review.decisions import About, DecisionLog
from newbie_core.review.retiring import read_retired, reasons
from newbie_core.review.standing import Standing, standing_of
from newbie_core.sheets.workbook import collecting_paused
from newbie_core.store import Store, object_name


class StoreMemo:
    """The store's droppable caches, as sheets and plans use them."""

    def __init__(self, store: Store | None) -> None:
        self._store = store

    def load(self, key: str) -> bytes | None:
        """The bytes kept under `key`, if they are whole."""
        return self._store.memo_load(key) if self._store else None

    def save(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`."""
        if self._store is not None:
            self._store.memo_save(key, data)


@dataclass(slots=True, kw_only=True)
class Draft:
    """A plan with what the store knows about it: where made pictures are, which are still to make."""

    plan: Plan
    parent: Release | None
    places: dict[str, Place | Entry]
    pending: list[Item]
    candidates: list[Item]
    notes: list[str]
    damaged: bool
    standing: Standing


@collecting_paused()
def draft_plan(
    catalog: Catalog,
    *,
    engine: Engine,
    shelf: Shelf | None,
    options: PlanOptions,
    memo: StoreMemo,
    repairing: bool,
) -> Draft:
    """Plan `catalog` against the release that counts, and look up what is made already.

    Args:
        shelf: the set's releases; None where there is no store yet.
        repairing: put damaged files out of the way, so that they are made again.

    Raises:
        DamageError: the journal of decisions is damaged.
    """
    notes: list[str] = []
    catalog, obeyed = _obey_sheet(catalog, shelf, keep=repairing)
    standing, remarks = _read_standing(shelf) if shelf else (Standing(), [])
    if obeyed.standing is not None:
        standing = obeyed.standing
    parent = _read_parent(shelf, notes, repairing) if shelf else None
    lost = _lost_pins(standing, shelf.store, notes, repairing) if shelf else []
    previous = Previous() if shelf is None else shelf.previous(parent)
    plan = make_plan(
        catalog,
        engine=engine.identity(),
        capabilities=engine.capabilities(),
        previous=previous,
        options=options,
        directions=_directions(standing, lost, shelf),
        memo=memo,
    )
    places, pending = _look_up(plan, parent, standing, shelf.store if shelf else None, notes, repairing)
    return Draft(
        plan=plan,
        parent=parent,
        places=places,
        pending=pending,
        candidates=_candidates(plan, standing),
        notes=[*_obeyed_notes(obeyed), *remarks, *notes],
        damaged=bool(notes),
        standing=standing,
    )


def _obey_sheet(catalog: Catalog, shelf: Shelf | None, *, keep: bool) -> tuple[Catalog, Obeyed]:
    """The catalog with the faults of its decision columns, and what came of those.

    Args:
        keep: write new decisions down, as a run does; else they only count for this plan.
    """
    reading = read_cells(catalog)
    obeyed = Obeyed()
    if shelf is not None and (reading.cells or reading.empty):
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with shelf.store.deciding(shelf.set) if keep else nullcontext():
            obeyed = obey_cells(reading, catalog, shelf, at=at, keep=keep)
    if found := (*reading.faults, *obeyed.faults):
        catalog = replace(catalog, faults=(*catalog.faults, *found))
    return catalog, obeyed


def _directions(standing: Standing, lost: Sequence[str], shelf: Shelf | None) -> Directions:
    """What planning obeys: decisions, and what is retired."""
    directions = standing.directions(without=lost)
    if shelf is None:
        return directions
    return replace(directions, retired=reasons(read_retired(shelf.store, shelf.set)))


def _obeyed_notes(obeyed: Obeyed) -> list[str]:
    if not obeyed.decisions:
        return []
    return [f"{len(obeyed.decisions)} decisions were read from the sheet"]


def _candidates(plan: Plan, standing: Standing) -> list[Item]:
    """The pictures of open rerolls, each with its seed."""
    if not standing.open:
        return []
    rejected = standing.rejected
    return [
        plan.reseeded(item, seed)
        for item in plan.items
        if item.picture.id in standing.open and item.pin is None
        for seed in standing.open[item.picture.id].seeds
        if seed not in rejected.get(item.picture.id, ())
    ]


def _read_standing(shelf: Shelf) -> tuple[Standing, list[str]]:
    decisions, remarks = DecisionLog(shelf.store, shelf.set).read()
    return standing_of(decisions), list(remarks)


def _lost_pins(standing: Standing, store: Store, notes: list[str], repairing: bool) -> list[str]:
    """The ids whose pinned picture is damaged or gone: nothing can keep those pixels until they are restored."""
    problems = store.check_changed(pin.about.object for pin in standing.pinned.values())
    lost = [picture_id for picture_id, pin in standing.pinned.items() if pin.about.object in problems]
    for picture_id in lost:
        digest = standing.pinned[picture_id].about.object
        notes.append(
            f"the pinned picture {picture_id} is {problems[digest]} and is planned as its sheet asks; "
            f"restore object {digest} from a copy of the store, and the pin holds again"
        )
    for digest, problem in problems.items():
        if repairing and problem != "missing":
            store.quarantine(object_name(digest))
    return lost


def _read_parent(shelf: Shelf, notes: list[str], repairing: bool) -> Release | None:
    ref = shelf.current()
    if ref is None:
        return None
    try:
        return shelf.read(ref)
    except (DamageError, MissingError) as error:
        notes.append(f"release {ref.name} cannot be read ({error}); its pictures are looked up one by one")
        if repairing:
            _quarantine_parts(shelf, ref)
        return None


def _quarantine_parts(shelf: Shelf, ref: ReleaseRef) -> None:
    digests = [ref.manifest, ref.digest]
    if not shelf.store.check(ref.manifest, quick=False):
        digests.extend(decode_manifest(shelf.store.get(ref.manifest)).parts().values())
    for digest in dict.fromkeys(digests):
        if shelf.store.check(digest, quick=False) not in (None, "missing"):
            shelf.store.quarantine(object_name(digest))


def _look_up(
    plan: Plan,
    parent: Release | None,
    standing: Standing,
    store: Store | None,
    notes: list[str],
    repairing: bool,
) -> tuple[dict[str, Place | Entry], list[Item]]:
    """Where the plan's pictures are, and which are not there (or not whole)."""
    places: dict[str, Place | Entry] = {}
    pending: list[Item] = []
    if store is None:
        return places, list(plan.items)
    if parent is not None:
        released = {entry.key: entry for entry in parent.content.entries}
        places.update((item.key, released[item.key]) for item in plan.items if item.key in released)
    for item in plan.items:
        if item.pin is not None:
            places[item.key] = _pinned_place(places.get(item.key), standing.pinned[item.picture.id].about)
        elif item.key not in places:
            record = recall_made(store, item.key)
            if record is not None:
                places[item.key] = Place(
                    object=record["object"], size=record["size"], pixels=record["pixels"]
                )
    problems = store.check_changed(place.object for place in places.values())
    if problems:
        notes.append(f"{len(problems)} stored pictures were damaged or lost; they are made again")
        for digest, problem in problems.items():
            if repairing and problem != "missing":
                store.quarantine(object_name(digest))
        places = {key: place for key, place in places.items() if place.object not in problems}
    asked: set[str] = set()
    for item in plan.items:
        if item.key not in places and item.key not in asked:
            asked.add(item.key)
            pending.append(item)
    return places, pending


def _pinned_place(released: Place | Entry | None, about: About) -> Place | Entry:
    """Where a pinned picture is: its released entry, if that is the very picture."""
    if released is not None and released.object == about.object:
        return released
    return Place(object=about.object, size=about.size, pixels=about.pixels)
