"""A sheet as a table of records: columns by name, good rows, and a fault for each bad one.

table = read_table(workbook.sheet("characters"), CORE_COLUMNS)
table.rows[0].values["expression"]              # "smile"
table.address(table.rows[0], "expression")      # "characters!E2"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import itemgetter

from newbie_core.errors import Fault
from newbie_core.sheets.codes import CELL_MESSAGES
from newbie_core.sheets.columns import ColumnSpec, base_name
from newbie_core.sheets.headers import Column, Header, find_header
from newbie_core.sheets.text import shown, visible
from newbie_core.sheets.values import Problem, flag, id_key, id_problem, integer
from newbie_core.sheets.workbook import Mark, Sheet, collecting_paused, column_letter

_PLAIN_SHEET_NAME = re.compile(r"[^\W\d]\w*")
_LIKE_ADDRESS = re.compile(r"[A-Za-z]{1,3}[0-9]+|[Rr][0-9]*[Cc]?[0-9]*|[Cc][0-9]*")
_ROWS_NAMED = 5
_CHECKS: dict[str, Callable[[str], str | Problem]] = {"integer": integer, "flag": flag}


@dataclass(slots=True)
class Row:
    """One good row: its number in Excel, its id ("" in a table without ids), its filled cells by column.

    Not frozen only because a hundred thousand of them are made; nobody changes one.
    """

    number: int
    id: str
    values: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Table:
    """The records of one sheet.

    `rows` are the good ones in the sheet's order. `order` has a place for every record, None where
    the row was rejected, so that a table read beside another does not shift. `rejected_rows` gives
    the rejected rows by number, with their id where it could be read. `faults` holds everything
    found; if any is of severity "file" the table has no rows and must not be used. `header_row` is the
    header's number in Excel; `added` are the columns that write-back added, by what they are called,
    and `versions` the version that write-back wrote beside a row, by row number.
    """

    name: str
    file: str
    columns: dict[str, Column] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    order: list[Row | None] = field(default_factory=list)
    rejected_rows: dict[int, str | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    header_row: int = 0
    added: dict[str, Column] = field(default_factory=dict)
    versions: dict[int, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether no fault stops the whole table."""
        return not any(fault.severity == "file" for fault in self.faults)

    def address(self, row: Row, column: str) -> str:
        """Where a row's cell is, as Excel writes it: `characters!D14`, `'My sheet'!D14`."""
        return f"{quoted_sheet_name(self.name)}!{self.columns[column].letter}{row.number}"


def quoted_sheet_name(name: str) -> str:
    """A sheet's name as it stands before `!` in an address."""
    if _PLAIN_SHEET_NAME.fullmatch(name) and not _LIKE_ADDRESS.fullmatch(name):
        return name
    return "'" + name.replace("'", "''") + "'"


def read_table(
    sheet: Sheet,
    columns: Sequence[ColumnSpec],
    *,
    id_required: bool = True,
    numbered: frozenset[str] = frozenset(),
) -> Table:
    """The records of `sheet`; all its faults are in `Table.faults`, none is raised.

    Args:
        id_required: whether a sheet without an id column, or a row without an id, is a fault.
        numbered: columns that may come several times, as "expression_2" to "expression_9".
    """
    with collecting_paused():
        return _read(sheet, columns, numbered, id_required=id_required)


def _read(
    sheet: Sheet, columns: Sequence[ColumnSpec], numbered: frozenset[str], *, id_required: bool
) -> Table:
    header = find_header(sheet, columns, numbered, id_required=id_required)
    table = Table(
        name=sheet.name, file=sheet.file, columns=header.columns, faults=header.faults, added=header.added
    )
    if header.place is not None:
        table.header_row = sheet.numbers[header.place]
    if header.place is not None and table.usable:
        _Reader(sheet, table, header, columns, numbered, id_required=id_required).read()
    return table


