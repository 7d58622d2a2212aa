"""A workbook as read: its sheets, their cells as text, and the cells that have trouble."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from newbie_core.errors import Fault, SheetError
from newbie_core.sheets.text import shown

HEADER_DEPTH = 10
"""How many filled rows from the top may come before, or be, the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a workbook may be. Rows and columns are of one sheet; bytes are bytes.

    `rows` and `csv_rows` count rows below the header; `text` is characters in one cell;
    `cells_per_file` counts cells between the first column and the last filled one of each row;
    `text_per_file` is characters in all cells, a shared text counted each time;
    `troubled_cells` is how many cells may have a fault before the file is given up;
    `unpacked_bytes` and `ratio` bound what a zipped part may expand to.
    """

    file_bytes: int = 64 << 20
    rows: int = 20_000
    csv_rows: int = 200_000
    columns: int = 256
    cells_per_file: int = 4_000_000
    text_per_file: int = 64_000_000
    troubled_cells: int = 500_000
    text: int = 32_767
    unpacked_bytes: int = 256 << 20
    ratio: int = 200
    parts: int = 2_000


class Mark(NamedTuple):
    """Trouble with one cell: its column (from 0), its code and what a message says of it."""

    column: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One sheet: `rows[i]` holds the text of row `numbers[i]` from column A to its last filled cell.

    Rows without any text are left out. `marks` gives the troubled cells by row number; the text of
    such a cell is empty, or what could be read of it.
    """

    name: str
    file: str
    kind: Literal["xlsx", "csv"]
    numbers: list[int]
    rows: list[list[str]]
    marks: dict[int, list[Mark]]
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbook:
    """A workbook or CSV file: its sheets in order, and what is worth saying about the file.

    `digest` is the sha256 of the file's bytes; `encoding` is a CSV file's, None for a workbook;
    `faults` are warnings and information only, since a file that cannot be used raises; `author` is who
    saved a workbook last, as it says itself.
    """

    file: str
    digest: str
    encoding: str | None
    sheets: tuple[Sheet, ...]
    faults: tuple[Fault, ...]
    author: str = ""

    def sheet(self, name: str) -> Sheet:
        """The sheet of that name, whatever its case.

        Raises:
            SheetError: there is none; the message lists the sheets found.
        """
        for sheet in self.sheets:
            if sheet.name.strip().casefold() == name.strip().casefold():
                return sheet
        found = ", ".join(shown(sheet.name) for sheet in self.sheets) or "none"
        raise SheetError(
            faults=[
                Fault(
                    file=self.file,
                    code="E_SHEET_MISSING",
                    message=f"there is no sheet {shown(name)}; the sheets are {found}",
                    fix="rename the sheet, or name another in the catalog",
                    severity="file",
                )
            ]
        )


def column_letter(index: int) -> str:
    """Excel's name of a column counted from 0: `A`, `Z`, `AA`."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


@contextmanager
def collecting_paused() -> Iterator[None]:
    """No garbage collection while a million cells arrive: they hold no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
