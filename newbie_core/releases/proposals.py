"""What a run made and nobody has approved yet: the content of a release that is held back.

A set has one proposal at most, `refs/<set>/PROPOSAL`, replaced whole by the next run and taken away when
a release is published. It names its content, objects, explanation and pages as a release's manifest does.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from newbie_core.digests import canonical_json
from newbie_core.errors import MissingError
from newbie_core.releases.manifest import Content, decode_content
from newbie_core.releases.shelf import Shelf
from newbie_core.releases.views import build_view, view_folder
from newbie_core.store import safe_name, seal, unseal

PROPOSAL = "proposal"
"""What stands in the place of a release's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal, read.

    Attributes:
        parts: the digests of the objects it is stored in.
        explanation: what changed against the release that counts, and why, as a release keeps it.
    """

    content: Content
    parts: tuple[str, ...]
    pages: Mapping[str, str]
    explanation: Mapping[str, Any] = field(default_factory=dict)


def proposal_name(set_name: str) -> str:
    """Where a set's proposal stands in the store."""
    return f"refs/{safe_name(set_name)}/PROPOSAL"


def read_proposal(shelf: Shelf) -> Proposal | None:
    """The set's proposal; None where there is none.

    Raises:
        DamageError, MissingError: it, or a part of it, is damaged or not there; the next run makes it again.
    """
    name = proposal_name(shelf.set)
    try:
        data = shelf.store.driver.read(name)
    except MissingError:
        return None
    record = orjson.loads(unseal(data, name))
    content = decode_content(shelf.store.get(record["content"]), shelf.store.get(record["objects"]))
    told = record.get("explanation")
    parts = (record["content"], record["objects"], *([told] if told else []), *record["pages"].values())
    explanation = orjson.loads(shelf.store.get(told)) if told else {}
    return Proposal(content=content, parts=parts, pages=record["pages"], explanation=explanation)


def propose(
    shelf: Shelf,
    root: Path,
    content: Content,
    pages: Mapping[str, bytes],
    explanation: Mapping[str, Any],
) -> Path:
    """Keep `content` as the set's proposal; the folder that shows its pictures under their names."""
    told = canonical_json(dict(explanation))
    digests = shelf.store.put_many([content.encode(), content.encode_objects(), told, *pages.values()])
    named = dict(zip(pages, digests[3:], strict=True))
    record = {
        "set": shelf.set,
        "content": digests[0],
        "objects": digests[1],
        "explanation": digests[2],
        "pages": named,
    }
    shelf.store.driver.replace(proposal_name(shelf.set), seal(canonical_json(record)))
    folder = view_folder(root, shelf.set, PROPOSAL)
    build_view(shelf.store, folder, content.entries, named)
    return folder


def withdraw(shelf: Shelf, root: Path) -> None:
    """Take the set's proposal away, with its view: it was published, or nobody asks for it any more."""
    if shelf.store.driver.stat(proposal_name(shelf.set)) is None:
        return
    shelf.store.driver.remove(proposal_name(shelf.set))
    folder = view_folder(root, shelf.set, PROPOSAL)
    if folder.is_dir() and not (folder.is_symlink() or folder.parent.is_symlink()):
        shutil.rmtree(folder)
