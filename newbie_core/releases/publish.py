"""Make a release of a plan and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
_SECTIONS = (("Added", "add"), ("Changed", "change"), ("Removed", "remove"), ("Pinned", "pinned"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the pixels of a made picture are."""

    object: str
    size: int
    pixels: str


def build_content(
    plan: Plan, places: Mapping[str, Place | Entry], parent: Release | None, failed: Iterable[str]
) -> Content:
    """What the release of `plan` says.

    Args:
        places: where the made pictures are, by content key: a place, or an entry that names it.
        parent: the release the plan was compared with.
        failed: ids that are asked for and could not be made, tonight or before.
    """
    old = {entry.id: entry for entry in parent.content.entries} if parent else {}
    names: dict[tuple[int, str, str], str] = {}
    recipes: dict[str, Recipe] = {}
    entries: list[Entry] = []
    for item in plan.items:
        entry, place = old.get(item.picture.id), places.get(item.key)
        if place is not None and not _is_entry_of(entry, item, place):
            entries.append(_entry(item, place, _name_recipe(plan, item, names, recipes)))
        elif entry is not None:
            entries.append(entry)
    entries.extend(old[picture_id] for picture_id in (*plan.carried, *plan.held) if picture_id in old)
    if parent is not None:
        kept = {entry.recipe for entry in entries} - recipes.keys()
        recipes |= {short: parent.content.recipes[short] for short in kept}
    return Content(
        set=plan.catalog.name,
        title=plan.catalog.settings.title,
        engine={"engine": plan.engine.name, **plan.engine.parts},
        template=plan.catalog.template.name,
        settings=plan.catalog.settings.flat(),
        recipes=dict(sorted(recipes.items())),
        entries=sorted_entries(entries),
        held=_held(plan, parent),
        rejected=_rejected_rows(plan.rejected()),
        failed=sorted(failed),
    )


def _name_recipe(
    plan: Plan, item: Item, names: dict[tuple[int, str, str], str], recipes: dict[str, Recipe]
) -> str:
    """The short name of the item's recipe, noted among `recipes`; `names` are those of today's settings."""
    if item.pin is not None:
        name = recipe_name(item.pin.recipe)
        recipes[name] = item.pin.recipe
        return name
    settings = (item.picture.steps, item.picture.guidance, item.picture.negative)
    if settings not in names:
        recipe = plan.recipe(item.picture)
        names[settings] = recipe_name(recipe)
        recipes[names[settings]] = recipe
    return names[settings]


def _held(plan: Plan, parent: Release | None) -> dict[str, str]:
    """What is held, with what the parent held and this plan did not look at."""
    before = parent.content.held if parent else {}
    unseen = {picture_id: before[picture_id] for picture_id in plan.carried if picture_id in before}
    return dict(sorted({**unseen, **plan.held}.items()))


def _is_entry_of(entry: Entry | None, item: Item, place: Place | Entry) -> bool:
    """Whether the parent's entry says of the item all that a new one would: its key decides the rest."""
    return (
        entry is not None
        and entry.key == item.key
        and (
            entry is place
            or (entry.object, entry.size, entry.pixels) == (place.object, place.size, place.pixels)
        )
    )


def _entry(item: Item, place: Place | Entry, recipe: str) -> Entry:
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
    tables = encode_tables(plan, content)
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


def encode_tables(plan: Plan, content: Content) -> dict[str, bytes]:
    """The tables of a plan as a release keeps them, by name."""
    keys = {entry.id: entry.key for entry in content.entries}
    left = (
        item.picture.id
        for item in plan.items
        if item.action == "change" and keys.get(item.picture.id) != item.key
    )
    unchanged = [*left, *plan.held, *plan.carried]
    return {name: encode_table(rows) for name, rows in sorted(plan.tables(unchanged).items())}


def explain(plan: Plan, parent: Release | None, content: Content) -> dict[str, Any]:
    """What changed against the parent, and why; a first release only counts its pictures.

    Pictures that wait for a later run, or could not be made, are no change yet. `order` is that of the rows in
    their sheets: the content is sorted by id, so that a row may be moved without a new release.
    """
    order = plan.catalog.row_order()
    if parent is None:
        return {"parent": None, "add": len(content.entries), "order": order}
    keys = {entry.id: entry.key for entry in content.entries}
    made = {item.picture.id for item in plan.items if keys.get(item.picture.id) == item.key}
    return {
        "parent": parent.ref.name,
        "add": [change.record() for change in plan.changes("add") if change.id in made],
        "change": [change.record() for change in plan.changes("change") if change.id in made],
        "remove": [change.record() for change in plan.changes("remove")],
        "held": dict(plan.held),
        "order": order,
        **({"pinned": [change.record() for change in pinned]} if (pinned := plan.pinned()) else {}),
    }


def changes_page(content: Content, plan: Plan, parent: Release | None) -> bytes:
    """The changes as a short Markdown text, for people."""
    since = f" since {parent.ref.name}" if parent else ""
    lines = [f"# {content.title or content.set}: changes{since}", ""]
    explanation = explain(plan, parent, content)
    if parent is None:
        lines += [f"First release: {len(content.entries)} pictures.", ""]
    else:
        for title, kind in _SECTIONS:
            lines.extend(_change_lines(title, explanation.get(kind, ())))
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
