"""The XML prompt as a value: its blocks, its one canonical text, its flat form.

A prompt has no root element; one block a character, then the scene, the general tags and a caption::

    <character_1>
    <n>miku</n>
    <gender>1girl</gender>
    <appearance>blue_hair, long_twintails, aqua_eyes</appearance>
    <expression>smile</expression>
    <position>x:0.5, y:0.7</position>
    </character_1>

    <general_tags>
    <count>1girl, solo</count>
    <style>anime_style</style>
    </general_tags>

Field names and their order: NewBie-image's README, extended by the XML builder of its ComfyUI nodes;
`pose`, `scene` and `composition` come from the project's founding documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

CHARACTER_FIELDS = (
    "n", "gender", "appearance", "clothing", "body_type", "expression", "action", "pose", "interaction", "position",
)  # fmt: skip
SCENE_FIELDS = ("background", "environment", "lighting", "atmosphere")
GENERAL_FIELDS = (
    "count", "artists", "style", "background", "environment", "perspective", "composition", "atmosphere", "lighting",
    "quality", "resolution", "objects", "other", "extra_tags",
)  # fmt: skip
TEXT_FIELDS = frozenset({"n", "position", "caption"})
"""Fields whose value is one text, not a list of tags."""

_SEPARATORS = re.compile(r"[,，、;；\n]+")
_FLAT_GENERAL_ORDER = (
    "composition", "perspective", "background", "environment", "lighting", "atmosphere", "objects", "style", "artists",
    "quality", "resolution", "other", "extra_tags",
)  # fmt: skip
_POINT = re.compile(r"x\s*:\s*(\d*\.?\d+)\s*,\s*y\s*:\s*(\d*\.?\d+)")
_TEXTS_REMEMBERED = 4096
"""Many cells of a sheet say the same."""
_PLACEHOLDER = re.compile(r"\$character_\d+\$")

Field = tuple[str, tuple[str, ...]]
BlockKind = Literal["character", "scene", "general_tags"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of a prompt: fields in canonical order, each with its tags (or its one text)."""

    kind: BlockKind
    fields: tuple[Field, ...]

    def get(self, name: str) -> tuple[str, ...]:
        """The tags of field `name`; empty when it is left out."""
        for field, values in self.fields:
            if field == name:
                return values
        return ()

    def tags(self) -> Iterator[str]:
        """Every tag of the block but names, positions and captions."""
        for field, values in self.fields:
            if field not in TEXT_FIELDS:
                yield from values


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What one picture shows: characters in order, the scene, the general tags, a caption in prose."""

    characters: tuple[Block, ...] = ()
    scene: Block | None = None
    general: Block | None = None
    caption: str = ""

    def to_xml(self) -> str:
        """The canonical text: fixed order, one field a line, no indent, empty fields left out."""
        parts = [
            _block_xml(f"character_{number}", block) for number, block in enumerate(self.characters, start=1)
        ]
        if self.scene is not None:
            parts.append(_block_xml("scene", self.scene))
        if self.general is not None:
            parts.append(_block_xml("general_tags", self.general))
        if self.caption:
            parts.append(f"<caption>{escape_xml(self.caption)}</caption>")
        return "\n\n".join(parts) + "\n"

    def has_text(self) -> bool:
        """Whether any field, or the caption, says anything."""
        blocks = (*self.characters, self.scene, self.general)
        return bool(self.caption) or any(block.fields for block in blocks if block is not None)

    def flatten(self, *, prefixed: bool = False) -> str:
        """The prompt as comma-separated tags for models that read no XML.

        Args:
            prefixed: put `[char1]`, `[char2]` … before each character's tags, so that they stay bound.
        """
        tags = list(self.general.get("count")) if self.general else []
        for number, block in enumerate(self.characters, start=1):
            mark = f"[char{number}]" if prefixed else ""
            tags.extend(mark + tag for tag in _flat_character(block))
        for field in _FLAT_GENERAL_ORDER:
            for block_or_none in (self.scene, self.general):
                if block_or_none is not None:
                    tags.extend(block_or_none.get(field))
        if self.caption:
            tags.append(self.caption)
        return ", ".join(dict.fromkeys(tags))


def make_block(kind: BlockKind, fields: Mapping[str, Iterable[str]], order: tuple[str, ...]) -> Block:
    """A block with its fields in canonical order: known ones as in `order`, further ones behind by name."""
    known = [name for name in order if name in fields]
    further = sorted(fields.keys() - known) if len(known) < len(fields) else ()
    kept = ((name, tuple(fields[name])) for name in (*known, *further))
    return Block(kind=kind, fields=tuple((name, values) for name, values in kept if values))


@lru_cache(maxsize=_TEXTS_REMEMBERED)
def split_tags(text: str) -> tuple[str, ...]:
    """The tags of a cell or element: split at western and CJK commas and semicolons, trimmed, each once."""
    if "," not in text and "\n" not in text and text.isascii() and ";" not in text:
        stripped = " ".join(text.split())
        return (stripped,) if stripped else ()
    parts = (" ".join(part.split()) for part in _SEPARATORS.split(text))
    return tuple(dict.fromkeys(part for part in parts if part))


def position_point(text: str) -> tuple[float, float] | None:
    """The point of a position such as `x:0.5, y:0.7`, as fractions of width and height; None for a word."""
    match = _POINT.fullmatch(text.strip())
    return (float(match[1]), float(match[2])) if match else None


def escape_xml(text: str) -> str:
    """XML's own rule: only & < >, never quotes, since the text encoder reads the characters as they stand."""
    if "&" in text or "<" in text or ">" in text:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text


def _block_xml(tag: str, block: Block) -> str:
    lines = [f"<{tag}>"]
    lines.extend(f"<{name}>{escape_xml(', '.join(values))}</{name}>" for name, values in block.fields)
    lines.append(f"</{tag}>")
    return "\n".join(lines)


def _flat_character(block: Block) -> Iterator[str]:
    for field, values in block.fields:
        if field == "n":
            yield from (name for name in values if not _PLACEHOLDER.fullmatch(name))
        elif field == "position":
            point = position_point(values[0])
            yield _position_words(point) if point else values[0]
        else:
            yield from values


def _position_words(point: tuple[float, float]) -> str:
    x = point[0]
    if x < 0.4:
        return "on_the_left"
    return "on_the_right" if x > 0.6 else "in_the_center"