class _Reader:
    """Reads the rows below a header into a table."""

    def __init__(
        self,
        sheet: Sheet,
        table: Table,
        header: Header,
        columns: Sequence[ColumnSpec],
        numbered: frozenset[str],
        *,
        id_required: bool,
    ) -> None:
        specs = {spec.name: spec for spec in columns}
        self._sheet, self._table, self._header = sheet, table, header
        self._id_required = id_required
        self._names = list(header.columns)
        self._indices = [column.index for column in header.columns.values()]
        kinds = [specs[base_name(name, numbered) if name not in specs else name] for name in self._names]
        self._kinds = [spec.kind for spec in kinds]
        self._required = [place for place, spec in enumerate(kinds) if spec.required and spec.kind != "id"]
        self._id_place = self._kinds.index("id") if "id" in self._kinds else None
        self._checks = [
            (place, _CHECKS[kind], {"": ""}) for place, kind in enumerate(self._kinds) if kind in _CHECKS
        ]
        self._first: dict[str, int] = {}
        self._doubles: dict[str, list[int]] = {}
        self._ids: dict[int, str] = {}
        self._ignored = 0

    def read(self) -> None:
        """Fill the table."""
        assert self._header.place is not None
        sheet, names, width = self._sheet, self._names, max(self._indices) + 1
        pick = itemgetter(*self._indices, self._indices[0])  # twice the first: always a tuple
        header_width = self._header.width
        order = self._table.order
        told = self._header.added.get("version")
        first = self._header.place + 1
        for number, cells in zip(sheet.numbers[first:], sheet.rows[first:], strict=True):
            if len(cells) < width:
                cells = cells + [""] * (width - len(cells))
            picked = list(pick(cells)[:-1])
            if number in sheet.marks or (len(cells) > header_width and sheet.kind == "csv"):
                sound = self._check_marked(number, cells, picked)
            elif any(picked):
                sound = self._check(number, picked)
            else:
                self._ignored += 1
                continue
            if sound is None:
                continue
            row = Row(number, self._ids.get(number, ""), dict(compress(zip(names, picked), picked)))  # noqa: B905
            order.append(row if sound else None)
            if told is not None and told.index < len(cells):
                self._table.versions[number] = cells[told.index]
            if not sound:
                self._table.rejected_rows[number] = row.id or None
        self._reject_doubles()
        self._finish()

    def _check(self, number: int, picked: list[str], troubled: frozenset[int] = frozenset()) -> bool:
        """Check a row's values, in place; `troubled` cells have a fault already."""
        faults = len(self._table.faults)
        for place, check, known in self._checks:
            raw = picked[place]
            value = known.get(raw)
            if value is None and place not in troubled:
                value = self._convert(number, place, raw, check, known)
            if value is not None:
                picked[place] = value
        for place in self._required:
            if not picked[place] and place not in troubled:
                self._fault(number, place, Problem("E_CELL_REQUIRED", "is empty and required", "fill it in"))
        if self._id_place is not None and self._id_place not in troubled:
            self._check_id(number, picked[self._id_place])
        return len(self._table.faults) == faults

    def _convert(
        self, number: int, place: int, raw: str, check: Callable[[str], str | Problem], known: dict[str, str]
    ) -> str | None:
        value = check(raw)
        if isinstance(value, Problem):
            self._fault(number, place, value)
            return None
        known[raw] = value
        return value

    def _check_id(self, number: int, text: str) -> None:
        assert self._id_place is not None
        if not text:
            if self._id_required:
                problem = Problem(
                    "E_ROW_ID_BLANK", "the id is empty, other cells are filled", "give the row an id"
                )
                self._fault(number, self._id_place, problem)
            return
        problem_found = id_problem(text)
        if problem_found is not None:
            self._fault(number, self._id_place, problem_found)
            return
        self._ids[number] = text
        key = id_key(text)
        first = self._first.setdefault(key, number)
        if first != number:
            self._doubles.setdefault(key, [first]).append(number)

    def _check_marked(self, number: int, cells: list[str], picked: list[str]) -> bool | None:
        """Check a row that has troubled cells or too many fields; None if nobody reads those or any other."""
        before = len(self._table.faults)
        troubled: set[int] = set()
        for mark in self._sheet.marks.get(number, ()):
            if mark.column in self._indices:
                place = self._indices.index(mark.column)
                if mark.code != "E_CELL_SHOWN" or self._kinds[place] in ("id", "text"):
                    troubled.add(place)
                    self._mark_fault(number, place, mark)
        self._check_fields(number, cells)
        if not troubled and not any(picked) and len(self._table.faults) == before:
            self._ignored += 1
            return None
        self._check(number, picked, frozenset(troubled))
        return len(self._table.faults) == before

    def _check_fields(self, number: int, cells: list[str]) -> None:
        width = self._header.width
        if self._sheet.kind == "csv" and any(cells[width:]):
            extra = next(index for index in range(width, len(cells)) if cells[index])
            message = (
                f"the row has {len(cells)} fields, the header {width}; {shown(cells[extra])} is too many"
            )
            fix = "put a field that holds a separator in double quotes"
            self._add(number, column_letter(extra), None, Problem("E_ROW_FIELDS", message, fix))

    def _reject_doubles(self) -> None:
        doubled = {number: rows for rows in self._doubles.values() for number in rows}
        if not doubled:
            return
        assert self._id_place is not None
        for number, rows in sorted(doubled.items()):
            others = [other for other in rows[: _ROWS_NAMED + 1] if other != number][:_ROWS_NAMED]
            named = ", ".join(f"row {other} ({shown(self._ids[other])})" for other in others)
            rest = len(rows) - 1 - len(others)
            more = f" and {rest:,} more" if rest else ""
            message = f"the id {shown(self._ids[number])} is also in {named}{more}"
            problem = Problem(
                "E_ROW_ID_DUP", message, "give each row its own id; none of these rows was used"
            )
            self._fault(number, self._id_place, problem)
            self._table.rejected_rows[number] = self._ids[number]
        order = self._table.order
        order[:] = [None if row is not None and row.number in doubled else row for row in order]

    def _finish(self) -> None:
        table = self._table
        table.rows = [row for row in table.order if row is not None]
        table.rejected_rows = dict(sorted(table.rejected_rows.items()))
        if self._ignored:
            message = f"{self._ignored:,} rows have text only in columns that nobody reads; they were skipped"
            table.faults.append(
                Fault(
                    file=table.file, sheet=table.name, code="I_ROWS_IGNORED", message=message, severity="info"
                )
            )
        table.faults.sort(key=lambda fault: fault.row or 0)

    def _mark_fault(self, number: int, place: int, mark: Mark) -> None:
        message, fix = CELL_MESSAGES[mark.code]
        self._fault(number, place, Problem(mark.code, message.format(visible(mark.detail)), fix))

    def _fault(self, number: int, place: int, problem: Problem) -> None:
        column = self._table.columns[self._names[place]]
        self._add(number, column.letter, column.header, problem)

    def _add(self, number: int, letter: str, header: str | None, problem: Problem) -> None:
        self._table.faults.append(
            Fault(
                file=self._table.file,
                sheet=self._table.name,
                row=number,
                column=letter,
                header=header,
                code=problem.code,
                message=problem.message,
                fix=problem.fix,
            )
        )
