"""What became of each row of a catalog's tables: the words that write-back puts beside it.

One picture's state begins with one of `KINDS`; a row of several pictures counts them.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from newbie_core.catalogs import Catalog
from newbie_core.errors import DamageError, Fault, MissingError, SheetError
from newbie_core.plans import Directions, Memo, PromptBook, TableValues, combine, source_rows
from newbie_core.plans.pictures import UNSEEN_COLUMNS, Picture
from newbie_core.prompts.templates import RowProblem
from newbie_core.releases import Content, Entry, Release, Shelf, read_attestation, read_proposal
from newbie_core.review.decisions import DecisionLog
from newbie_core.review.retiring import read_retired, reasons
from newbie_core.review.standing import Standing, standing_of

KINDS = (
    "new", "changed", "unchanged", "edited", "held", "failed", "waits for approval", "not made yet", "rejected",
    "retired", "off", "gone", "looked up", "no pictures",
)  # fmt: skip
"""The first words of every status."""

_QUIET = frozenset({"new", "unchanged", "not made yet"})
_DETAILS_SHOWN = 3
_SEEDS_SHOWN = 6
_CAUSES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RowState:
    """What is said of one row; `entries` are its released pictures."""

    status: str
    version: str = ""
    seed: str | int | None = None
    entries: Sequence[Entry] = ()
    is_rejected: bool = False

    @property
    def kind(self) -> str:
        """The status's first words, of `KINDS`; "several" where a row counts its pictures."""
        return next((kind for kind in KINDS if self.status.partition(":")[0] == kind), "several")


@dataclass(frozen=True, slots=True)
class _State:
    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


@dataclass(slots=True, kw_only=True)
class _Known:
    """What a release, the proposal and the decisions say, by picture id; what was rejected, by sheet and row."""

    name: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    tables: Mapping[str, TableValues] = field(default_factory=dict)
    is_first: bool = True
    added: frozenset[str] = frozenset()
    changed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    proposed: frozenset[str] = frozenset()
    standing: Standing = field(default_factory=Standing)
    rejected: Mapping[tuple[str, int], str] = field(default_factory=dict)
    retired: Directions = field(default_factory=Directions)


def row_states(
    catalog: Catalog, shelf: Shelf, release: Release | None, *, memo: Memo | None = None
) -> dict[str, dict[int, RowState]]:
    """By table and row number, every row that has an id or is rejected.

    Args:
        release: the version the rows are told about; None where nothing is released yet.

    Raises:
        SheetError: a fault stops the whole catalog.
    """
    wanted = combine(catalog, size_problem=lambda _width, _height: None)
    if stopping := [fault for fault in wanted.faults if fault.severity == "file"]:
        raise SheetError(faults=stopping)
    book = PromptBook(catalog.template, catalog.columns, catalog.settings.columns, memo)
    answers = book.digests(wanted.pictures)
    unsound = {
        picture.id: f"rejected: {answer.text}"
        for picture, answer in zip(wanted.pictures, answers, strict=True)
        if isinstance(answer, RowProblem)
    }
    known = _read_known(shelf, release)
    teller = _Teller(catalog, known, wanted.pictures, unsound, (*catalog.faults, *wanted.faults))
    return {name: dict(teller.table(name)) for name in catalog.tables}


def _read_known(shelf: Shelf, release: Release | None) -> _Known:
    decisions, _ = DecisionLog(shelf.store, shelf.set).read()
    retired = Directions(retired=reasons(read_retired(shelf.store, shelf.set)))
    known = _Known(standing=standing_of(decisions), retired=retired)
    try:
        proposal = read_proposal(shelf)
        known.proposed = (
            frozenset(entry.id for entry in proposal.content.entries) if proposal else frozenset()
        )
    except (DamageError, MissingError):
        pass  # the next run makes it again
    if release is None:
        return known
    content: Content = release.content
    known.name = release.ref.name
    known.entries = {entry.id: entry for entry in content.entries}
    known.held, known.failed = content.held, frozenset(content.failed)
    known.tables = shelf.tables(release.manifest)
    known.rejected = _attested(shelf, release)
    try:
        explanation = orjson.loads(shelf.store.get(release.manifest.explanation))
    except (DamageError, MissingError):
        return known
    known.is_first = explanation.get("parent") is None
    if not known.is_first:
        known.added = frozenset(change["id"] for change in explanation["add"])
        known.changed = {change["id"]: change["reasons"] for change in explanation["change"]}
    return known


