"""Why a picture changes: the cell, the setting, the template or the engine that differs from the release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from newbie_core.catalogs import Catalog
from newbie_core.plans.job import EngineIdentity
from newbie_core.plans.pictures import PIXEL_COLUMNS, UNSEEN_COLUMNS, Picture, lookup_columns, source_rows
from newbie_core.plans.previous import Previous, Recipe, Released, TableValues
from newbie_core.sheets import Row, Table

CauseKind = Literal[
    "cell", "row", "setting", "template", "engine", "prompt", "rejected", "removed", "decision", "retired"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason: where it stands (`characters!D14`, `catalog.toml picture.steps`), from what, to what."""

    kind: CauseKind
    where: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        if self.before is None and self.after is None:
            return self.where
        return f"{self.where} {_shown(self.before)} → {_shown(self.after)}"

    def record(self) -> dict[str, str | None]:
        """The cause as programs read it."""
        return {"kind": self.kind, "where": self.where, "from": self.before, "to": self.after}


def _seed_cause(why: str, before: int, after: int) -> Cause:
    return Cause(kind="decision", where=f"{why}: seed", before=str(before), after=str(after))


def _shown(text: str | None) -> str:
    return "(empty)" if not text else f'"{text}"'


class CauseFinder:
    """Explains changed pictures against one previous release."""

    def __init__(
        self, catalog: Catalog, engine: EngineIdentity, recipe_of: Recipe, previous: Previous
    ) -> None:
        self._catalog = catalog
        self._engine = engine
        self._now = recipe_of
        self._previous = previous
        self._tables: Mapping[str, TableValues] | None = None
        self._known: dict[tuple[str, str], tuple[Cause, ...]] = {}

    def changed(
        self, picture: Picture, entry: Released, prompt: str, *, seed_because: str = ""
    ) -> tuple[Cause, ...]:
        """Why `picture` differs from the released `entry`.

        Args:
            seed_because: the decision its seed comes from; empty where nobody decided.
        """
        before = self._previous.recipes[entry.recipe]
        seed_differs = picture.seed != entry.seed
        decided = (
            [_seed_cause(seed_because, entry.seed, picture.seed)] if seed_because and seed_differs else []
        )
        seed_differs = seed_differs and not decided
        causes = [*self._engine_causes(before), *self._template_causes(before)]
        size_differs = (picture.width, picture.height) != (entry.width, entry.height)
        settings_differ = (picture.steps, picture.guidance, picture.negative) != (
            before.steps, before.guidance, before.negative,
        )  # fmt: skip
        if prompt != entry.prompt or seed_differs or size_differs or settings_differ:
            causes.extend(self._cell_causes(picture))
            causes.extend(self._setting_causes())
        if not causes and not decided:
            causes.extend(_differences(picture, entry, before, prompt))
        return (*decided, *causes)

    def added(self, picture: Picture) -> tuple[Cause, ...]:
        """Why `picture` is new: the rows that the last release did not know."""
        old = self._load()
        causes = []
        for name, row in source_rows(self._catalog, picture):
            if row.id not in old.get(name, {}):
                table = self._catalog.tables[name]
                causes.append(Cause(kind="row", where=f'{table.address(row, "id")} new row "{row.id}"'))
        return tuple(causes) or (Cause(kind="row", where="not in the last release"),)

    def removed(self, picture_id: str) -> tuple[Cause, ...]:
        """Why a released picture is no longer asked for."""
        parts = picture_id.split("#")[0].split("/")
        order = self._catalog.table_order()
        causes = []
        if len(parts) == len(order):
            for name, row_id in zip(order, parts, strict=True):
                causes.extend(self._row_gone(name, row_id))
        return tuple(causes) or (Cause(kind="removed", where="no longer asked for"),)

    def _row_gone(self, name: str, row_id: str) -> list[Cause]:
        table = self._catalog.tables[name]
        row = self._catalog.row(name, row_id)
        if row is None:
            return [Cause(kind="removed", where=f'sheet "{table.name}" has no row "{row_id}" any more')]
        if "enabled" in row.values:
            before = self._load().get(name, {}).get(row_id, {}).get("enabled")
            if before != row.values["enabled"]:
                where = table.address(row, "enabled")
                return [Cause(kind="cell", where=where, before=before, after=row.values["enabled"])]
        return []

    def _engine_causes(self, before: Recipe) -> list[Cause]:
        if before.engine == self._now.engine:
            return []
        old, new = self._previous.engine_parts, {"engine": self._engine.name, **self._engine.parts}
        causes = [
            Cause(kind="engine", where=f"engine {part}", before=old.get(part), after=new.get(part))
            for part in sorted({*old, *new})
            if old.get(part) != new.get(part)
        ]
        return causes or [
            Cause(kind="engine", where="engine", before=before.engine[:10], after=self._now.engine[:10])
        ]

    def _template_causes(self, before: Recipe) -> list[Cause]:
        if before.template == self._now.template:
            return []
        name, old_name = self._catalog.template.name, self._previous.template_name
        if name != old_name:
            return [Cause(kind="template", where="template", before=old_name, after=name)]
        where = f"template {name}"
        return [
            Cause(kind="template", where=where, before=before.template[:10], after=self._now.template[:10])
        ]

    def _setting_causes(self) -> list[Cause]:
        old, new = self._previous.settings, self._catalog.settings.flat()
        return [
            Cause(kind="setting", where=f"catalog.toml {key}", before=old.get(key), after=new.get(key))
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        ]

    def _cell_causes(self, picture: Picture) -> list[Cause]:
        causes: list[Cause] = []
        for name, row in source_rows(self._catalog, picture):
            if (name, row.id) not in self._known:
                self._known[name, row.id] = tuple(self._row_causes(name, row.id))
            causes.extend(self._known[name, row.id])
        return causes

    def _row_causes(self, name: str, row_id: str) -> list[Cause]:
        table = self._catalog.tables[name]
        row = self._catalog.row(name, row_id)
        old = self._load().get(name, {}).get(row_id)
        if row is None:
            return []
        if old is None:
            return [Cause(kind="row", where=f'{table.address(row, "id")} new row "{row_id}"')]
        return [
            Cause(
                kind="cell",
                where=_address(table, row, column),
                before=old.get(column),
                after=row.values.get(column),
            )
            for column in sorted({*old, *row.values}, key=_column_rank)
            if old.get(column) != row.values.get(column) and column not in UNSEEN_COLUMNS
        ]

    def _load(self) -> Mapping[str, TableValues]:
        if self._tables is None:
            self._tables = self._previous.tables()
        return self._tables


