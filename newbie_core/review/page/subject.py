"""What a page is about: a release or the proposal, with what it is compared with and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from newbie_core.errors import DamageError, MissingError, NewbieError, ReleaseError
from newbie_core.plans import Recipe
from newbie_core.releases import (
    PROPOSAL,
    Content,
    Difference,
    Entry,
    Proposal,
    Release,
    Shelf,
    compare_contents,
    read_attestation,
    read_proposal,
)
from newbie_core.releases.manifest import content_digest, recipe_name
from newbie_core.review.candidates import open_candidates
from newbie_core.review.decisions import About, Decision, DecisionLog
from newbie_core.review.standing import Standing, standing_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Everything a page shows, before any picture is looked at.

    Attributes:
        version: a release's name, or "proposal".
        digest: the digest of the content; drafts of decisions are kept under it.
        parent: the release it is compared with; None for a first one.
        before: the parent's pictures by id; empty where it cannot be read.
        differences: what differs from the parent, by id.
        explanation: the causes, as the run that made it wrote them down.
        names: what people call a row, by the first part of the ids.
        candidates: the made candidates of open rerolls by picture id and number, where one is another picture.
        order: for each part of the ids, its rows as their sheet had them; empty where nobody kept it.
        made: when, as ISO 8601 text; "" where nobody knows.
    """

    set: str
    version: str
    digest: str
    content: Content
    parent: str | None
    before: Mapping[str, Entry]
    recipes: Mapping[str, Recipe]
    differences: Mapping[str, Difference]
    explanation: Mapping[str, Any]
    names: Mapping[str, str]
    candidates: Mapping[str, Mapping[int, Entry]]
    order: Sequence[Sequence[str]]
    made: str
    decisions: Sequence[Decision]
    standing: Standing
    notes: list[str] = field(default_factory=list)

    @property
    def is_proposal(self) -> bool:
        """Whether it is held back until it is approved."""
        return self.version == PROPOSAL


def read_subject(shelf: Shelf, version: str | None) -> Subject:
    """The version's page, still without pictures.

    Args:
        version: a release's name or "proposal"; None takes the proposal, else the version that counts.

    Raises:
        ReleaseError: there is no such version, or none at all.
        DamageError, MissingError: the version cannot be read.
    """
    notes: list[str] = []
    proposal = _proposal(shelf, version, notes)
    current = shelf.current()
    if proposal is None and version == PROPOSAL:
        raise ReleaseError(
            f'set "{shelf.set}" has no proposal; `newbie run --require-approval` makes one',
            code="E_RELEASE_MISSING",
        )
    if proposal is not None:
        parent = shelf.read(current) if current else None
        release, named_after = None, parent
        content, explanation = proposal.content, proposal.explanation
    else:
        ref = shelf.ref(version) if version else current
        if ref is None:
            raise ReleaseError(f'set "{shelf.set}" has no release yet; `newbie run` makes one')
        release = named_after = shelf.read(ref)
        content, explanation = release.content, _explanation(shelf, release, notes)
        parent = _parent(shelf, release, notes)
    decisions = _decisions(shelf, notes)
    standing = standing_of(decisions)
    candidates, further = _candidates(shelf, standing, content)
    named = parent.ref.name if parent else (release.manifest.parent if release else None)
    differences = compare_contents(parent.content, content) if parent else []
    return Subject(
        set=shelf.set,
        version=release.ref.name if release else PROPOSAL,
        digest=release.ref.digest if release else content_digest(content),
        content=content,
        parent=named,
        before={entry.id: entry for entry in parent.content.entries} if parent else {},
        recipes={**(parent.content.recipes if parent else {}), **further, **content.recipes},
        differences={difference.id: difference for difference in differences},
        explanation=explanation,
        names=_names(shelf, named_after, content),
        candidates=candidates,
        order=_order(explanation),
        made=_made(shelf, release),
        decisions=decisions,
        standing=standing,
        notes=notes,
    )


def _proposal(shelf: Shelf, version: str | None, notes: list[str]) -> Proposal | None:
    """The proposal where it is meant; a damaged one that nobody named is passed over."""
    if version not in (None, PROPOSAL):
        return None
    try:
        return read_proposal(shelf)
    except (DamageError, MissingError) as error:
        if version == PROPOSAL:
            raise
        notes.append(f"the proposal is not shown: {error}; the next run makes it again")
        return None


def _explanation(shelf: Shelf, release: Release, notes: list[str]) -> Mapping[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(shelf.store.get(release.manifest.explanation))
    except (DamageError, MissingError) as error:
        notes.append(f"why pictures changed cannot be read: {error}")
        return {}
    return found


def _parent(shelf: Shelf, release: Release, notes: list[str]) -> Release | None:
    if release.manifest.parent is None:
        return None
    try:
        return shelf.read(shelf.ref(release.manifest.parent))
    except NewbieError as error:
        notes.append(f"{release.manifest.parent}, which came before, cannot be read: {error}")
        return None


def _decisions(shelf: Shelf, notes: list[str]) -> list[Decision]:
    try:
        decisions, remarks = DecisionLog(shelf.store, shelf.set).read()
    except DamageError as error:
        notes.append(f"the decisions are not shown: {error}")
        return []
    notes.extend(remarks)
    return decisions


def _candidates(
    shelf: Shelf, standing: Standing, content: Content
) -> tuple[dict[str, dict[int, Entry]], dict[str, Recipe]]:
    """The candidates there are to choose from, as entries of the version, and their recipes by name."""
    found: dict[str, dict[int, Entry]] = {}
    recipes: dict[str, Recipe] = {}
    shown = {entry.id: entry.pixels for entry in content.entries if entry.id in standing.open}
    for one in open_candidates(shelf.store, shelf.set, standing) if shown else ():
        if one.about is not None and one.id in shown:
            recipe = recipe_name(one.about.recipe)
            recipes[recipe] = one.about.recipe
            found.setdefault(one.id, {})[one.number] = _entry(one.id, one.about, recipe)
    others = {i for i, entries in found.items() if any(e.pixels != shown[i] for e in entries.values())}
    return {picture_id: entries for picture_id, entries in found.items() if picture_id in others}, recipes


def _entry(picture_id: str, about: About, recipe: str) -> Entry:
    return Entry(
        id=picture_id,
        key=about.key,
        pixels=about.pixels,
        prompt=about.prompt,
        seed=about.seed,
        width=about.width,
        height=about.height,
        recipe=recipe,
        object=about.object,
        size=about.size,
    )


def _order(explanation: Mapping[str, Any]) -> list[list[str]]:
    found = explanation.get("order", [])
    return found if isinstance(found, list) else []


def _made(shelf: Shelf, release: Release | None) -> str:
    if release is None:
        return ""
    try:
        return str(read_attestation(shelf, release).get("started", ""))
    except (DamageError, MissingError):
        return ""


def _names(shelf: Shelf, release: Release | None, content: Content) -> dict[str, str]:
    """What people call the rows that the ids begin with, where their table has names."""
    if release is None:
        return {}
    wanted = {entry.id.partition("#")[0].split("/")[0] for entry in content.entries}
    tables = shelf.tables(release.manifest)
    ranked = sorted(tables.values(), key=lambda rows: -len(wanted & rows.keys()))
    rows = ranked[0] if ranked else {}
    return {row_id: name for row_id in wanted if (name := rows.get(row_id, {}).get("name", ""))}
