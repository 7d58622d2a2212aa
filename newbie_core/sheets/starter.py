"""Write a workbook to start from: notes, characters, expressions and outfits, with drop-downs."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newbie_core.errors import InputError
from newbie_core.sheets.workbook import column_letter

_FILLED_ROWS = 500
_TEXT = "@"

NOTES_SHEET = "How to fill this in"


@dataclass(frozen=True, slots=True, kw_only=True)
class _StarterColumn:
    """One column of a starter sheet: its header, its note, its width in characters, its drop-down."""

    header: str
    note: str
    width: int = 16
    choices: tuple[str, ...] = ()
    choices_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _StarterSheet:
    """One starter sheet: its columns and its example rows."""

    name: str
    columns: tuple[_StarterColumn, ...]
    rows: tuple[tuple[str, ...], ...]


_ID = _StarterColumn(
    header="id",
    note="Names the row for good: pictures are found again by it. Never change it, never use it twice.",
)

_CHARACTERS = _StarterSheet(
    name="characters",
    columns=(
        _ID,
        _StarterColumn(header="name", note="What people call the character."),
        _StarterColumn(
            header="gender",
            note="A tag such as 1girl or 1boy.",
            width=10,
            choices=("1girl", "1boy", "1other"),
        ),
        _StarterColumn(
            header="appearance",
            note="Hair, eyes, age, build: tags with commas between them. Leave clothes and faces out.",
            width=44,
        ),
        _StarterColumn(
            header="clothing", note="What the character wears, where no outfit says otherwise.", width=36
        ),
        _StarterColumn(
            header="base",
            note="The id of another row here: this row inherits its cells and names only what differs.",
            choices_from="characters",
        ),
        _StarterColumn(header="pose", note="How the character stands or sits."),
        _StarterColumn(
            header="position",
            note="Where in the picture the character is.",
            choices=("left", "center", "right"),
        ),
        _StarterColumn(header="background", note="What is behind the character.", width=28),
        _StarterColumn(header="style", note="How it is drawn; the same in every row looks like one artist."),
        _StarterColumn(header="negative", note="What must not be in the picture.", width=28),
        _StarterColumn(header="seed", note="A whole number; leave it empty to have one chosen.", width=10),
        _StarterColumn(header="count", note="How many pictures of each kind; empty is one.", width=8),
        _StarterColumn(
            header="enabled",
            note="no leaves the row out tonight; empty is yes.",
            width=9,
            choices=("yes", "no"),
        ),
    ),
    rows=(
        (
            *(
                "aria",
                "Aria",
                "1girl",
                "long hair, silver hair, blue eyes, blue hair ribbon",
                "white dress",
                "",
            ),
            *("standing", "", "cherry blossoms", "anime style", "extra fingers", "", "", "yes"),
        ),
        (
            *("ren", "Ren", "1boy", "short hair, black hair, spiky hair, green eyes", "school uniform", ""),
            *("crossed arms", "", "classroom", "anime style", "extra fingers", "", "", "yes"),
        ),
        (
            *(
                "mika",
                "Mika",
                "1girl",
                "red hair, twintails, orange eyes, ahoge",
                "yellow hoodie, blue shorts",
                "",
            ),
            *("waving", "", "city night", "anime style", "", "42", "", "yes"),
        ),
    ),
)

_EXPRESSIONS = _StarterSheet(
    name="expressions",
    columns=(
        _ID,
        _StarterColumn(header="name", note="What people call it."),
        _StarterColumn(header="expression", note="The tags that draw it.", width=44),
    ),
    rows=(
        ("neutral", "Neutral", "expressionless, closed mouth"),
        ("smile", "Smile", "light smile, closed mouth"),
        ("laugh", "Laugh", "laughing, open mouth, closed eyes"),
        ("sad", "Sad", "sad, frown"),
        ("cry", "Crying", "crying, tears, open mouth"),
        ("angry", "Angry", "angry, v-shaped eyebrows"),
        ("surprised", "Surprised", "surprised, wide-eyed, open mouth"),
        ("blush", "Blush", "blush, embarrassed, looking away"),
    ),
)

_OUTFITS = _StarterSheet(
    name="outfits",
    columns=(
        _ID,
        _StarterColumn(header="name", note="What people call it."),
        _StarterColumn(header="clothing", note="The tags that draw it.", width=44),
    ),
    rows=(
        ("uniform", "School uniform", "school uniform"),
        ("summer", "Summer", "white t-shirt, blue shorts, straw hat"),
    ),
)

_NOTES = (
    "One row is one character; the grey notes on the headers say what each column is for.",
    "The id names a row for good. Rows and columns may be moved; ids must stay as they are.",
    "Tags are words with commas between them: long hair, blue eyes.",
    "Columns with other names are ignored, so you may keep notes of your own beside the table.",
    "Type numbers such as 007 into cells formatted as Text, or Excel drops their zeros.",
    "Do not merge cells in the tables, and save a workbook with formulas in Excel before sending it.",
    "Every character is drawn with every expression and every outfit; an empty cell names nothing.",
    "Rows with a fault are listed with their sheet, row and column; all other rows are drawn.",
)


def write_starter(path: Path) -> None:
    """Write a fresh starter workbook (.xlsx) to `path`; a failed write leaves nothing behind.

    Raises:
        InputError: `path` is there already, is not named .xlsx, or cannot be written.
    """
    if path.suffix.lower() != ".xlsx":
        raise InputError(f'{path}: the starter is an Excel workbook; give it a name that ends in ".xlsx"')
    data = _starter_bytes()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise InputError(f"{path}: there is a file already; give another name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror}); make room") from None


def _starter_bytes() -> bytes:
    import openpyxl  # slow to import, and only this needs it

    book = openpyxl.Workbook()
    notes = book.active
    notes.title = NOTES_SHEET
    notes.column_dimensions["A"].width = 100
    for line in (NOTES_SHEET, *_NOTES):
        notes.append([line])
    notes["A1"].font = _bold()
    for sheet in (_CHARACTERS, _EXPRESSIONS, _OUTFITS):
        _fill(book.create_sheet(sheet.name), sheet)
    book.active = 1
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _fill(page: Any, sheet: _StarterSheet) -> None:
    from openpyxl.comments import Comment

    page.append([column.header for column in sheet.columns])
    for row in sheet.rows:
        page.append(row)
    page.freeze_panes = "B2"
    for index, column in enumerate(sheet.columns):
        letter = column_letter(index)
        head = page[f"{letter}1"]
        head.font = _bold()
        head.comment = Comment(column.note, "newbie", width=260, height=90)
        page.column_dimensions[letter].width = column.width
        for number in range(2, len(sheet.rows) + 2):
            page[f"{letter}{number}"].number_format = _TEXT
        if column.header == "id":
            page.column_dimensions[letter].number_format = _TEXT
        _add_choices(page, letter, column)


def _add_choices(page: Any, letter: str, column: _StarterColumn) -> None:
    """A drop-down on the column's cells; other values may still be typed."""
    from openpyxl.worksheet.datavalidation import DataValidation

    if column.choices_from:
        formula = f"={column.choices_from}!$A$2:$A${_FILLED_ROWS}"
    elif column.choices:
        formula = '"' + ",".join(column.choices) + '"'
    else:
        return
    choices = DataValidation(type="list", formula1=formula, allow_blank=True, errorStyle="warning")
    choices.add(f"{letter}2:{letter}{_FILLED_ROWS}")
    page.add_data_validation(choices)


def _bold() -> Any:
    from openpyxl.styles import Font

    return Font(bold=True)
