"""What a release says: its content, and beside it where the bytes lie, why, and how it came about.

A release is one manifest object that names these objects by digest::

    content       JSON Lines: a header, then one line a picture, sorted by id. Only what is the same on
                  every machine and night; its sha256 is the release's digest
    objects       JSON Lines, one `[object, size]` a picture in the same order: the files' own digests
    tables        the rows the pictures were made from, to explain the next change
    explanation   what was added, changed and removed against the parent, each with its causes; and the
                  order of the rows in their sheets, which pages follow
    attestation   when, where, how long, under which licences; rejected rows as they stood; never part of
                  the digest
    pages         what people look at beside the pictures: contact sheet, changes, rejected rows

A line of content: `[id, key, pixels, prompt, seed, width, height, recipe]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from newbie_core.digests import canonical_json, digest_bytes, digest_value
from newbie_core.errors import DamageError
from newbie_core.plans import Recipe

FORMAT = 1
_SHORT = 12


class Entry(NamedTuple):
    """One picture of a release."""

    id: str
    key: str
    pixels: str
    prompt: str
    seed: int
    width: int
    height: int
    recipe: str
    object: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The deterministic part: equal contents are the same release, wherever and whenever they were made.

    Attributes:
        held: ids kept as they were because their row is rejected, with the reason.
        rejected: rows that gave no picture: sheet, id, column, code; no positions.
        failed: ids that were asked for and could not be made.
    """

    set: str
    title: str
    engine: Mapping[str, str]
    template: str
    settings: Mapping[str, str]
    recipes: Mapping[str, Recipe]
    entries: Sequence[Entry]
    held: Mapping[str, str]
    rejected: Sequence[Mapping[str, str | None]]
    failed: Sequence[str]

    def encode(self) -> bytes:
        """The canonical bytes of the content."""
        header = {
            "format": FORMAT,
            "set": self.set,
            "title": self.title,
            "engine": dict(self.engine),
            "template": self.template,
            "settings": dict(self.settings),
            "recipes": {short: _recipe_record(recipe) for short, recipe in self.recipes.items()},
            "held": dict(self.held),
            "rejected": [dict(row) for row in self.rejected],
            "failed": list(self.failed),
            "pictures": len(self.entries),
        }
        lines = [canonical_json(header)]
        lines.extend(orjson.dumps(entry[:8]) for entry in self.entries)
        return b"\n".join(lines) + b"\n"

    def encode_objects(self) -> bytes:
        """Where each picture's bytes are, in the order of the entries."""
        return b"".join(orjson.dumps(entry[8:]) + b"\n" for entry in self.entries)


def decode_content(content: bytes, objects: bytes) -> Content:
    """The content from its two objects.

    Raises:
        DamageError: they do not fit together, or are of an unknown format.
    """
    head, _, rest = content.partition(b"\n")
    header = orjson.loads(head)
    if header.get("format") != FORMAT:
        raise DamageError(f"the release is of format {header.get('format')}; this version knows {FORMAT}")
    rows = _lines(rest)
    places = _lines(objects)
    if not len(rows) == len(places) == header["pictures"]:
        raise DamageError(f"the release lists {len(rows)} pictures and {len(places)} objects")
    return Content(
        set=header["set"],
        title=header["title"],
        engine=header["engine"],
        template=header["template"],
        settings=header["settings"],
        recipes={short: Recipe(**record) for short, record in header["recipes"].items()},
        entries=[Entry._make(row + place) for row, place in zip(rows, places, strict=True)],
        held=header["held"],
        rejected=header["rejected"],
        failed=header["failed"],
    )


def _lines(data: bytes) -> list[Any]:
    rows: list[Any] = orjson.loads(b"[" + data.strip().replace(b"\n", b",") + b"]")
    return rows


def recipe_name(recipe: Recipe) -> str:
    """The short name of a recipe in the entries: the start of its digest."""
    return digest_value(_recipe_record(recipe))[:_SHORT]


def _recipe_record(recipe: Recipe) -> dict[str, str | int]:
    return {
        "engine": recipe.engine,
        "template": recipe.template,
        "steps": recipe.steps,
        "guidance": recipe.guidance,
        "negative": recipe.negative,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The object that names a release's parts; `content` is the release's digest."""

    set: str
    content: str
    objects: str
    tables: Mapping[str, str]
    explanation: str
    attestation: str
    pages: Mapping[str, str]
    parent: str | None

    def encode(self) -> bytes:
        """The manifest's bytes."""
        return canonical_json(
            {
                "format": FORMAT,
                "set": self.set,
                "content": self.content,
                "objects": self.objects,
                "tables": dict(self.tables),
                "explanation": self.explanation,
                "attestation": self.attestation,
                "pages": dict(self.pages),
                "parent": self.parent,
            }
        )

    def parts(self) -> dict[str, str]:
        """Every object the manifest names, by what it is."""
        return {
            "content": self.content,
            "objects": self.objects,
            "explanation": self.explanation,
            "attestation": self.attestation,
            **{f"table {name}": digest for name, digest in self.tables.items()},
            **dict(self.pages),
        }


def decode_manifest(data: bytes) -> Manifest:
    """The manifest from its bytes."""
    record = orjson.loads(data)
    if record.pop("format", None) != FORMAT:
        raise DamageError(f"the manifest is not of format {FORMAT}")
    return Manifest(**record)


def encode_table(rows: Mapping[str, Mapping[str, str]]) -> bytes:
    """A table's rows by id, as they are kept to explain the next change."""
    return canonical_json({row_id: dict(values) for row_id, values in rows.items()})


def decode_table(data: bytes) -> dict[str, dict[str, str]]:
    """The rows that `encode_table` wrote."""
    table: dict[str, dict[str, str]] = orjson.loads(data)
    return table


def content_digest(content: Content) -> str:
    """The release digest this content has."""
    return digest_bytes(content.encode())


def sorted_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in their order in a release: by id, code point by code point."""
    return sorted(entries, key=lambda entry: entry.id)
