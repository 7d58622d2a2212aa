"""What a cell may hold, beyond what any sheet asks: positions, sizes, numbers; and how it edits what it inherits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from newbie_core.catalogs import parse_size
from newbie_core.errors import Fault, Severity
from newbie_core.plans.job import SEED_LIMIT
from newbie_core.prompts.document import position_point, split_tags
from newbie_core.prompts.lint import TAG_COLUMNS
from newbie_core.sheets import Row, Table

SUFFIX = re.compile(r"_([1-9])$")
"""The number of a character's column: `expression_2`."""
COUNT_LIMIT = 1000


def cell_fault(
    table: Table, row: Row, column: str, code: str, message: str, fix: str, *, severity: Severity = "row"
) -> Fault:
    """A fault at the cell of `column` in `row`."""
    found = table.columns.get(column)
    return Fault(
        file=table.file,
        sheet=table.name,
        row=row.number,
        column=found.letter if found else None,
        header=found.header if found else column,
        code=code,
        message=message,
        fix=fix,
        severity=severity,
    )


Problem = tuple[str, str]


def _check_position(text: str) -> Problem | None:
    if ":" not in text:
        return None
    point = position_point(text)
    if point is None or not all(0 <= value <= 1 for value in point):
        return (
            f'"{text}" is not a position',
            'write a word such as left, or "x:0.5, y:0.7" with values from 0 to 1',
        )
    return None


def _check_guidance(text: str) -> Problem | None:
    try:
        good = 0 <= float(text) <= 100
    except ValueError:
        good = False
    return None if good else (f'"{text}" is not a number from 0 to 100', "write a number such as 4.5")


def _check_size(text: str) -> Problem | None:
    return None if parse_size(text) else (f'"{text}" is not a size', "write width x height, such as 512x768")


def _check_whole(low: int, high: int) -> Callable[[str], Problem | None]:
    def check(text: str) -> Problem | None:
        good = text.isascii() and text.isdigit() and low <= int(text) <= high
        return (
            None
            if good
            else (f'"{text}" is not a whole number from {low} to {high}', "mend or clear the cell")
        )

    return check


_CELL_CHECKS: Mapping[str, Callable[[str], Problem | None]] = {
    "position": _check_position,
    "guidance": _check_guidance,
    "size": _check_size,
    "seed": _check_whole(0, SEED_LIMIT - 1),
    "width": _check_whole(8, 16_384),
    "height": _check_whole(8, 16_384),
    "steps": _check_whole(1, 1000),
    "count": _check_whole(1, COUNT_LIMIT),
}


def column_checks(table: Table) -> tuple[frozenset[str], Mapping[str, Callable[[str], Problem | None]]]:
    """The columns whose tags are checked for slips, and those whose cells are checked as values."""
    plain = {column: SUFFIX.sub("", column) for column in table.columns}
    tagged = frozenset(column for column, name in plain.items() if name in TAG_COLUMNS)
    checks = {column: _CELL_CHECKS[name] for column, name in plain.items() if name in _CELL_CHECKS}
    return tagged, {column: check for column, check in checks.items() if column not in tagged}


def edit(inherited: str, text: str) -> str:
    """A cell's value over the inherited one: plain text replaces it, `...` and `!tag` change it."""
    if "..." not in text and "!" not in text:
        return text
    tags = split_tags(text)
    if tags == ("!",):
        return ""
    if "..." not in tags and not any(tag.startswith("!") for tag in tags):
        return text
    kept = list(split_tags(inherited)) if ("..." in tags or all(tag.startswith("!") for tag in tags)) else []
    gone = {_plain(tag[1:]) for tag in tags if tag.startswith("!")}
    result = [tag for tag in kept if _plain(tag) not in gone]
    at = 0 if tags[0] != "..." else len(result)
    added = [tag for tag in tags if tag != "..." and not tag.startswith("!")]
    merged = [*result, *added] if at else [*added, *result]
    return ", ".join(dict.fromkeys(merged))


def _plain(tag: str) -> str:
    return tag.strip().lower().replace(" ", "_")
