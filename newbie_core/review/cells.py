"""Decisions that people write into their sheet, in the columns `decision` and `decision note`.

A cell is judged once, when it is first read with these words: it is about the version that counts then,
or the version that write-back wrote beside the row. What was read is noted in
`decisions/<set>/cells/journal.jsonl`, a line a cell, so the same cell of the next night adds nothing::

    {"table": "characters", "row": "aria", "said": ["reject", 4, "six fingers", ""], "at": "2026-03-02T…"}

A cell that is emptied is noted too; the same words written again later are a new decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from newbie_core.catalogs import Catalog
from newbie_core.errors import DamageError, Fault, ReleaseError
from newbie_core.plans import cell_fault
from newbie_core.releases import Shelf
from newbie_core.review.deciding import REROLL_COUNT, REROLL_LIMIT, Desk, Refusal, Request
from newbie_core.review.decision_file import text_problem
from newbie_core.review.decisions import Decision, DecisionKind
from newbie_core.review.standing import Standing
from newbie_core.sheets import Row, Table, header_key
from newbie_core.spelling import nearest
from newbie_core.store import Journal

_WORDS: Mapping[DecisionKind, str] = {
    "approve": "approve approved ok 通过 通過 批准 同意 承認",
    "reject": "reject rejected 拒绝 拒絕 驳回 駁回 退回 不通过 不通過 却下",
    "pin": "pin pinned keep 固定 锁定 鎖定 保留 ピン",
    "unpin": "unpin 取消固定 解锁 解鎖 固定解除",
    "reroll": "reroll again 重抽 重做 重新生成 再抽选 引き直し",
    "clear": "clear 清除 撤销 撤銷 取消",
}
_KINDS: Mapping[str, DecisionKind] = {
    header_key(word): kind for kind, words in _WORDS.items() for word in words.split()
}
_COUNTED = re.compile(r"(\D+?)\s*[x×*]?\s*(\d{1,4})")
_VERSION = re.compile(r"r\d{6,}")
_WHO_LIMIT = 200
_CELLS = "cells"

Said = tuple[str, int, str, str]
"""A cell's decision, the number of candidates, the note, and the version beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A decision as it stands in a sheet, about the pictures of one row."""

    table: str
    row: str
    said: Said
    where: Fault
    by: str

    @property
    def key(self) -> tuple[str, str]:
        """The table and the row's id: what the cell is known by, wherever the row is moved."""
        return self.table, self.row


@dataclass(slots=True, kw_only=True)
class Reading:
    """What the sheets say: decisions, cells that are empty, and what is wrong."""

    cells: list[Cell] = field(default_factory=list)
    empty: set[tuple[str, str]] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Obeyed:
    """What came of a reading; `standing` is None where nothing new was said."""

    standing: Standing | None = None
    decisions: Sequence[Decision] = ()
    faults: Sequence[Fault] = ()


def read_cells(catalog: Catalog) -> Reading:
    """The decisions in the sheets of a catalog; a bad value is a warning and spoils that decision only."""
    reading = Reading()
    for name, table in catalog.tables.items():
        if "decision" not in table.columns:
            continue
        for row in table.rows:
            text = row.values.get("decision", "")
            if text:
                _read_cell(catalog, name, table, row, text, reading)
            else:
                reading.empty.add((name, row.id))
    return reading


def _read_cell(catalog: Catalog, name: str, table: Table, row: Row, text: str, reading: Reading) -> None:
    note, version = row.values.get("decision_note", ""), table.versions.get(row.number, "")
    found = _meaning(text)
    if isinstance(found, tuple):
        kind, count = found
        problem = text_problem("note", note)
        if name not in catalog.table_order():
            problem = f'no picture has a row of sheet "{table.name}" in its id; write it into {catalog.table_order()[0]}'
    else:
        problem = found
    if problem is not None:
        fix = "this decision was not taken"
        reading.faults.append(
            cell_fault(table, row, "decision", "E_DECISION_FORM", problem, fix, severity="warning")
        )
        return
    author = catalog.authors.get(table.file, "")
    by = f"{table.file} ({author})" if author else table.file
    reading.cells.append(
        Cell(
            table=name,
            row=row.id,
            said=(kind, count, note, version if _VERSION.fullmatch(version) else ""),
            where=cell_fault(table, row, "decision", "", "", "", severity="warning"),
            by=by[:_WHO_LIMIT],
        )
    )


