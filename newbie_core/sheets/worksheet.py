"""One worksheet's XML to rows of text, in a single streaming pass.

The pass works on `<c r="B7" t="s" s="2"><v>12</v></c>`; it is the hot loop of the room, so the
handlers are closures over plain lists, and every text and number is converted once and remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from newbie_core.sheets.empty_rows import EmptyRows, Skip
from newbie_core.sheets.full_rows import SHORTEST_BYTES, first_beyond
from newbie_core.sheets.package import Package, check_troubled, damaged, refuse
from newbie_core.sheets.shared import NAMESPACES, Book, Read
from newbie_core.sheets.text import clean, unescape
from newbie_core.sheets.workbook import HEADER_DEPTH, Limits, column_letter

GRID_ROWS, GRID_COLUMNS = 1_048_576, 16_384
_ADDRESS = re.compile(r"\$?([A-Z]+)\$?([0-9]+)")
_ERRORS = re.compile(r"#[A-Z0-9/_]{1,30}[!?]?")


@dataclass(slots=True, kw_only=True)
class Grid:
    """One sheet's cells: filled rows, their numbers, marks by row, merged ranges and what is hidden."""

    numbers: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    marks: dict[int, list[tuple[int, str, str]]] = field(default_factory=dict)
    merges: list[str] = field(default_factory=list)
    hidden_rows: int = 0
    hidden_columns: int = 0
    empty_rows: int = 0


def read_worksheet(package: Package, part: str, sheet: str, book: Book) -> Grid:
    """The cells of the worksheet stored as `part`.

    Raises:
        SheetError: a cell is outside the limits or the grid, or the XML is not a worksheet.
    """
    _refuse_too_many(package, part, sheet, book)
    grid = Grid()
    # Without expat's namespaces the pass is a fifth faster; the root says which prefix is ours.
    parser = package.new_parser(part, namespaces=False)
    parts: list[str] = []
    prefix = ""
    skip: Skip = never

    def open_root(tag: str, attributes: dict[str, str]) -> None:
        nonlocal prefix
        before, colon, name = tag.rpartition(":")
        prefix = before + colon
        if attributes.get(f"xmlns:{before}" if before else "xmlns") not in NAMESPACES or name != "worksheet":
            damaged("the sheet's XML is not a worksheet", sheet=sheet)
        parser.StartElementHandler = outside

    def outside(tag: str, attributes: dict[str, str]) -> None:
        nonlocal skip
        if tag == f"{prefix}sheetData":
            start, end, skip = _cell_handlers(prefix, parts, grid, sheet, book, leave)
            parser.StartElementHandler, parser.EndElementHandler = start, end
            parser.CharacterDataHandler = parts.append
        elif tag == f"{prefix}mergeCell":
            grid.merges.append(attributes.get("ref", ""))
        elif tag == f"{prefix}col" and attributes.get("hidden") in ("1", "true"):
            grid.hidden_columns += _column_span(attributes, sheet)

    def leave() -> None:
        nonlocal skip
        skip = never
        parser.StartElementHandler, parser.EndElementHandler = outside, None
        parser.CharacterDataHandler = None

    def bound_text() -> None:
        # A text far over the limit is a fault of its cell; its tail need not be kept to say so.
        if sum(map(len, parts)) > 4 * book.limits.text:
            parts[:] = ["".join(parts)[: 2 * book.limits.text + 2]]

    parser.StartElementHandler = open_root
    empty = EmptyRows(lambda first, last: skip(first, last))
    package.parse(part, parser, bound_text, pieces=empty.pieces)
    return grid


def never(first: int, last: int) -> bool:
    """No rows can be passed over outside `<sheetData>`."""
    return False


Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]


