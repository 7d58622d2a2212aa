"""Every code a sheet's fault can carry, and what to say about a bad cell.

`E_` codes stop a file or reject a row, `W_` codes warn, `I_` codes inform. A cell fault's message
comes from `CELL_MESSAGES`, so that the same trouble reads the same in every sheet.
"""

from __future__ import annotations

from types import MappingProxyType

CODES = MappingProxyType(
    {
        # the file as a whole
        "E_FILE_MISSING": "there is no such file",
        "E_FILE_UNREADABLE": "the file cannot be opened, or is not a plain file",
        "E_FILE_CHANGED": "the file changed while it was read",
        "E_FILE_SIZE": "the file is larger than `file_bytes`",
        "E_FILE_EMPTY": "the file has no bytes, or no text",
        "E_FILE_KIND": "the file is something else than its name says",
        "E_FILE_ENCRYPTED": "the workbook is password protected",
        "E_FILE_DAMAGED": "the workbook is cut, torn or not what Excel writes",
        "E_FILE_BOMB": "a part of the workbook expands to more than `unpacked_bytes` or `ratio` allow",
        "E_FILE_PARTS": "the workbook has more than `parts` parts, or one part twice",
        "E_FILE_DTD": "an XML part declares a DTD or entities",
        "E_FILE_LIMIT": "reading needed more memory or time than a sheet may use",
        "E_FILE_CELLS": "the file has more than `cells_per_file` cells",
        "E_FILE_ENCODING": "a CSV file's character encoding cannot be told, or is not what was set",
        "E_FILE_BYTE": "a CSV file has a byte that is not of its encoding",
        "E_FILE_QUOTE": "a CSV file has a quote that is never closed, or text after a closed one",
        # one sheet
        "E_SHEET_ROWS": "more rows of content than `rows` (or `csv_rows`)",
        "E_SHEET_FAR_CELL": "a stray cell far outside `rows` x `columns`",
        "E_SHEET_GRID": "a cell address outside Excel's grid",
        "E_SHEET_MISSING": "no sheet of that name",
        "E_SHEET_HEADER": "no header row was found",
        "E_SHEET_COLUMN_MISSING": "a required column is not there",
        "E_SHEET_COLUMN_DUP": "two columns mean the same",
        # one row
        "E_ROW_ID_BLANK": "other cells are filled, the id is not",
        "E_ROW_ID_BAD": "the id has a character or shape that ids may not have",
        "E_ROW_ID_DUP": "another row has the same id",
        "E_ROW_FIELDS": "a CSV row has more fields than the header",
        # one cell
        "E_CELL_REQUIRED": "a required cell is empty",
        "E_CELL_INTEGER": "not a whole number from 0 to 2^63-1",
        "E_CELL_FLAG": "not a yes or a no",
        "E_CELL_DATE": "a date or time",
        "E_CELL_SHOWN": "a number shown with other digits than it has, in an id or text column",
        "E_CELL_NUMBER_LONG": "a number too long for Excel to keep",
        "E_CELL_ERROR": "an error value such as #N/A",
        "E_CELL_FORMULA": "a formula that was never computed",
        "E_CELL_LENGTH": "longer than `text` characters",
        "E_CELL_CHARACTER": "a control character, half a surrogate pair, U+FFFE or U+FFFF",
        "E_CELL_MERGED": "blank because it is merged with another cell",
        "E_CELL_BROKEN": "not a value that Excel writes",
        # nothing is rejected
        "W_FILE_MACROS": "the workbook holds macros, which are never run",
        "W_FILE_LINKS": "the workbook links to other files, which are never opened",
        "W_COLUMN_CLOSE": "an ignored column is named almost like a known one",
        "W_COLUMN_NO_HEADER": "a column has cells and no header",
        "I_COLUMN_UNKNOWN": "a column that nobody reads",
        "I_FILE_ENCODING": "the encoding found in a CSV file without a mark",
        "I_SHEET_HIDDEN": "a hidden sheet was read",
        "I_ROWS_HIDDEN": "hidden rows or columns were read",
        "I_ROWS_EMPTY": "formatted rows with nothing in them were skipped",
        "I_ROWS_IGNORED": "rows with text only in columns that nobody reads",
    }
)
"""Code to its one-line meaning; a test holds every fault to this table."""

_AS_TEXT = "format the column as Text and type it again"

CELL_MESSAGES = MappingProxyType(
    {
        "E_CELL_DATE": ("Excel turned this into a date ({})", _AS_TEXT),
        "E_CELL_SHOWN": ("is a number shown as {}", _AS_TEXT),
        "E_CELL_NUMBER_LONG": ("is the number {}, and Excel keeps only 15 digits", _AS_TEXT),
        "E_CELL_ERROR": ("holds the error {}", "mend its formula, or type the value"),
        "E_CELL_FORMULA": ("formula has no stored value", "open the file in Excel and save it"),
        "E_CELL_LENGTH": ("is longer than {} characters", "shorten it"),
        "E_CELL_CHARACTER": ("holds the character {}", "delete that character, or type the cell again"),
        "E_CELL_MERGED": ("is blank because {} is merged", 'unmerge the cells, or set merged = "fill"'),
        "E_CELL_BROKEN": ("cannot be read: {}", "type the cell again, or save the file anew from Excel"),
    }
)
"""Code of a cell fault to its message, with a place for the detail, and what to do."""
