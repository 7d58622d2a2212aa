"""What differs between two releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from newbie_core.releases.manifest import Content, Entry
from newbie_core.releases.shelf import Release

_KEY_PARTS = ("prompt", "seed", "width", "height", "recipe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One picture that differs: which parts of what decides it, and whether its pixels do."""

    id: str
    kind: Literal["added", "changed", "removed"]
    parts: tuple[str, ...] = ()

    def record(self) -> dict[str, object]:
        """The difference as programs read it."""
        return {"id": self.id, "kind": self.kind, "parts": list(self.parts)}


def compare(old: Release, new: Release) -> list[Difference]:
    """The pictures that differ from `old` to `new`, by id."""
    return compare_contents(old.content, new.content)


def compare_contents(old: Content, new: Content) -> list[Difference]:
    """The pictures that differ between two contents, by id; a proposal's content may be one of them."""
    before = {entry.id: entry for entry in old.entries}
    after = {entry.id: entry for entry in new.entries}
    found = []
    for picture_id in sorted({*before, *after}):
        was, now = before.get(picture_id), after.get(picture_id)
        if was is None:
            found.append(Difference(id=picture_id, kind="added"))
        elif now is None:
            found.append(Difference(id=picture_id, kind="removed"))
        elif (was.key, was.pixels) != (now.key, now.pixels):
            found.append(Difference(id=picture_id, kind="changed", parts=_parts(was, now)))
    return found


def _parts(was: Entry, now: Entry) -> tuple[str, ...]:
    parts = [name for name in _KEY_PARTS if getattr(was, name) != getattr(now, name)]
    return (*parts, "pixels") if was.pixels != now.pixels else tuple(parts)
