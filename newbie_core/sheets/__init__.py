"""Read a workbook; name every fault by sheet, row and column.

    from pathlib import Path

    workbook = read_workbook(Path("cast.xlsx"))         # raises SheetError if the file is no use
    table = read_table(workbook.sheet("characters"), CORE_COLUMNS)
    for fault in (*workbook.faults, *table.faults):     # one line each, with row and column
        print(fault)
    for row in table.rows:
        row.id, row.values["appearance"], table.address(row, "appearance")

The bytes of a file are only ever parsed in a limited child process (`child`). A cell arrives as
text, by one rule for workbooks and CSV files: `text` says what is trimmed, `formats` what a number
becomes, `codes` every fault there is.
"""

from newbie_core.sheets.codes import CODES
from newbie_core.sheets.columns import CORE_COLUMNS, ColumnSpec, header_key
from newbie_core.sheets.headers import Column
from newbie_core.sheets.reading import READER_VERSION, SnapshotCache, read_workbook
from newbie_core.sheets.starter import write_starter
from newbie_core.sheets.tables import Row, Table, quoted_sheet_name, read_table
from newbie_core.sheets.workbook import Limits, Mark, Sheet, Workbook

__all__ = [
    "CODES",
    "CORE_COLUMNS",
    "READER_VERSION",
    "Column",
    "ColumnSpec",
    "Limits",
    "Mark",
    "Row",
    "Sheet",
    "SnapshotCache",
    "Table",
    "Workbook",
    "header_key",
    "quoted_sheet_name",
    "read_table",
    "read_workbook",
    "write_starter",
]
