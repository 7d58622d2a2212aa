"""Small catalogs on disk: tables as text, written as CSV files or as one workbook."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CHARACTERS = """\
id,name,gender,appearance
aria,Aria,1girl,silver_hair
ren,Ren,1boy,black_hair
"""
EXPRESSIONS = """\
id,expression
happy,smile
sad,frown
"""
SMALL = '[picture]\nsize = "64x64"\n'


class MemoryCache:
    """A snapshot cache and prompt memo in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def save(self, key: str, data: bytes) -> None:
        self.kept[key] = data


@cache
def shared_cache() -> MemoryCache:
    """One cache for all tests: it only saves starting a child for a file or prompt seen before."""
    return MemoryCache()


def make_catalog(
    folder: Path, *, toml: str = SMALL, templates: Mapping[str, str] | None = None, **tables: str
) -> Path:
    """A folder with catalog.toml, one CSV file a table (two characters, two expressions when none is given)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (tables or {"characters": CHARACTERS, "expressions": EXPRESSIONS}).items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    (folder / "catalog.toml").write_text(toml, encoding="utf-8")
    for name, text in (templates or {}).items():
        (folder / "templates").mkdir(exist_ok=True)
        (folder / "templates" / name).write_text(text, encoding="utf-8")
    return folder


def make_workbook(file: Path, **tables: str) -> Path:
    """An .xlsx file with one sheet a table, each given as CSV text."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, text in (tables or {"characters": CHARACTERS, "expressions": EXPRESSIONS}).items():
        page = book.create_sheet(name)
        for row in csv.reader(io.StringIO(text)):
            page.append(row)
    file.parent.mkdir(parents=True, exist_ok=True)
    book.save(file)
    return file


def set_cell(catalog: Path, table: str, row_id: str, column: str, text: str) -> None:
    """Write `text` into one cell of a CSV table."""
    file = catalog / f"{table}.csv"
    rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
    row = next(row for row in rows if row and row[0] == row_id)
    row[rows[0].index(column)] = text
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    file.write_text(out.getvalue(), encoding="utf-8")
