"""Plans of small catalogs, and plans as if they had been published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from newbie_core.catalogs import open_catalog
from newbie_core.errors import Fault, InputError
from newbie_core.plans import (
    Capabilities,
    EngineIdentity,
    Plan,
    PlanOptions,
    Previous,
    PreviousEntry,
    Recipe,
    make_plan,
)
from tests.catalogs.building import shared_cache

SKETCH = EngineIdentity(name="sketch", parts={"algorithm": "1"})


def plan_of(
    path: Path,
    *,
    previous: Plan | None = None,
    engine: EngineIdentity = SKETCH,
    capabilities: Capabilities | None = None,
    **options,
) -> Plan:
    """The plan of the catalog at `path`, against an earlier plan as if that had been published."""
    return make_plan(
        open_catalog(path, snapshot=shared_cache()),
        engine=engine,
        capabilities=capabilities or Capabilities(options={}),
        previous=released(previous) if previous else Previous(),
        options=PlanOptions(**options),
        memo=shared_cache(),
    )


def released(plan: Plan) -> Previous:
    """What a release of `plan` would say."""
    entries, recipes = {}, {}
    for item in plan.items:
        picture = item.picture
        recipe = Recipe(
            engine=plan.engine.fingerprint,
            template=plan.catalog.template.digest,
            steps=picture.steps,
            guidance=picture.guidance,
            negative=picture.negative,
        )
        name = f"{recipe.engine} {recipe.template} {recipe.steps} {recipe.guidance} {recipe.negative}"
        recipes[name] = recipe
        entries[picture.id] = PreviousEntry(
            item.key, item.prompt, picture.seed, picture.width, picture.height, name
        )
    tables: Mapping = {
        name: {row.id: dict(row.values) for row in table.rows} for name, table in plan.catalog.tables.items()
    }
    return Previous(
        entries=entries,
        recipes=recipes,
        engine_parts={"engine": plan.engine.name, **plan.engine.parts},
        template_name=plan.catalog.template.name,
        settings=plan.catalog.settings.flat(),
        tables=lambda: tables,
    )


def ids(plan: Plan) -> list[str]:
    return [item.picture.id for item in plan.items]


def keys(plan: Plan) -> dict[str, str]:
    return {item.picture.id: item.key for item in plan.items}


def seeds(plan: Plan) -> dict[str, int]:
    return {item.picture.id: item.picture.seed for item in plan.items}


def look(plan: Plan, picture_id: str) -> dict[str, str]:
    """What the template of a picture sees."""
    return dict(next(item.picture.look for item in plan.items if item.picture.id == picture_id))


def faults(path: Path, **options) -> list[Fault]:
    """What is wrong with the rows of a catalog; warnings and infos left out."""
    try:
        found = plan_of(path, **options).faults
    except InputError as error:
        found = error.faults
    return [fault for fault in found if fault.severity in ("row", "file")]


def reasons(plan: Plan, action: str) -> dict[str, list[str]]:
    """Why each picture is added, changed or removed."""
    return {change.id: [str(cause) for cause in change.causes] for change in plan.changes(action)}