def _meaning(text: str) -> tuple[DecisionKind, int] | str:
    """The decision of a cell's words, and how many candidates; else what is wrong with them."""
    count = REROLL_COUNT
    words = text
    if counted := _COUNTED.fullmatch(text.strip()):
        words, count = counted[1], int(counted[2])
    kind = _KINDS.get(header_key(words))
    if kind is None or (counted and kind != "reroll"):
        known = [word for words in _WORDS.values() for word in words.split()]
        near = nearest(text.strip().lower(), known)
        hint = f'did you mean "{near}"?' if near else f"write one of {', '.join(_WORDS)}"
        return f'"{text[:60]}" is no decision; {hint}'
    if not 1 <= count <= REROLL_LIMIT:
        return f'"{text[:60]}" asks for {count} candidates; 1 to {REROLL_LIMIT} can be made'
    return kind, count


def obey_cells(reading: Reading, catalog: Catalog, shelf: Shelf, *, at: str, keep: bool) -> Obeyed:
    """Take what the sheets say and was not read before.

    Args:
        at: when they were read.
        keep: write it down, holding `Store.deciding`; else only say what would stand.

    Raises:
        DamageError: a journal is damaged, so nobody can say what was read.
    """
    journal = shelf.store.decision_notes(shelf.set, _CELLS)
    known = _known(journal)
    new = [cell for cell in reading.cells if known.get(cell.key) != cell.said]
    emptied = sorted(key for key in reading.empty if known.get(key, _NOTHING) != _NOTHING)
    if not new and not emptied:
        return Obeyed()
    obeyed = _obey(new, catalog, Desk(shelf), at, keep=keep) if new else Obeyed()
    if keep:
        said = [(cell.key, cell.said) for cell in new] + [(key, _NOTHING) for key in emptied]
        journal.append(
            *({"table": table, "row": row, "said": list(words), "at": at} for (table, row), words in said)
        )
    return obeyed


_NOTHING: Said = ("", 0, "", "")


def _known(journal: Journal) -> dict[tuple[str, str], Said]:
    records, damaged = journal.read()
    if damaged:
        raise DamageError(
            f"{journal.name}: line {damaged[0]} is damaged, so nobody can say which decisions of the sheet were "
            "taken. Restore the file from a copy, or let `newbie verify --repair` keep the other lines",
            code="E_DECISIONS_DAMAGED",
        )
    return {(record["table"], record["row"]): _said(record) for record in records}


def _said(record: Mapping[str, Any]) -> Said:
    kind, count, note, version = record["said"]
    return str(kind), int(count), str(note), str(version)


def _obey(cells: Sequence[Cell], catalog: Catalog, desk: Desk, at: str, *, keep: bool) -> Obeyed:
    faults: list[Fault] = []
    requests: list[Request] = []
    asked: dict[str, Cell] = {}
    for cell in cells:
        found = list(_requests(cell, catalog, desk, at, faults))
        requests += found
        asked |= {request.where: cell for request in found}
    taken = desk.decide(requests, keep=keep)
    faults += [_refused(asked[refusal.where], refusal) for refusal in taken.refused]
    return Obeyed(standing=desk.standing, decisions=taken.decisions, faults=faults)


def _requests(cell: Cell, catalog: Catalog, desk: Desk, at: str, faults: list[Fault]) -> Iterator[Request]:
    """One request for each picture of the row that the version shows."""
    kind, count, note, version = cell.said
    place = catalog.table_order().index(cell.table)
    try:
        known = desk.ids(version or None)
    except ReleaseError as error:
        faults.append(_told(cell, error.code, str(error)))
        return
    ids = [one for one in known if cell.row in one.partition("#")[0].split("/")[place : place + 1]]
    if not ids:
        seen = version or "the version that counts"
        text = f"{seen} shows no picture of this row, so nobody has seen one"
        faults.append(_told(cell, "E_DECISION_PICTURE", text))
    for picture_id in ids:
        yield Request(
            id=picture_id,
            decision=_KINDS[kind],
            version=version or None,
            note=note,
            by=cell.by,
            at=at,
            number=count,
            where=f"{cell.table} {cell.row}",
        )


def _refused(cell: Cell, refusal: Refusal) -> Fault:
    return _told(cell, refusal.code, f"{refusal.decision} {refusal.id}: {refusal.reason}")


def _told(cell: Cell, code: str, message: str) -> Fault:
    fix = "the decision was not taken; clear the cell, and write it again about what is there now"
    return replace(cell.where, code=code, message=message, fix=fix)
