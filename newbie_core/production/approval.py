"""What a release waits for: each changed picture approved, where approval is required."""

from __future__ import annotations

from newbie_core.releases import Content, Release
from newbie_core.review.standing import Standing


def undecided(content: Content, parent: Release | None, standing: Standing) -> list[str]:
    """The ids whose pixels differ from the release that counts and that nobody approved, chose or pinned."""
    released = {entry.id: entry.pixels for entry in parent.content.entries} if parent else {}
    return [
        entry.id
        for entry in content.entries
        if released.get(entry.id) != entry.pixels and not standing.is_approved(entry.id, entry.pixels)
    ]
