"""Combine a catalog's tables into the pictures it asks for: crossed, zipped, inherited.

A row inherits from its `base` row, then from the rows it looks up (`character`), and names only what
it changes. Tables are merged left to right. In a cell, `...` stands for the inherited tags, `!tag`
takes one away, and `!` alone clears the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from itertools import chain, product
from typing import cast

from newbie_core.catalogs import Catalog, parse_size
from newbie_core.digests import decimal_text
from newbie_core.errors import Fault
from newbie_core.plans.cells import SUFFIX, cell_fault, column_checks, edit
from newbie_core.plans.job import SEED_LIMIT, derive_seed
from newbie_core.prompts.lint import lint_tags
from newbie_core.sheets import Row, Table
from newbie_core.spelling import nearest

PIXEL_COLUMNS = frozenset({"seed", "width", "height", "size", "steps", "guidance", "negative"})
"""Columns that decide pixels without standing in the prompt."""

UNSEEN_COLUMNS = frozenset({"enabled", "count", "decision", "decision_note"})
"""Columns that change no picture."""

_OWN_COLUMNS = frozenset({"id", "base", *UNSEEN_COLUMNS})
_CHARACTER_LEVEL = frozenset(
    {
        "name",
        "gender",
        "appearance",
        "clothing",
        "body_type",
        "expression",
        "action",
        "pose",
        "interaction",
        "position",
    }
)
_OFF = frozenset({"no", "false", "0", "off", "n", "否", "いいえ", "×", "关", "無効", "无"})
_GUESSES = 50


@dataclass(slots=True)
class Part:
    """One table's row with everything it inherits: prompt values and pixel settings by column.

    Like `Picture` not frozen only because a hundred thousand of them are made; nobody changes one.
    """

    table: Table
    row: Row
    look: Mapping[str, str]
    pixels: Mapping[str, str]
    edits: bool
    enabled: bool
    count: int | None


@dataclass(slots=True)
class Picture:
    """One picture that is asked for; `look` are the values its template sees."""

    id: str
    parts: tuple[Part, ...]
    look: Mapping[str, str]
    negative: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: str


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What a catalog asks for today. `rejected` maps a table to the ids of its rows that cannot be used."""

    pictures: list[Picture] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rejected: dict[str, set[str]] = field(default_factory=dict)
    disabled: int = 0
    excluded: int = 0


def combine(catalog: Catalog, *, size_problem: Callable[[int, int], str | None]) -> Wanted:
    """Every picture the catalog asks for, in the order of its tables.

    Args:
        size_problem: says why the engine cannot make a size, or None.
    """
    wanted = Wanted()
    resolver = _Resolver(catalog, wanted)
    groups = []
    for group in catalog.groups:
        columns = [resolver.table_parts(name) for name in group]
        if len({len(column) for column in columns}) > 1:
            counted = ", ".join(f"{name} {len(column)}" for name, column in zip(group, columns, strict=True))
            text = f"zipped tables have different numbers of rows ({counted})"
            wanted.faults.append(
                Fault(
                    file="catalog.toml",
                    code="E_ZIP_LENGTH",
                    message=text,
                    fix="fill the shorter one",
                    severity="file",
                )
            )
            return wanted
        groups.append(list(zip(*columns, strict=True)))
    maker = _PictureMaker(catalog, wanted, size_problem)
    for slots in product(*groups):
        parts = tuple(chain.from_iterable(slots))
        if None not in parts:
            maker.add(cast("tuple[Part, ...]", parts))
    return wanted