def _cell_handlers(
    prefix: str, parts: list[str], grid: Grid, sheet: str, book: Book, leave: Callable[[], None]
) -> tuple[Start, End, Skip]:
    """Expat's handlers inside `<sheetData>`, and what passes over empty rows; they fill `grid` and call `leave` at its end.

    `parts` collects character data; it is emptied at each `<v>` and `<t>`, so that what stands
    between tags counts for nothing.
    """
    names = [prefix + name for name in ("c", "v", "t", "f", "rPh", "row", "sheetData")]
    cell, value, text_run, formula_tag, phonetic_tag, row_tag, data = names
    texts = frozenset((value, text_run))
    others = frozenset((formula_tag, phonetic_tag, row_tag, data))
    limits, plain, numbers = book.limits, book.plain_styles, book.numbers
    columns = {column_letter(index): index for index in range(limits.columns)}
    string_of = {str(index): read[0] for index, read in enumerate(book.strings) if not read[1]}.get
    column_of, number_of, marks = columns.get, numbers.get, grid.marks
    forget = parts.clear
    longest = limits.text

    row: list[str] = []
    row_number, row_text, column = 0, "", -1
    kind: str | None = None
    style: str | None = None
    raw = ""
    formula = phonetic = valued = False
    between = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal column, kind, style, formula, valued, raw
        if tag == cell:
            reference = attributes.get("r")
            if reference is None:
                column += 1
            else:
                column = column_of(reference.removesuffix(row_text), -2)
            if column == -2 or not row_number:
                column = _column_of(reference or "", row_number, sheet)
            kind = attributes.get("t")
            style = attributes.get("s")
            raw = ""
            formula = valued = False
        elif tag in texts:
            forget()
        elif tag in others:
            start_other(tag, attributes)

    def start_other(tag: str, attributes: dict[str, str]) -> None:
        nonlocal column, formula, phonetic, row, row_number, row_text, between
        if tag == row_tag:
            reference, row_text = attributes.get("r"), str(row_number + 1)
            if reference == row_text and row_number < GRID_ROWS:
                row_number += 1
            else:
                row_number = _row_number(reference, row_number, sheet)
                row_text = str(row_number)
            row, column, between = [], -1, False
            if "hidden" in attributes and attributes["hidden"] in ("1", "true"):
                grid.hidden_rows += 1
        elif tag == formula_tag:
            formula = True
        elif tag == phonetic_tag:
            phonetic = True

    def end(tag: str) -> None:
        nonlocal raw, valued, phonetic, between
        if tag in texts:
            if not phonetic:
                valued = True
                if len(parts) == 1:
                    raw += parts[0]
                else:
                    raw += "".join(parts)
        elif tag == cell:
            text: str | None = None
            if kind == "s":
                text = string_of(raw)
            elif kind is None or kind == "n":
                if not raw and not formula:
                    return
                text = number_of(raw) if style in plain else None
            elif kind == "inlineStr" and raw.isprintable() and "_x" not in raw and len(raw) <= longest:
                text = raw.strip()
            if text is None:
                text = read_slowly()
            if text:
                place(text)
        elif tag in others:
            if tag == row_tag:
                between = True
                if row or row_number in marks:
                    finish_row()
                else:
                    grid.empty_rows += 1
            elif tag == phonetic_tag:
                phonetic = False
            elif tag == data:
                leave()

    def read_slowly() -> str:
        text, code, detail = _read(raw, kind, style, formula, valued, book)
        if code:
            grid.marks.setdefault(row_number, []).append((column, code, detail))
        elif style in plain and kind in (None, "n"):
            numbers[raw] = text
        return text

    def place(text: str) -> None:
        gap = column - len(row)
        if column >= limits.columns:
            _refuse_far(column, row_number, len(grid.rows), limits, sheet)
        if gap:
            if gap < 0:
                damaged(
                    f"cell {column_letter(column)}{row_number} is there twice or out of order", sheet=sheet
                )
            row.extend([""] * gap)
        row.append(text)

    def finish_row() -> None:
        if row_number > limits.rows + HEADER_DEPTH:
            _refuse_far(max(0, len(row) - 1), row_number, len(grid.rows), limits, sheet)
        for far, _, _ in grid.marks.get(row_number, ()):
            if far >= limits.columns:
                _refuse_far(far, row_number, len(grid.rows), limits, sheet)
        grid.numbers.append(row_number)
        grid.rows.append(row)
        book.troubled += len(grid.marks.get(row_number, ()))
        check_troubled(book.troubled, limits)
        book.cells += len(row)
        if book.cells > limits.cells_per_file:
            refuse(
                "E_FILE_CELLS",
                f"the file has more than {limits.cells_per_file:,} cells",
                "split the file",
            )

    def skip(first: int, last: int) -> bool:
        nonlocal row_number
        if not between or prefix or first != row_number + 1 or last > GRID_ROWS:
            return False
        grid.empty_rows += last - row_number
        row_number = last
        return True

    return start, end, skip


