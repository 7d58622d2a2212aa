"""Understand danbooru-like tags: which part of the picture each one chooses, and which choose nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from newbie_core.drawing.aliases import (
    colour_aliases,
    expression_aliases,
    eye_aliases,
    hair_aliases,
    tag_aliases,
)
from newbie_core.drawing.colours import CLOTH
from newbie_core.drawing.expressions import FACES, KEEPS_OPEN, MERRY, OPENED, TOUCHES, Parts
from newbie_core.drawing.words import CHOICES, EXPANSIONS, ITEMS, PATTERNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What tags ask for: the value chosen for each component, and the tags that choose nothing."""

    attributes: dict[str, str]
    unknown: tuple[str, ...]


@lru_cache(maxsize=4096)
def plain(tag: str) -> str:
    """A tag as the vocabulary spells it: lower case, underscores, no escapes or weights."""
    text = tag.strip().lower().replace("\\", "")
    text = re.sub(r"^\(+(.*?)(:[\d.]+)?\)+$", r"\1", text) if text.startswith("(") else text
    text = re.sub(r"\s+", "_", text)
    if any(text in known for known in (tag_aliases(), expression_aliases(), FACES, TOUCHES, _exact())):
        return text
    return text.replace("-", "_")


def understand(tags: Sequence[str]) -> Understood:
    """What the tags choose; later tags win over earlier ones of the same component."""
    attributes: dict[str, str] = {}
    faces: list[str] = []
    touches: list[str] = []
    unknown: list[str] = []
    for tag in tags:
        name = expression_aliases().get(plain(tag), plain(tag))
        chosen = _chosen(plain(tag))
        if name in FACES:
            faces.append(name)
        elif name in TOUCHES:
            touches.append(name)
        elif chosen:
            attributes.update(chosen)
        elif tag.strip():
            unknown.append(tag)
    attributes.update(_face(faces, touches))
    return Understood(attributes=attributes, unknown=tuple(unknown))


@lru_cache(maxsize=1)
def _exact() -> dict[str, tuple[str, str]]:
    """tag -> component and value, for every tag that takes no colour."""
    return {tag: (component, value) for component, tags in CHOICES.items() for tag, value in tags.items()}


@lru_cache(maxsize=1)
def _component_of() -> dict[str, str]:
    return {item: component for component, items in ITEMS.items() for item in items}


@lru_cache(maxsize=1)
def _prefixes() -> tuple[tuple[str, str], ...]:
    """Colour words, longest first, with the colour each means."""
    words = {**{name: name for name in CLOTH}, **colour_aliases()}
    return tuple(sorted(words.items(), key=lambda pair: -len(pair[0])))


@lru_cache(maxsize=4096)
def _chosen(tag: str) -> dict[str, str]:
    """The components that one plain tag sets; empty for an unknown tag."""
    if tag in EXPANSIONS:
        return {key: value for part in EXPANSIONS[tag] for key, value in _chosen(part).items()}
    if tag in _exact():
        component, value = _exact()[tag]
        return {component: value}
    if tag in tag_aliases() and tag_aliases()[tag] != tag:
        return _chosen(tag_aliases()[tag])
    return _body_colour(tag) or _background_colour(tag) or _item(tag)


def _body_colour(tag: str) -> dict[str, str]:
    """Hair and eye colours under their other names, such as teal_eyes."""
    for suffix, component, own in (
        ("_hair", "hair_colour", hair_aliases()),
        ("_eyes", "eye_colour", eye_aliases()),
    ):
        if tag.endswith(suffix):
            word = tag.removesuffix(suffix)
            value = own.get(word, word)
            if f"{value}{suffix}" in _exact():
                return {component: value}
    return {}


def _background_colour(tag: str) -> dict[str, str]:
    if tag.endswith("_background"):
        word = tag.removesuffix("_background")
        value = f"{colour_aliases().get(word, word)}_background"
        if value in _exact():
            return {"background": _exact()[value][1]}
    return {}


def _item(tag: str) -> dict[str, str]:
    """A garment or accessory with any colours and patterns before its name."""
    colour, pattern, rest = None, None, tag
    while True:
        item = tag_aliases().get(rest, rest)
        if item in _component_of():
            component = _component_of()[item]
            found = {component: item}
            if colour:
                found[f"{component}_colour"] = colour
            if pattern and component in ("garment", "lower"):
                found[f"{component}_pattern"] = pattern
            return found
        if item in EXPANSIONS and rest != tag:
            return _recoloured(item, colour)
        for word, value in _prefixes():
            if rest.startswith(f"{word}_"):
                colour, rest = value, rest[len(word) + 1 :]
                break
        else:
            for word in PATTERNS:
                if rest.startswith(f"{word}_"):
                    pattern, rest = word, rest[len(word) + 1 :]
                    break
            else:
                return {}


def _recoloured(outfit: str, colour: str | None) -> dict[str, str]:
    """An outfit of several parts whose main garment has a colour of its own."""
    found = dict(_chosen(outfit))
    if colour is None or "garment" not in found:
        return {}
    return found | {"garment_colour": colour}


def _turn(touch: str) -> int:
    """Broad touches go first, so that narrow ones refine them; "open" needs to know the mouth."""
    return (
        0
        if touch in ("smile", "grin", "pout")
        else 2
        if touch in ("open_mouth", "closed_mouth", "closed_eyes")
        else 1
    )


def _face(faces: list[str], touches: list[str]) -> Parts:
    """The parts of the face: whole faces first, then single touches."""
    parts: Parts = {}
    for name in faces:
        parts |= FACES[name]
    for name in sorted(touches, key=_turn):
        touch = dict(TOUCHES[name])
        if faces and name in ("smile", "grin", "pout"):
            merry = name == "smile" and parts.get("mouth") in MERRY
            touch = {} if merry else {"mouth": touch["mouth"]}
        if name == "open_mouth" and "mouth" in parts:
            touch["mouth"] = (
                parts["mouth"] if parts["mouth"] in KEEPS_OPEN else OPENED.get(parts["mouth"], "small_open")
            )
        if name == "closed_mouth" and parts.get("mouth") not in {None, *KEEPS_OPEN}:
            continue
        if name == "closed_eyes" and parts.get("mouth") in MERRY:
            touch["eyes"] = "happy_closed"
        parts |= touch
    if faces or touches:
        parts["expression"] = faces[-1] if faces else touches[0]
    return parts
