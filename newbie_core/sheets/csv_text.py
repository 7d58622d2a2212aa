"""A CSV file's bytes to one sheet of text, strictly: no quote is mended, no field is lost.

Rows are numbered as Excel shows them: one a record, blank ones too, so that the header is row 1.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from newbie_core.errors import Fault
from newbie_core.sheets.encodings import decode
from newbie_core.sheets.package import check_troubled, refuse
from newbie_core.sheets.shared import text_cell
from newbie_core.sheets.workbook import HEADER_DEPTH, Limits, column_letter

_SEPARATORS = ",;\t"
_QUOTED = re.compile(r'"[^"]*"')
_EXCEL_HINT = re.compile("sep=([,;\t])\r?\n?", re.IGNORECASE)
# What a plain `str.strip` would not treat as `clean` does, as UTF-8 bytes: C0 but line ends and
# tab, DEL; then the lead bytes of C1 and of U+FFFE, U+FFFF.
_CONTROL_BYTES = bytes(sorted({*range(32), 127} - set(b"\t\n\r")))
_LATER_CONTROLS = re.compile(b"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbf[\xbe\xbf]")

Marks = list[tuple[int, str, str]]


def read_csv(data: bytes, limits: Limits, encoding: str | None, *, tabs: bool) -> dict[str, Any]:
    """The answer to the parent process: one sheet without a name, and the encoding used.

    Raises:
        SheetError: the encoding, a quote or a limit stops the file.
    """
    text, used, guessed = decode(data, encoding)
    separator, skipped = separator_of(text, tabs=tabs)
    text = text[skipped:]
    if not text.strip():
        refuse("E_FILE_EMPTY", "the file is empty", "upload it again")
    sheet = _sheet(text, separator, limits)
    faults = []
    if guessed:
        message = f'the file has no mark and was read as {used}; set encoding = "{used}" to be sure'
        faults.append(Fault(file="", code="I_FILE_ENCODING", message=message, severity="info").record())
    return {"sheets": [sheet], "faults": faults, "encoding": used}


def separator_of(text: str, *, tabs: bool) -> tuple[str, int]:
    """The separator of a CSV text, and how many characters Excel's own hint on it takes at the start."""
    if hint := _EXCEL_HINT.match(text):
        return hint.group(1), hint.end()
    return _sniff(text, "\t" if tabs else ","), 0


def _sniff(text: str, default: str) -> str:
    """The separator that the first line with any holds most of, outside quotes."""
    for line in text[: 1 << 16].splitlines()[:HEADER_DEPTH]:
        bare = _QUOTED.sub("", line)
        most = max(map(bare.count, _SEPARATORS))
        if most:
            best = [one for one in _SEPARATORS if bare.count(one) == most]
            return default if default in best else best[0]
    return default


def _sheet(text: str, separator: str, limits: Limits) -> dict[str, Any]:
    numbers: list[int] = []
    rows: list[list[str]] = []
    marks: list[tuple[int, Marks]] = []
    cells = troubled = 0
    careful = _needs_care(text, separator)
    for number, record, many_lines in _records(text, separator):
        if careful or many_lines:
            row, marked = _careful_row(record, limits)
        else:
            row, marked = [field.strip() for field in record], []
        if not any(row) and not marked:
            continue
        if marked:
            marks.append((number, marked))
            troubled += len(marked)
            check_troubled(troubled, limits)
        numbers.append(number)
        rows.append(row)
        cells += len(row)
        _check_size(number, row, len(rows), cells, limits)
    return {"name": "", "hidden": False, "numbers": numbers, "rows": rows, "marks": marks}


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str], bool]]:
    """Each record with its number and whether it spans lines (or may hold a long field)."""
    # Of the whole process, so never less than it was.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number, line = 0, 0
    try:
        for number, record in enumerate(reader, start=1):
            yield number, record, reader.line_num > line + 1
            line = reader.line_num
    except csv.Error as error:
        what = "is never closed" if "end of data" in str(error) else "is closed before the field ends"
        refuse(
            "E_FILE_QUOTE",
            f"line {line + 1}: a quote in the record that begins here {what} (at line {reader.line_num})",
            'write a quote inside a quoted field as two quotes ("")',
        )


def _needs_care(text: str, separator: str) -> bool:
    """Whether any field may need more than trimming: control characters, tabs, a very long line."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw.translate(None, _CONTROL_BYTES)) < len(raw) or (
        b"\xed" in raw and re.search(b"\xed[\xa0-\xbf]", raw)
    ):
        return True
    if _LATER_CONTROLS.search(raw) or ("\t" in text and (separator != "\t" or '"' in text)):
        return True
    return max(map(len, raw.split(b"\n"))) > 1 << 15


def _careful_row(record: list[str], limits: Limits) -> tuple[list[str], Marks]:
    row: list[str] = []
    marked: Marks = []
    for column, field in enumerate(record):
        text, code, detail = text_cell(field, limits)
        if code:
            marked.append((column, code, detail))
        row.append(text)
    return row, marked


def _check_size(number: int, row: list[str], filled: int, cells: int, limits: Limits) -> None:
    if filled > limits.csv_rows + HEADER_DEPTH:
        refuse(
            "E_SHEET_ROWS",
            f"has content in row {number:,}, more than {limits.csv_rows:,} rows",
            'split the file, or raise the limit "rows" (in [limits] of catalog.toml)',
        )
    if len(row) > limits.columns and any(row[limits.columns :]):
        far = max(index for index, text in enumerate(row) if text)
        refuse(
            "E_SHEET_FAR_CELL",
            f"uses cell {column_letter(far)}{number}, outside {limits.csv_rows} x {limits.columns}",
            'delete stray cells, or raise the limit "columns" (in [limits] of catalog.toml)',
        )
    if cells > limits.cells_per_file:
        refuse(
            "E_FILE_CELLS",
            f"the file has more than {limits.cells_per_file:,} cells",
            "split the file",
        )
