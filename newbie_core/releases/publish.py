"""Make a release of a plan and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from newbie_core.digests import canonical_json
from newbie_core.errors import Fault
from newbie_core.plans import Item, Plan, Recipe
from newbie_core.releases.manifest import (
    Content,
    Entry,
    Manifest,
    encode_table,
    recipe_name,
    sorted_entries,
)
from newbie_core.releases.shelf import Release, ReleaseRef, Shelf

_CHANGES_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the pixels of a made picture are."""

    object: str
    size: int
    pixels: str


def build_content(
    plan: Plan, places: Mapping[str, Place], parent: Release | None, failed: Sequence[str]
) -> Content:
    """What the release of `plan` says.

    Args:
        places: the made pictures, by content key.
        parent: the release the plan was compared with.
        failed: ids that could not be made tonight.
    """
    old = {entry.id: entry for entry in parent.content.entries} if parent else {}
    recipes: dict[str, Recipe] = {}
    short_names: dict[Recipe, str] = {}
    entries: list[Entry] = []
    for item in plan.items:
        entry = old.get(item.picture.id)
        place = places.get(item.key)
        if place is not None:
            recipe = plan.recipe(item.picture)
            if recipe not in short_names:
                short_names[recipe] = recipe_name(recipe)
            entries.append(_entry(item, place, short_names[recipe]))
        elif entry is not None:
            entries.append(entry)
    entries.extend(old[picture_id] for picture_id in (*plan.carried, *plan.held) if picture_id in old)
    recipes = {short: recipe for recipe, short in short_names.items()}
    for entry in entries:
        if entry.recipe not in recipes and parent is not None:
            recipes[entry.recipe] = parent.content.recipes[entry.recipe]
    return Content(
        set=plan.catalog.name,
        title=plan.catalog.settings.title,
        engine={"engine": plan.engine.name, **plan.engine.parts},
        template=plan.catalog.template.name,
        settings=plan.catalog.settings.flat(),
        recipes=dict(sorted(recipes.items())),
        entries=sorted_entries(entries),
        held=plan.held,
        rejected=_rejected_rows(plan.rejected()),
        failed=sorted(failed),
    )


def _entry(item: Item, place: Place, recipe: str) -> Entry:
    picture = item.picture
    return Entry(
        picture.id,
        item.key,
        place.pixels,
        item.prompt,
        picture.seed,
        picture.width,
        picture.height,
        recipe,
        place.object,
        place.size,
    )


def _rejected_rows(faults: Sequence[Fault]) -> list[dict[str, str | None]]:
    """Rejected rows without positions, so that a row inserted above makes no new release."""
    rows = {(fault.sheet or "", fault.header or "", fault.code) for fault in faults}
    counted = {row: sum((f.sheet or "", f.header or "", f.code) == row for f in faults) for row in rows}
    return [
        {"sheet": sheet, "column": header, "code": code, "rows": str(counted[sheet, header, code])}
        for sheet, header, code in sorted(rows)
    ]


def publish(
    shelf: Shelf,
    content: Content,
    plan: Plan,
    *,
    parent: Release | None,
    attestation: Mapping[str, Any],
    pages: Mapping[str, bytes],
) -> ReleaseRef:
    """Store every part of the release, then number it and point LATEST at it."""
    store = shelf.store
    tables = encode_tables(plan)
    explanation = explain(plan, parent, content)
    parts = [
        content.encode(),
        content.encode_objects(),
        canonical_json(explanation),
        canonical_json(dict(attestation)),
    ]
    digests = store.put_many([*parts, *tables.values(), *pages.values()])
    manifest = Manifest(
        set=content.set,
        content=digests[0],
        objects=digests[1],
        explanation=digests[2],
        attestation=digests[3],
        tables=dict(zip(tables, digests[4:], strict=False)),
        pages=dict(zip(pages, digests[4 + len(tables) :], strict=True)),
        parent=parent.ref.name if parent else None,
    )
    return shelf.publish(manifest)


def encode_tables(plan: Plan) -> dict[str, bytes]:
    """The tables of a plan as a release keeps them, by name."""
    return {
        name: encode_table({row.id: row.values for row in table.rows})
        for name, table in sorted(plan.catalog.tables.items())
    }


def explain(plan: Plan, parent: Release | None, content: Content) -> dict[str, Any]:
    """What changed against the parent, and why; a first release only counts its pictures.

    Pictures that wait for a later run, or could not be made, are no change yet.
    """
    if parent is None:
        return {"parent": None, "add": len(content.entries)}
    keys = {entry.id: entry.key for entry in content.entries}
    made = {item.picture.id for item in plan.items if keys.get(item.picture.id) == item.key}
    return {
        "parent": parent.ref.name,
        "add": [change.record() for change in plan.changes("add") if change.id in made],
        "change": [change.record() for change in plan.changes("change") if change.id in made],
        "remove": [change.record() for change in plan.changes("remove")],
        "held": dict(plan.held),
    }


def changes_page(content: Content, plan: Plan, parent: Release | None) -> bytes:
    """The changes as a short Markdown text, for people."""
    since = f" since {parent.ref.name}" if parent else ""
    lines = [f"# {content.title or content.set}: changes{since}", ""]
    explanation = explain(plan, parent, content)
    if parent is None:
        lines += [f"First release: {len(content.entries)} pictures.", ""]
    else:
        for title, kind in (("Added", "add"), ("Changed", "change"), ("Removed", "remove")):
            lines.extend(_change_lines(title, explanation[kind]))
    if plan.held:
        lines += [f"## Kept as they were ({len(plan.held)})", ""]
        lines.extend(
            f"- `{picture_id}`: {reason}" for picture_id, reason in list(plan.held.items())[:_CHANGES_SHOWN]
        )
    if content.failed:
        lines += ["", f"## Could not be made ({len(content.failed)})", ""]
        lines.extend(f"- `{picture_id}`" for picture_id in content.failed[:_CHANGES_SHOWN])
    return ("\n".join(lines).rstrip() + "\n").encode()


def _change_lines(title: str, changes: Sequence[Mapping[str, Any]]) -> list[str]:
    if not changes:
        return []
    lines = [f"## {title} ({len(changes)})", ""]
    lines.extend(
        f"- `{change['id']}`: " + "; ".join(change["reasons"]) for change in changes[:_CHANGES_SHOWN]
    )
    if len(changes) > _CHANGES_SHOWN:
        lines.append(f"- … and {len(changes) - _CHANGES_SHOWN} more")
    return [*lines, ""]
