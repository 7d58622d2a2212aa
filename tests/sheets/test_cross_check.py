"""Our reader against openpyxl and calamine: the same workbook, the same text."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

import openpyxl
import pytest
import python_calamine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from newbie_core.sheets import CORE_COLUMNS, read_table, read_workbook
from newbie_core.sheets.formats import number_text
from newbie_core.sheets.text import clean
from tests.sheets.corpus import sheet_xml, strings_xml, workbook_parts, write_parts

WORDS = (
    "007",
    "NA",
    "1E5",
    " pad ",
    "猫耳",
    "👩‍🎤",
    "a & b",
    "<tag>",
    "x\ny",
    "TRUE",
    "null",
    "\u00a0q\u3000",
)


PRINTABLE = some.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")


def canonical(value: object) -> str:
    """A cell of another reader as our text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return number_text(repr(value)) or "?"
    return clean(str(value))


def make_value(dice: random.Random) -> object:
    return dice.choice(
        (
            None,
            dice.choice(WORDS),
            "".join(dice.choice("abc 猫éق") for _ in range(9)),
            dice.randrange(-(10**9), 10**9),
            dice.uniform(-1e6, 1e6),
            dice.random() * 10 ** dice.randrange(-9, 9),
            dice.choice((True, False)),
        )
    )


def trimmed(rows: list[list[str]]) -> list[list[str]]:
    """Rows without empty cells at their end, and without empty rows."""
    shortened = [row[: max((index + 1 for index, cell in enumerate(row) if cell), default=0)] for row in rows]
    return [row for row in shortened if row]


@pytest.mark.parametrize("seed", range(6))
def test_openpyxl_and_calamine_read_the_same_text(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    book = openpyxl.Workbook()
    values = [[make_value(dice) for _ in range(30)] for _ in range(60)]
    for row in values:
        book.active.append(row)
    path = tmp_path / "cast.xlsx"
    book.save(path)
    ours = trimmed(read_workbook(path).sheets[0].rows)
    others = openpyxl.load_workbook(path, data_only=True).active.iter_rows(values_only=True)
    assert ours == trimmed([[canonical(value) for value in row] for row in others])
    rows = python_calamine.load_workbook(path).get_sheet_by_index(0).to_python()
    assert ours == trimmed([[canonical(value) for value in row] for row in rows])


def test_shared_strings_are_read_as_openpyxl_reads_them(tmp_path: Path) -> None:
    items = [
        *WORDS,
        "<si><r><t>long </t></r><r><t>hair</t></r></si>",
        '<si><t>猫</t><rPh sb="0" eb="1"><t>ねこ</t></rPh></si>',
        "<si/>",
    ]
    rows = [
        "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>{n - 1}</v></c></row>' for n in range(1, len(items) + 1))
    ]
    parts = workbook_parts({"characters": sheet_xml(rows)}, strings=items)
    assert parts["xl/sharedStrings.xml"] == strings_xml(items)
    parts["[Content_Types].xml"] = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/sharedStrings.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
    )
    path = write_parts(tmp_path / "cast.xlsx", parts)
    ours = [row[0] for row in read_workbook(path).sheets[0].rows]
    theirs = [canonical(row[0]) for row in openpyxl.load_workbook(path).active.iter_rows(values_only=True)]
    assert ours == [text for text in theirs if text]


def test_dates_padded_numbers_and_formulas_written_by_openpyxl_are_faults(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    page.append(["id", "name", "appearance", "clothing", "seed"])
    page.append(["a", datetime.date(2024, 3, 1), 7, "=1+1", 8])
    page["C2"].number_format = "000"
    page["E2"].number_format = "000"
    path = tmp_path / "cast.xlsx"
    book.save(path)
    table = read_table(read_workbook(path).sheets[0], CORE_COLUMNS)
    assert [(fault.column, fault.code) for fault in table.faults] == [
        ("B", "E_CELL_DATE"),
        ("C", "E_CELL_SHOWN"),
        ("D", "E_CELL_FORMULA"),
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=some.lists(
        some.lists(
            some.text(some.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_text_comes_back_from_csv_as_it_went_in(tmp_path: Path, rows: list[list[str]]) -> None:
    import csv

    path = tmp_path / "cast.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["id", "name", "x"], *rows])
    expected = [[clean(cell) for cell in row] for row in rows]
    assert read_workbook(path).sheets[0].rows[1:] == [row for row in expected if any(row)]