class _Resolver:
    """Works out what each row inherits, and checks its cells."""

    def __init__(self, catalog: Catalog, wanted: Wanted) -> None:
        self._catalog = catalog
        self._wanted = wanted
        self._parts: dict[str, dict[str, Part | None]] = {}
        self._open: list[tuple[str, str]] = []
        self._guesses = 0
        self._lookups = {
            name: list(lookup_columns(self._catalog, table.columns)) for name, table in catalog.tables.items()
        }
        self._checks = {name: column_checks(table) for name, table in catalog.tables.items()}

    def table_parts(self, name: str) -> list[Part | None]:
        """The table's rows in order; None keeps the place of a rejected one."""
        table = self._catalog.tables[name]
        parts: list[Part | None] = []
        for row in table.order:
            parts.append(None if row is None else self.part(name, row.id))
        rejected = self._wanted.rejected.setdefault(name, set())
        rejected.update(row_id for row_id in table.rejected_rows.values() if row_id)
        return parts

    def part(self, name: str, row_id: str) -> Part | None:
        """The row `row_id` resolved; None when it, or what it inherits from, is rejected."""
        known = self._parts.setdefault(name, {})
        if row_id not in known:
            row = self._catalog.row(name, row_id)
            known[row_id] = None
            if row is not None:
                self._open.append((name, row_id))
                known[row_id] = self._resolve(name, row)
                self._open.pop()
                if known[row_id] is None:
                    self._wanted.rejected.setdefault(name, set()).add(row_id)
        return known[row_id]

    def _resolve(self, name: str, row: Row) -> Part | None:
        table = self._catalog.tables[name]
        before = len(self._wanted.faults)
        own = {column: text for column, text in row.values.items() if column not in _OWN_COLUMNS}
        inherited: dict[str, str] = {}
        if base_id := row.values.get("base"):
            inherited.update(self._inherit(name, row, "base", name, base_id))
        for column, target in self._lookups[name]:
            if looked_up := row.values.get(column):
                found = self._inherit(name, row, column, target, looked_up)
                suffix = SUFFIX.search(column)
                inherited.update(_numbered(found, suffix[1]) if suffix else found)
        if inherited:
            own = {
                **inherited,
                **{column: edit(inherited.get(column, ""), text) for column, text in own.items()},
            }
        self._check_cells(name, table, row)
        if any(fault.severity == "row" for fault in self._wanted.faults[before:]):
            return None
        count = row.values.get("count")
        texts = "\n".join(own.values())
        pixels = {column: own.pop(column) for column in PIXEL_COLUMNS & own.keys()}
        return Part(
            table=table,
            row=row,
            look=own,
            pixels=pixels,
            edits="..." in texts or "!" in texts,
            enabled=row.values.get("enabled", "yes").casefold() not in _OFF,
            count=int(count) if count else None,
        )

    def _inherit(self, name: str, row: Row, column: str, target: str, wanted_id: str) -> Mapping[str, str]:
        table = self._catalog.tables[target]
        if (target, wanted_id) in self._open:
            chain = " → ".join(row_id for _, row_id in [*self._open, (target, wanted_id)])
            self._fault(
                name, row, column, "E_BASE_CYCLE", f"inherits from itself: {chain}", "break the circle"
            )
            return {}
        part = self.part(target, wanted_id)
        if part is not None:
            return {**part.look, **part.pixels}
        if wanted_id in self._wanted.rejected.get(target, ()) or wanted_id in table.rejected_rows.values():
            text, fix = f'"{wanted_id}" of sheet "{target}" is itself rejected', "mend that row first"
        else:
            near = self._nearest_id(wanted_id, target)
            text = f'"{wanted_id}" is no id in sheet "{target}"'
            fix = (
                f'did you mean "{near}"?'
                if near
                else f"known: {', '.join(list(self._catalog.index[target])[:10])}"
            )
        self._fault(name, row, column, "E_CELL_REFERENCE", text, fix)
        return {}

    def _nearest_id(self, wanted_id: str, target: str) -> str | None:
        """The id probably meant; a sheet full of broken references gets no more than so many guesses."""
        self._guesses += 1
        return nearest(wanted_id, self._catalog.index[target]) if self._guesses <= _GUESSES else None

    def _check_cells(self, name: str, table: Table, row: Row) -> None:
        tagged, valued = self._checks[name]
        for column, text in row.values.items():
            if column in tagged:
                for tag, meant in lint_tags(text):
                    self._warn(table, row, column, f'tag "{tag}" is not known', f'did you mean "{meant}"?')
            elif column in valued and (problem := valued[column](text)):
                self._fault(table.name, row, column, "E_CELL_VALUE", *problem)

    def _fault(self, name: str, row: Row, column: str, code: str, message: str, fix: str) -> None:
        table = self._catalog.tables.get(name) or next(
            t for t in self._catalog.tables.values() if t.name == name
        )
        self._wanted.faults.append(cell_fault(table, row, column, code, message, fix))

    def _warn(self, table: Table, row: Row, column: str, message: str, fix: str) -> None:
        self._wanted.faults.append(cell_fault(table, row, column, "W_TAG", message, fix, severity="warning"))


