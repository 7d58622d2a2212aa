"""Find the header row of a sheet, and which column is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from newbie_core.errors import Fault
from newbie_core.sheets.columns import ColumnNames, ColumnSpec, added_name
from newbie_core.sheets.text import shown, visible
from newbie_core.sheets.workbook import HEADER_DEPTH, Sheet, column_letter

_FEWEST_KNOWN = 2
_CELLS_SHOWN = 6
_HEADER_SHOWN = 60
_HEADERS_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that was found: its name here, its letter in Excel, and its header as messages show it."""

    name: str
    letter: str
    header: str
    index: int


@dataclass(slots=True, kw_only=True)
class Header:
    """The header row's place in `Sheet.rows` and the columns it names; `place` is None if there is none.

    `added` are columns that write-back has added to a copy, which is now read.
    """

    place: int | None = None
    width: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    added: dict[str, Column] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def find_header(
    sheet: Sheet, columns: Sequence[ColumnSpec], numbered: frozenset[str], *, id_required: bool
) -> Header:
    """The header among the first filled rows: the first with an id column, else with two known ones."""
    names = ColumnNames(columns, numbered)
    ids = {spec.name for spec in columns if spec.kind == "id"}
    meanings = [[names.meaning(cell) for cell in row] for row in sheet.rows[:HEADER_DEPTH]]
    place = next((place for place, row in enumerate(meanings) if ids.intersection(row)), None)
    if place is None:
        known = (place for place, row in enumerate(meanings) if len({*row} - {None}) >= _FEWEST_KNOWN)
        place = next(known, None)
    if place is None:
        return Header(faults=[_no_header(sheet, columns, id_required=id_required)])
    header = Header(place=place, width=len(sheet.rows[place]))
    _name_columns(sheet, header, meanings[place], names)
    _check_required(sheet, header, columns, id_required=id_required)
    return header


def _name_columns(sheet: Sheet, header: Header, meanings: list[str | None], names: ColumnNames) -> None:
    assert header.place is not None
    row, number = sheet.rows[header.place], sheet.numbers[header.place]
    for index, (cell, name) in enumerate(zip(row, meanings, strict=True)):
        if not cell:
            continue
        written = visible(cell[:_HEADER_SHOWN])
        column = Column(name=name or "", letter=column_letter(index), header=written, index=index)
        if (added := added_name(cell)) is not None:
            header.added.setdefault(added, column)
        elif name is None:
            header.faults.append(_unknown(sheet, number, column, names.close_to(cell)))
        elif name in header.columns:
            header.faults.append(_doubled(sheet, number, header.columns[name], column))
        else:
            header.columns[name] = column
    header.faults += _headless(sheet, header)


def _check_required(
    sheet: Sheet, header: Header, columns: Sequence[ColumnSpec], *, id_required: bool
) -> None:
    assert header.place is not None
    found = ", ".join([shown(cell) for cell in sheet.rows[header.place] if cell][:_HEADERS_SHOWN])
    for spec in columns:
        if spec.name not in header.columns and (spec.required or (spec.kind == "id" and id_required)):
            header.faults.append(
                Fault(
                    file=sheet.file,
                    sheet=sheet.name,
                    row=sheet.numbers[header.place],
                    header=spec.name,
                    code="E_SHEET_COLUMN_MISSING",
                    message=f"the column is missing; the headers are {found}",
                    fix=f'add a column "{spec.name}"',
                    severity="file",
                )
            )


def _no_header(sheet: Sheet, columns: Sequence[ColumnSpec], *, id_required: bool) -> Fault:
    first = [shown(cell) for row in sheet.rows[:1] for cell in row if cell][:_CELLS_SHOWN]
    what = f"row {sheet.numbers[0]} begins with {', '.join(first)}" if first else "the sheet is empty"
    wanted = 'a column "id"' if id_required else "two known columns"
    known = ", ".join(spec.name for spec in columns[:_CELLS_SHOWN])
    return Fault(
        file=sheet.file,
        sheet=sheet.name,
        code="E_SHEET_HEADER",
        message=f"no header row: the first {HEADER_DEPTH} filled rows have none with {wanted}; {what}",
        fix=f"put the column names ({known} ...) in the first row",
        severity="file",
    )


def _doubled(sheet: Sheet, number: int, first: Column, second: Column) -> Fault:
    return Fault(
        file=sheet.file,
        sheet=sheet.name,
        row=number,
        column=second.letter,
        header=second.header,
        code="E_SHEET_COLUMN_DUP",
        message=f"columns {first.letter} ({shown(first.header)}) and {second.letter}"
        f' ({shown(second.header)}) both mean "{first.name}"',
        fix="remove or rename one of them",
        severity="file",
    )


def _unknown(sheet: Sheet, number: int, column: Column, close: str | None) -> Fault:
    return Fault(
        file=sheet.file,
        sheet=sheet.name,
        row=number,
        column=column.letter,
        header=column.header,
        code="W_COLUMN_CLOSE" if close else "I_COLUMN_UNKNOWN",
        message="the column is not known and was ignored",
        fix=f'did you mean "{close}"?' if close else "",
        severity="warning" if close else "info",
    )


def _headless(sheet: Sheet, header: Header) -> list[Fault]:
    """A warning for each column that has cells below the header row and no header."""
    assert header.place is not None
    row, number = sheet.rows[header.place], sheet.numbers[header.place]
    width = max(map(len, sheet.rows[header.place :]))
    # A CSV row's fields beyond its header are faults of the row, not a column.
    last = width if sheet.kind == "xlsx" else len(row)
    headless = {index for index in range(last) if index >= len(row) or not row[index]}
    if not headless:
        return []
    filled: dict[int, int] = {}
    for below, cells in zip(sheet.numbers[header.place + 1 :], sheet.rows[header.place + 1 :], strict=True):
        for index in headless:
            if index < len(cells) and cells[index] and index not in filled:
                filled[index] = below
    return [
        Fault(
            file=sheet.file,
            sheet=sheet.name,
            row=number,
            column=column_letter(index),
            code="W_COLUMN_NO_HEADER",
            message=f"the column has no header but has text in row {below}; it was ignored",
            fix="give it a header, or delete it",
            severity="warning",
        )
        for index, below in sorted(filled.items())
    ]