def _read(raw: str, kind: str | None, style: str | None, formula: bool, valued: bool, book: Book) -> Read:
    """A cell's text, by the type it is stored as."""
    if formula and not raw and not (kind == "str" and valued):
        return "", "E_CELL_FORMULA", ""
    if kind is None or kind == "n":
        return book.number(raw.strip(), style)
    if kind == "s":
        known = raw.strip().isdecimal() and len(raw) < 10 and int(raw) < len(book.strings)
        return book.strings[int(raw)] if known else ("", "E_CELL_BROKEN", "its shared text is missing")
    if kind in ("str", "inlineStr"):
        return book.text(unescape(raw))
    if kind == "b" and raw.strip() in ("0", "1", "true", "false"):
        return ("TRUE" if raw.strip() in ("1", "true") else "FALSE"), "", ""
    if kind == "e":
        return "", "E_CELL_ERROR", raw if _ERRORS.fullmatch(raw) else "value"
    if kind == "d":
        return "", "E_CELL_DATE", clean(raw)[:40]
    return "", "E_CELL_BROKEN", "it has a type that Excel does not write"


def _row_number(reference: str | None, last: int, sheet: str) -> int:
    number = last + 1
    if reference is not None:
        if not (reference.isascii() and reference.isdigit()):
            damaged(f"row {last + 1} has a number that is none", sheet=sheet)
        number = int(reference[:12])
    if not 1 <= number <= GRID_ROWS:
        _refuse_grid(f"row {reference if reference is not None else number}"[:40], sheet)
    if number <= last:
        damaged(f"row {number} is there twice or out of order", sheet=sheet)
    return number


def _column_of(reference: str, row_number: int, sheet: str) -> int:
    """A cell's column from its address, where the quick way did not find it."""
    found = _ADDRESS.fullmatch(reference)
    if found is None or row_number == 0:
        damaged(
            f'a cell has the address "{reference[:20]}"' if reference else "a cell is in no row", sheet=sheet
        )
    letters, number = found.groups()
    index = 0
    for letter in letters[:5]:
        index = index * 26 + ord(letter) - 64
    if len(letters) > 3 or index > GRID_COLUMNS or len(number) > 7 or not 1 <= int(number) <= GRID_ROWS:
        _refuse_grid(f"cell {reference[:20]}", sheet)
    if int(number) != row_number:
        damaged(f"cell {reference} is stored in row {row_number}", sheet=sheet)
    return index - 1


def _column_span(attributes: dict[str, str], sheet: str) -> int:
    first, last = attributes.get("min", ""), attributes.get("max", "")
    if not (first.isdecimal() and last.isdecimal() and len(first) < 6 and len(last) < 6):
        damaged("a column's width has no place", sheet=sheet)
    return max(0, int(last) - int(first) + 1)


def _refuse_too_many(package: Package, part: str, sheet: str, book: Book) -> None:
    limits = book.limits
    if package.size(part) > limits.rows * SHORTEST_BYTES:
        texts = all(text for text, _, _ in book.strings)
        last = limits.rows + HEADER_DEPTH
        beyond = first_beyond(package.chunks(part), limits.rows, last, texts=texts)
        if beyond is not None:
            _refuse_far(0, beyond, limits.rows, limits, sheet)


def _refuse_grid(what: str, sheet: str) -> NoReturn:
    refuse(
        "E_SHEET_GRID",
        f"uses {what}, outside Excel's grid of {GRID_COLUMNS:,} columns and {GRID_ROWS:,} rows",
        "save the sheet anew from Excel",
        sheet=sheet,
    )


def _refuse_far(column: int, row_number: int, filled: int, limits: Limits, sheet: str) -> NoReturn:
    if filled >= limits.rows:
        refuse(
            "E_SHEET_ROWS",
            f"has content in row {row_number:,}, more than {limits.rows:,} rows",
            'split the sheet, or raise the limit "rows" (in [limits] of catalog.toml)',
            sheet=sheet,
        )
    refuse(
        "E_SHEET_FAR_CELL",
        f"uses cell {column_letter(column)}{row_number}, outside {limits.rows} x {limits.columns}",
        "delete stray cells (Ctrl+End shows them), "
        'or raise the limit "rows" or "columns" (in [limits] of catalog.toml)',
        sheet=sheet,
    )