def _attested(shelf: Shelf, release: Release) -> dict[tuple[str, int], str]:
    """Why the release's run rejected rows: an engine's reasons are known to nobody else."""
    found = {}
    for record in read_attestation(shelf, release).get("rejected", ()):
        with contextlib.suppress(TypeError):
            fault = Fault(**record)
            if fault.row is not None:
                found[fault.sheet or "", fault.row] = _said(fault)
    return found


class _Teller:
    """Words for pictures and rows of one catalog."""

    def __init__(
        self,
        catalog: Catalog,
        known: _Known,
        pictures: Sequence[Picture],
        unsound: Mapping[str, str],
        faults: Sequence[Fault],
    ) -> None:
        self._catalog, self._known, self._unsound = catalog, known, unsound
        self._order = catalog.table_order()
        self._asked = {picture.id: picture for picture in pictures}
        self._by_row: dict[tuple[str, str], list[str]] = {}
        for picture in pictures:
            for name, part in zip(self._order, picture.parts, strict=True):
                self._by_row.setdefault((name, part.row.id), []).append(picture.id)
        for picture_id in known.entries:
            parts = picture_id.partition("#")[0].split("/")
            if picture_id not in self._asked and len(parts) == len(self._order):
                for name, row_id in zip(self._order, parts, strict=True):
                    self._by_row.setdefault((name, row_id), []).append(picture_id)
        self._rejected: dict[tuple[str, int], list[str]] = {}
        for fault in faults:
            if fault.severity == "row" and fault.row is not None:
                self._rejected.setdefault((fault.sheet or "", fault.row), []).append(_said(fault))

    def table(self, name: str) -> Iterator[tuple[int, RowState]]:
        """Each row's number and state."""
        table = self._catalog.tables[name]
        combined = name in self._order
        for row in table.rows:
            reasons = self._rejected.get((table.name, row.number), [])
            if reasons or combined:
                yield row.number, self._row(name, row.id, reasons, is_off=row.values.get("enabled") == "no")
            else:
                yield row.number, RowState(status="looked up")
        for number, row_id in table.rejected_rows.items():
            reasons = self._rejected.get((table.name, number), ["the row cannot be used"])
            yield number, self._row(name, row_id or "", reasons, is_off=False)

    def _row(self, name: str, row_id: str, reasons: Sequence[str], *, is_off: bool) -> RowState:
        ids = self._by_row.get((name, row_id), []) if row_id else []
        entries = [self._known.entries[one] for one in ids if one in self._known.entries]
        version = self._known.name if entries else ""
        if reasons:
            why = "rejected: " + "; ".join(reasons)
            kept = f"held: kept as in {version}; {why}" if entries else why
            return RowState(
                status=kept, version=version, seed=_seeds(entries), entries=entries, is_rejected=True
            )
        if is_off:
            kept = f"; {version} has it still, the next run takes it out" if entries else ""
            return RowState(
                status=f"off: enabled is no{kept}", version=version, seed=_seeds(entries), entries=entries
            )
        states = {picture_id: self._state(picture_id) for picture_id in ids}
        if not states:
            status = "no pictures: rows it is combined with are off, rejected or excluded"
        elif len(states) == 1:
            status = str(next(iter(states.values())))
        else:
            status = _counted(states)
        bad = any(state.kind == "rejected" or "; rejected: " in state.detail for state in states.values())
        return RowState(
            status=status, version=version, seed=_seeds(entries), entries=entries, is_rejected=bad
        )

    def _state(self, picture_id: str) -> _State:
        """What became of one picture, and what people decided about it."""
        state = self._made_or_not(picture_id)
        entry = self._known.entries.get(picture_id)
        decided = self._decided(picture_id, entry) if entry else ""
        detail = "; ".join(text for text in (state.detail, decided) if text)
        return _State(state.kind, detail)

    def _made_or_not(self, picture_id: str) -> _State:
        known, name = self._known, self._known.name
        entry = known.entries.get(picture_id)
        if why := known.retired.why_retired(picture_id):
            return _State(
                "retired", why.removeprefix("retired ") + ("; the next run leaves it out" if entry else "")
            )
        if reason := self._unsound.get(picture_id):
            return _State("held", f"kept as in {name}; {reason}") if entry else _State(*reason.split(": ", 1))
        if picture_id not in self._asked:
            return _State("gone", "no longer asked for; the next run takes it out")
        if picture_id in known.failed:
            kept = f"kept as it was in {name}; " if entry else ""
            return _State("failed", f"{kept}it could not be made; `newbie retry` tries again")
        if entry is None:
            if why := self._rejected_before(picture_id):
                return _State("rejected", f"{why} (in {name})")
            if picture_id in known.proposed:
                return _State("waits for approval", "`newbie decide` approves it")
            return _State("not made yet", "the next run makes it")
        if picture_id in known.held:
            return _State("held", f"{known.held[picture_id]} in {name}; the next run looks again")
        if picture_id not in known.standing.pinned and self._is_edited(picture_id):
            return _State("edited", f"the sheet changed after {name}; the next run makes it again")
        if known.is_first or picture_id in known.added:
            return _State("new", f"in {name}" if not known.is_first else "")
        if reasons := known.changed.get(picture_id):
            more = f" and {len(reasons) - _CAUSES_SHOWN} more" if len(reasons) > _CAUSES_SHOWN else ""
            return _State("changed", "; ".join(reasons[:_CAUSES_SHOWN]) + more)
        return _State("unchanged")

    def _rejected_before(self, picture_id: str) -> str | None:
        """Why the release's run rejected a row of the picture, where that row is as it was."""
        rows = [(part.table.name, part.row.number) for part in self._asked[picture_id].parts]
        why = next((self._known.rejected[row] for row in rows if row in self._known.rejected), None)
        return None if why is None or self._is_edited(picture_id) else why

    def _decided(self, picture_id: str, entry: Entry) -> str:
        standing = self._known.standing
        if (pin := standing.pinned.get(picture_id)) is not None:
            return str(pin)
        if (rejection := standing.rejected.get(picture_id, {}).get(entry.seed)) is not None:
            return f"{rejection}; the next run takes another seed"
        return "approved" if entry.pixels in standing.approved.get(picture_id, ()) else ""

    def _is_edited(self, picture_id: str) -> bool:
        tables = self._known.tables
        for name, row in source_rows(self._catalog, self._asked[picture_id]):
            if name not in tables:
                continue
            before = tables[name].get(row.id, {})
            if any(
                before.get(column) != row.values.get(column)
                for column in {*before, *row.values} - UNSEEN_COLUMNS
            ):
                return True
        return False


def _said(fault: Fault) -> str:
    where = f"column {fault.column} ({fault.header}): " if fault.column else ""
    return f"{where}{fault.message}" + (f"; {fault.fix}" if fault.fix else "")


def _seeds(entries: Sequence[Entry]) -> str | int | None:
    if len(entries) <= 1:
        return entries[0].seed if entries else None
    shown = "; ".join(f"{entry.id} {entry.seed}" for entry in entries[:_SEEDS_SHOWN])
    return shown + (f"; … ({len(entries)})" if len(entries) > _SEEDS_SHOWN else "")


def _counted(states: Mapping[str, _State]) -> str:
    counts = Counter(state.kind for state in states.values())
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items(), key=lambda one: -one[1]))
    telling = [(one, state) for one, state in states.items() if state.detail and state.kind not in _QUIET]
    details = "".join(f"; {one} {state}" for one, state in telling[:_DETAILS_SHOWN])
    more = f"; … and {len(telling) - _DETAILS_SHOWN} more" if len(telling) > _DETAILS_SHOWN else ""
    return f"{len(states)} pictures: {told}{details}{more}"
