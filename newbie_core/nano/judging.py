"""What a drawn character or picture shows, component by component, as the small tagger sees it.

The tagger's tags are grouped in components (`COMPONENTS`): of a component a character shows one value, the likeliest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from newbie_core.drawing import understand
from newbie_core.drawing.colours import HAIR
from newbie_core.drawing.expressions import FACES
from newbie_core.errors import ModelError
from newbie_core.nano.scenes import (
    ACCESSORIES,
    ARMS,
    ATTRIBUTES,
    BACKGROUNDS,
    EXPRESSIONS,
    EYE_COLOURS,
    FACE_PARTS,
    FRAMINGS,
    GARMENT_COLOURS,
    GARMENTS,
    HAIR_COLOURS,
    HAIR_STYLES,
    Character,
    Scene,
)
from newbie_core.taggers.deepdanbooru import DeepDanbooruTagger
from newbie_core.taggers.squares import on_white

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

SIDE = 192
"""Pixels of the square that the small tagger looks at."""

_USUAL = {"brows": "soft"}  # how drawing shows a face whose expression leaves a part open; "none" elsewhere


def _face_tags(part: str) -> dict[str, str]:
    values = {FACES[name].get(part, _USUAL.get(part, "none")) for name in EXPRESSIONS if name in FACES}
    if part in ("mouth", "eyes"):
        values |= {"smile"} if part == "mouth" else {"soft"}  # `smile` is a touch, not a whole face
    return {value: f"{value}_({part})" for value in sorted(values)}


def _same(names: Sequence[str]) -> dict[str, str]:
    return {name: name for name in names}


CHARACTER: Mapping[str, Mapping[str, str]] = {
    "gender": _same(("1girl", "1boy")),
    "hair_colour": {name: f"{name}_hair" for name in HAIR_COLOURS},
    "hair_style": _same(tuple(HAIR_STYLES)),
    "eye_colour": {name: f"{name}_eyes" for name in EYE_COLOURS},
    "expression": _same(EXPRESSIONS),
    "garment": _same(GARMENTS),
    "garment_colour": {name: f"{name}_clothes" for name in GARMENT_COLOURS},
    "accessory": {name: "no_accessory" if name == "none" else name for name in ACCESSORIES},
    "arms": _same(ARMS),
    **{part: _face_tags(part) for part in FACE_PARTS},
}
"""Of one character: component → value → tag. Expressions first of whole faces; the last six are parts of a face."""

PICTURE: Mapping[str, Mapping[str, str]] = {
    "background": _same(BACKGROUNDS),
    "framing": _same(FRAMINGS),
    "count": {"1": "solo", "2": "two_people", "3": "three_people"},
}
"""Of a whole picture, likewise."""

COMPONENTS: Mapping[str, Mapping[str, str]] = {**CHARACTER, **PICTURE}
TAGS: tuple[str, ...] = tuple(tag for values in COMPONENTS.values() for tag in values.values())
"""The small tagger's outputs, in order."""

CLOSED_EYES = frozenset({"happy_closed"})
"""Eyes whose colour nobody can see."""

Answer = Mapping[str, "Seen"]
"""Component → what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The likeliest value of a component and the tagger's probability for its tag."""

    value: str
    probability: float


def shown(character: Character) -> dict[str, str]:
    """What the character's drawing shows of every component; left out is what cannot be seen or has no name.

    No colour of closed eyes; no expression where `unseen` tags have changed parts of the face.
    """
    found = {name: str(getattr(character, name)) for name in ("gender", *ATTRIBUTES)}
    plain = understand((character.expression,)).attributes
    face = understand(character.tags()).attributes
    parts = {part: face.get(part, _USUAL.get(part, "none")) for part in FACE_PARTS}
    found |= {part: value for part, value in parts.items() if value in CHARACTER[part]}
    if any(plain.get(part) != face.get(part) for part in FACE_PARTS):
        del found["expression"]
    if parts["eyes"] in CLOSED_EYES:
        del found["eye_colour"]
    return found


def shown_in(scene: Scene) -> dict[str, str]:
    """What the whole picture of a scene shows of every component of pictures."""
    return {
        "background": scene.background,
        "framing": scene.framing,
        "count": str(len(scene.characters)),
    }


def cut(picture: Image.Image, box: Box) -> Image.Image:
    """The part of a picture inside a box, as far as the picture reaches; at least one pixel."""
    left, top = (min(max(round(box[k]), 0), picture.size[k] - 1) for k in (0, 1))
    right, bottom = (
        min(max(round(box[k]), low + 1), picture.size[k - 2]) for k, low in ((2, left), (3, top))
    )
    return picture.crop((left, top, right, bottom))


class Judge:
    """The small tagger, asked component by component."""

    def __init__(self, tagger: DeepDanbooruTagger) -> None:
        """Raises ModelError where the tagger lacks one of `TAGS`."""
        places = {tag: place for place, tag in enumerate(tagger.tags)}
        if missing := [tag for tag in TAGS if tag not in places]:
            raise ModelError(
                f'the tagger has no tag "{missing[0]}" ({len(missing)} of {len(TAGS)} are missing); expected one '
                "trained on this project's drawings",
                code="E_TAGGER_TAGS",
            )
        self._tagger = tagger
        self._places = {
            name: [places[tag] for tag in values.values()] for name, values in COMPONENTS.items()
        }

    def characters(self, picture: Image.Image, boxes: Sequence[Box]) -> list[dict[str, Seen]]:
        """Every component of the character inside each box, as `scenes.character_boxes` gives them."""
        logits = self._tagger.logits([cut(picture, box) for box in boxes])
        return [self._answer(row, CHARACTER) for row in logits]

    def picture(self, picture: Image.Image) -> dict[str, Seen]:
        """Every component of the picture as a whole."""
        return self._answer(self._tagger.logits([picture])[0], PICTURE)

    def _answer(self, logits: NDArray[np.float32], names: Mapping[str, Mapping[str, str]]) -> dict[str, Seen]:
        found = {}
        for name in names:
            own = logits[self._places[name]]
            best = int(own.argmax())
            probability = 1 / (1 + float(np.exp(-np.float64(own[best]))))
            found[name] = Seen(value=list(names[name])[best], probability=probability)
        return found
