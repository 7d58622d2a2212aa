"""Merged cells: Excel keeps one value for the whole area, and the other cells are blank."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from newbie_core.sheets.package import check_troubled, damaged, refuse
from newbie_core.sheets.text import visible
from newbie_core.sheets.workbook import Limits
from newbie_core.sheets.worksheet import Grid

_AREA = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::([A-Z]{1,3})([0-9]{1,7}))?")


def apply_merges(grid: Grid, merged: Literal["error", "fill"], limits: Limits, sheet: str) -> None:
    """Fill or mark the blank cells of every merged area, in the rows that have any content.

    "fill" copies the area's value, and its trouble, into its blank cells; "error" marks those
    cells. A row that is blank but for the merge stays left out.
    """
    if not grid.merges:
        return
    place = {number: index for index, number in enumerate(grid.numbers)}
    width = max(map(len, grid.rows), default=0)
    covered = marked = 0
    for area in grid.merges:
        left, top, right, bottom = _corners(area, sheet)
        source = place.get(top)
        text = _text(grid.rows[source], left) if source is not None else ""
        trouble = next((mark for mark in grid.marks.get(top, ()) if mark[0] == left), None)
        for row, column in _inside(left, top, min(right, width - 1), bottom, place):
            covered += 1
            if covered > limits.cells_per_file:
                refuse("E_FILE_CELLS", "merged areas cover too many cells", "unmerge them", sheet=sheet)
            if _text(grid.rows[place[row]], column) or any(
                column == mark[0] for mark in grid.marks.get(row, ())
            ):
                continue
            if merged == "error" or trouble is not None:
                marked += 1
                check_troubled(marked, limits)
            if merged == "error":
                grid.marks.setdefault(row, []).append((column, "E_CELL_MERGED", area))
                continue
            if text:
                _put(grid.rows[place[row]], column, text)
            if trouble is not None:
                grid.marks.setdefault(row, []).append((column, *trouble[1:]))


def _corners(area: str, sheet: str) -> tuple[int, int, int, int]:
    found = _AREA.fullmatch(area)
    if found is None:
        damaged(f'a merged area is "{visible(area[:40])}"', sheet=sheet)
    left, top, right, bottom = found.groups()
    return _index(left), int(top), _index(right or left), int(bottom or top)


def _index(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def _inside(left: int, top: int, right: int, bottom: int, place: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The cells of an area but its first, in rows that have content."""
    rows = (
        range(top, bottom + 1)
        if bottom - top < len(place)
        else [row for row in place if top <= row <= bottom]
    )
    for row in rows:
        if row in place:
            for column in range(left, right + 1):
                if (row, column) != (top, left):
                    yield row, column


def _text(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _put(row: list[str], column: int, text: str) -> None:
    row.extend([""] * (column + 1 - len(row)))
    row[column] = text