def _numbered(values: Mapping[str, str], number: str) -> dict[str, str]:
    return {
        (f"{column}_{number}" if column in _CHARACTER_LEVEL else column): text
        for column, text in values.items()
        if column in _CHARACTER_LEVEL or number == "1"
    }


def _merged(look: Mapping[str, str], part: Part, *, is_first: bool) -> Mapping[str, str]:
    """`look` with what `part` says over it; only the first part names the picture."""
    own = part.look
    if not is_first and "name" in own:
        own = {column: text for column, text in own.items() if column != "name"}
    if part.edits:
        own = {column: edit(look.get(column, ""), text) for column, text in own.items()}
    return {**look, **own} if look else own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What decides a picture's pixels beside its prompt and seed."""

    negative: str
    width: int
    height: int
    steps: int
    guidance: str


class _PictureMaker:
    """Turns a choice of one row a table into pictures."""

    def __init__(
        self, catalog: Catalog, wanted: Wanted, size_problem: Callable[[int, int], str | None]
    ) -> None:
        self._catalog = catalog
        self._wanted = wanted
        self._size_problem = size_problem
        self._sizes: dict[tuple[int, int], str | None] = {}
        self._defaults = dict(catalog.settings.defaults)
        self._exclude = [re.compile(translate(pattern)) for pattern in catalog.settings.exclude]
        self._told: set[tuple[str, int]] = set()
        self._known_settings: dict[tuple[int, ...], _Settings] = {}
        self._first_parts: tuple[Part, ...] = ()
        self._first_look: Mapping[str, str] = self._defaults

    def add(self, chosen: tuple[Part, ...]) -> None:
        """Add the pictures of one choice, unless it is disabled, excluded or of a size nobody can make."""
        for part in chosen:
            if not part.enabled:
                self._wanted.disabled += 1
                return
        picture_id = "/".join([part.row.id for part in chosen])
        if self._exclude and any(pattern.match(picture_id) for pattern in self._exclude):
            self._wanted.excluded += 1
            return
        settings = self._settings(chosen)
        if settings is None:
            return
        look = self._merge(chosen)
        seed, count = None, 1
        for part in chosen:
            seed = part.pixels.get("seed", seed)
            count = count if part.count is None else part.count
        for index in range(count):
            own_seed = (
                derive_seed(self._catalog.name, picture_id, index) if seed is None else int(seed) + index
            )
            self._wanted.pictures.append(
                Picture(
                    picture_id if index == 0 else f"{picture_id}#{index + 1}",
                    chosen,
                    look,
                    settings.negative,
                    own_seed % SEED_LIMIT,
                    settings.width,
                    settings.height,
                    settings.steps,
                    settings.guidance,
                )
            )

    def _merge(self, parts: tuple[Part, ...]) -> Mapping[str, str]:
        """What the template sees; all but the last part mostly stay as they were for the picture before."""
        *first, last = parts
        if (firsts := tuple(first)) != self._first_parts:
            self._first_parts, self._first_look = firsts, self._defaults
            for at, part in enumerate(firsts):
                self._first_look = _merged(self._first_look, part, is_first=at == 0)
        return _merged(self._first_look, last, is_first=not firsts)

    def _settings(self, parts: tuple[Part, ...]) -> _Settings | None:
        """What decides the pixels beside prompt and seed; None when the engine cannot make the size."""
        telling = [part for part in parts if len(part.pixels) > ("seed" in part.pixels)]
        key = tuple(map(id, telling))
        if key in self._known_settings:
            return self._known_settings[key]
        merged, sized = self._merge_pixels(telling)
        settings = _Settings(
            negative=merged["negative"],
            width=int(merged["width"]),
            height=int(merged["height"]),
            steps=int(merged["steps"]),
            guidance=merged["guidance"],
        )
        if not self._size_fits(settings.width, settings.height, sized):
            return None
        self._known_settings[key] = settings
        return settings

    def _merge_pixels(self, parts: Sequence[Part]) -> tuple[dict[str, str], Part | None]:
        """The settings of `parts` by column, and the part that decides the size."""
        picture = self._catalog.settings.picture
        merged: dict[str, str] = {
            "negative": picture.negative,
            "steps": str(picture.steps),
            "guidance": picture.guidance,
            "width": str(picture.width),
            "height": str(picture.height),
        }
        sized: Part | None = None
        for part in parts:
            pixels = part.pixels
            if size := parse_size(pixels.get("size", "")):
                merged["width"], merged["height"] = str(size[0]), str(size[1])
            for column, text in pixels.items():
                merged[column] = edit(merged.get(column, ""), text) if column == "negative" else text
            if "guidance" in pixels:
                merged["guidance"] = decimal_text(float(pixels["guidance"]))
            if pixels.keys() & {"size", "width", "height"}:
                sized = part
        return merged, sized

    def _size_fits(self, width: int, height: int, sized: Part | None) -> bool:
        if (width, height) not in self._sizes:
            self._sizes[width, height] = self._size_problem(width, height)
        problem = self._sizes[width, height]
        if problem is None:
            return True
        engine = self._catalog.settings.engine.name
        if sized is None:
            self._tell_settings(f"engine {engine} cannot make {width}x{height}: {problem}")
        elif (sized.table.name, sized.row.number) not in self._told:
            self._told.add((sized.table.name, sized.row.number))
            column = next(
                c for c in ("size", "width", "height") if c in sized.row.values or c in sized.pixels
            )
            self._wanted.faults.append(
                cell_fault(
                    sized.table,
                    sized.row,
                    column,
                    "E_CELL_SIZE",
                    f"engine {engine}: {problem}",
                    "change the size",
                )
            )
            self._wanted.rejected.setdefault(self._table_key(sized), set()).add(sized.row.id)
        return False

    def _table_key(self, part: Part) -> str:
        return next(name for name, table in self._catalog.tables.items() if table is part.table)

    def _tell_settings(self, text: str) -> None:
        if ("", 0) not in self._told:
            self._told.add(("", 0))
            fault = Fault(
                file="catalog.toml",
                code="E_PICTURE_SIZE",
                message=text,
                fix="change [picture] size",
                severity="file",
            )
            self._wanted.faults.append(fault)


def source_rows(catalog: Catalog, picture: Picture) -> Sequence[tuple[str, Row]]:
    """Every row a picture is made of, with what those rows inherit from: table name and row."""
    found: dict[tuple[str, str], tuple[str, Row]] = {}

    def follow(name: str, row: Row) -> None:
        if (name, row.id) in found:
            return
        found[name, row.id] = (name, row)
        targets = [(name, row.values.get("base", ""))]
        targets.extend((target, row.values[column]) for column, target in lookup_columns(catalog, row.values))
        for target, row_id in targets:
            other = catalog.row(target, row_id) if row_id else None
            if other is not None:
                follow(target, other)

    order = catalog.table_order()
    for name, part in zip(order, picture.parts, strict=True):
        follow(name, part.row)
    return tuple(found.values())


def lookup_columns(catalog: Catalog, columns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those of `columns` whose cells are ids of another table, with that table's name."""
    for column in columns:
        target = catalog.lookups.get(SUFFIX.sub("", column))
        if target is not None:
            yield column, target
