"""What can be said of a released picture in a file name or a table: its fields by name.

::

    id, set, version, seed, width, height, key, pixels, number, copy     of every picture
    character, expression, outfit …                                      ids of its rows, by their tables
    name, clothing …                                                     cells of its rows; the last table wins

A name of an earlier line wins over one of a later line. `number` counts the set's pictures by id from 1,
`copy` the pictures of one row (`aria/happy#2` is copy 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from newbie_core.plans import TableValues
from newbie_core.releases import Entry, Release, Shelf, read_attestation

USUAL_ORDER = ("characters", "expressions", "outfits", "backgrounds", "styles", "sizes")
"""The order of tables in ids, where a release does not tell."""

_KEY_SHOWN = 12
_LONGEST_LINE = 32
"""Rows that inherit from each other, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A released picture with its fields; `rows` are the ids of its rows by their tables, in the id's order."""

    entry: Entry
    rows: Mapping[str, str]
    fields: Mapping[str, str]


def describe(shelf: Shelf, release: Release, entries: Sequence[Entry]) -> list[Described]:
    """The pictures with their fields, in their order."""
    tables = shelf.tables(release.manifest)
    order = table_order(release, tables, read_attestation(shelf, release).get("tables"))
    numbers = {entry.id: number for number, entry in enumerate(release.content.entries, 1)}
    return [_described(release, entry, numbers[entry.id], order, tables) for entry in entries]


def table_order(release: Release, tables: Mapping[str, TableValues], told: object) -> tuple[str, ...]:
    """The table of each part of the ids: as the release tells, else the one that has all those rows; "" for none."""
    parts = [id_parts(entry.id) for entry in release.content.entries]
    length = max(map(len, parts), default=0)
    if isinstance(told, list) and len(told) == length and all(name in tables for name in told):
        return tuple(told)
    left = sorted(tables, key=lambda name: (USUAL_ORDER.index(name) if name in USUAL_ORDER else 99, name))
    order = []
    for at in range(length):
        wanted = {part[at] for part in parts if at < len(part)}
        name = next((name for name in left if wanted <= tables[name].keys()), "")
        order.append(name)
        if name:
            left.remove(name)
    return tuple(order)


def id_parts(picture_id: str) -> list[str]:
    """The ids of the rows in a picture's id, without the number of its copy."""
    return picture_id.partition("#")[0].split("/")


def singular(table: str) -> str:
    """What one row of a table is called: characters → character."""
    return table[:-1] if table.endswith("s") and len(table) > 2 else table


def _described(
    release: Release, entry: Entry, number: int, order: Sequence[str], tables: Mapping[str, TableValues]
) -> Described:
    rows = {name: part for name, part in zip(order, id_parts(entry.id), strict=False) if name}
    fields: dict[str, str] = {}
    for name, row_id in rows.items():
        fields |= {column: text for column, text in _cells(tables[name], row_id) if text}
    fields |= {called: part for name, part in rows.items() for called in (name, singular(name))}
    recipe = release.content.recipes[entry.recipe]
    fields |= {
        "id": entry.id.replace("#", "--"),
        "set": release.content.set,
        "version": release.ref.name,
        "seed": str(entry.seed),
        "width": str(entry.width),
        "height": str(entry.height),
        "steps": str(recipe.steps),
        "guidance": recipe.guidance,
        "key": entry.key[:_KEY_SHOWN],
        "pixels": entry.pixels[:_KEY_SHOWN],
        "number": str(number),
        "copy": entry.id.partition("#")[2] or "1",
    }
    return Described(entry=entry, rows=rows, fields=fields)


def _cells(table: TableValues, row_id: str) -> Iterable[tuple[str, str]]:
    """A row's cells, those it inherits from its base rows first."""
    line: list[str] = []
    while row_id in table and row_id not in line and len(line) < _LONGEST_LINE:
        line.append(row_id)
        row_id = table[row_id].get("base", "")
    for each in reversed(line):
        yield from table[each].items()
