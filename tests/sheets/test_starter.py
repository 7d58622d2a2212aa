"""The starter workbook: sound to our own reader, and never written over anything."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from newbie_core.errors import InputError
from newbie_core.sheets import CORE_COLUMNS, read_table, read_workbook, write_starter


def test_the_starter_is_read_without_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "cast.xlsx"
    write_starter(path)
    workbook = read_workbook(path)
    assert not [fault for fault in workbook.faults if fault.severity != "info"]
    sizes = {}
    for name in ("characters", "expressions", "outfits"):
        table = read_table(workbook.sheet(name), CORE_COLUMNS)
        assert not table.faults
        sizes[name] = len(table.rows)
    assert sizes == {"characters": 3, "expressions": 8, "outfits": 2}


def test_the_starter_helps_the_person_who_fills_it_in(tmp_path: Path) -> None:
    write_starter(tmp_path / "cast.xlsx")
    page = openpyxl.load_workbook(tmp_path / "cast.xlsx")["characters"]
    assert page.freeze_panes == "B2"
    assert page["A1"].font.bold
    assert all(cell.comment is not None for cell in page[1])
    assert page["A2"].number_format == "@"
    assert page.column_dimensions["A"].number_format == "@"
    rules = {str(rule.sqref): rule.formula1 for rule in page.data_validations.dataValidation}
    assert rules["F2:F500"] == "=characters!$A$2:$A$500"
    assert rules["C2:C500"] == '"1girl,1boy,1other"'


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cast.xlsx"
    path.write_text("mine")
    with pytest.raises(InputError, match="there is a file already"):
        write_starter(path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["cast.csv", "missing/cast.xlsx"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        write_starter(tmp_path / name)