def _address(table: Table, row: Row, column: str) -> str:
    """The cell's address; for a column that is gone, the row's and the column's name."""
    if column in table.columns:
        return table.address(row, column)
    return f'sheet "{table.name}" row {row.number}, column "{column}" (gone)'


def _column_rank(column: str) -> tuple[bool, str]:
    return column in PIXEL_COLUMNS, column


def _differences(picture: Picture, entry: Released, recipe: Recipe, prompt: str) -> Iterator[Cause]:
    """What differs, where nobody remembers which cell or setting it came from."""
    pairs = (
        ("size", f"{entry.width}x{entry.height}", f"{picture.width}x{picture.height}"),
        ("seed", str(entry.seed), str(picture.seed)),
        ("steps", str(recipe.steps), str(picture.steps)),
        ("guidance", recipe.guidance, picture.guidance),
        ("negative", recipe.negative, picture.negative),
        ("prompt", entry.prompt[:10], prompt[:10]),
    )
    for where, before, after in pairs:
        if before != after:
            yield Cause(
                kind="prompt" if where == "prompt" else "setting", where=where, before=before, after=after
            )


def rows_behind(
    catalog: Catalog, tables: Mapping[str, TableValues], picture_id: str
) -> Iterator[tuple[str, str]]:
    """The rows a released picture was made from, by table and id, with those they inherited from."""
    parts = picture_id.split("#")[0].split("/")
    order = catalog.table_order()
    waiting = list(zip(order, parts, strict=True)) if len(parts) == len(order) else []
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, row_id = waiting.pop()
        values = tables.get(name, {}).get(row_id)
        if values is None or (name, row_id) in seen:
            continue
        seen.add((name, row_id))
        yield name, row_id
        waiting.extend((name, text) for column, text in values.items() if column == "base")
        waiting.extend((target, values[column]) for column, target in lookup_columns(catalog, values))
