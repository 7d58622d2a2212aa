"""What a drawn character or a whole picture shows, component by component, as the small tagger sees it.

A component is shown with one value: the one whose tag is likeliest. A single "which expression?" would hide wrong
brows behind a right mouth, so every part of a face is a component of its own. Beside the tagger stands a probe of
hair colours without a network, which shares none of its habits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from newbie_core.drawing.colours import HAIR, RGB, tone
from newbie_core.drawing.expressions import FACES, TOUCHES
from newbie_core.errors import ModelError
from newbie_core.nano.scenes import (
    ACCESSORIES,
    ARMS,
    ATTRIBUTES,
    BACKGROUNDS,
    EXPRESSIONS,
    EYE_COLOURS,
    FACE_PARTS,
    GARMENT_COLOURS,
    GARMENTS,
    HAIR_COLOURS,
    HAIR_STYLES,
    USUAL_FACE,
    Box,
)
from newbie_core.taggers.deepdanbooru import Tagger

SIDE = 192
"""Pixels of the square that the small tagger looks at."""

HIDDEN_EYES = ("happy_closed", "heart")
"""Eyes that show no colour."""


def face_values(part: str) -> tuple[str, ...]:
    """What a part of a face can be among the expressions of `scenes`."""
    faces = [FACES.get(name) or TOUCHES[name] for name in EXPRESSIONS]
    return tuple(sorted({face.get(part, USUAL_FACE[part]) for face in faces}))


def components() -> dict[str, dict[str, str]]:
    """Component → its values → their tags. Of a character: exactly one value each."""
    table = {
        "gender": {"1girl": "female_focus", "1boy": "male_focus"},
        "hair_colour": {name: f"{name}_hair" for name in HAIR_COLOURS},
        "hair_style": {name: name for name in HAIR_STYLES},
        "eye_colour": {name: f"{name}_eyes" for name in EYE_COLOURS},
        "expression": {name: name for name in EXPRESSIONS},
        "garment": {name: name for name in GARMENTS},
        "garment_colour": {name: f"{name}_clothes" for name in GARMENT_COLOURS},
        "accessory": {name: "no_accessory" if name == "none" else name for name in ACCESSORIES},
        "arms": {name: name for name in ARMS},
    }
    table |= {part: {value: f"{part}:{value}" for value in face_values(part)} for part in FACE_PARTS}
    table |= {
        "background": {name: name for name in BACKGROUNDS},
        "count": {"1": "solo", "2": "two_characters", "3": "three_characters"},
    }
    return table


def tag_list() -> list[str]:
    """All tags, in the order of the outputs."""
    return [tag for values in components().values() for tag in values.values()]


def spans() -> dict[str, slice]:
    """Component → its outputs."""
    found, start = {}, 0
    for name, values in components().items():
        found[name] = slice(start, start + len(values))
        start += len(values)
    return found


OF_CHARACTERS = ("gender", *ATTRIBUTES, *FACE_PARTS)
"""Components of one character."""

OF_PICTURES = ("background", "count")
"""Components of a whole picture."""


CELL = 16
"""Pixels of a transformer's cell: an autoencoder's block of 8, two by two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A component's likeliest value and the probability of its tag."""

    value: str
    probability: float


class Judge:
    """A tagger of this project's drawings, asked component by component."""

    def __init__(self, tagger: Tagger) -> None:
        """Raises ModelError where the tagger lacks one of the components' tags."""
        table = components()
        places = {tag: place for place, tag in enumerate(tagger.tags)}
        wanted = [tag for values in table.values() for tag in values.values()]
        if missing := [tag for tag in wanted if tag not in places]:
            raise ModelError(
                f'the tagger has no tag "{missing[0]}"; {len(missing)} of {len(wanted)} are missing; expected one '
                "trained on this project's drawings",
                code="E_TAGGER_TAGS",
            )
        self._tagger = tagger
        self._values = {name: list(values) for name, values in table.items()}
        self._places = {name: [places[tag] for tag in values.values()] for name, values in table.items()}

    def characters(self, picture: Image.Image, boxes: Sequence[Box]) -> list[dict[str, Seen]]:
        """For each box every component of the character in it."""
        if not boxes:
            return []
        cuts = [cut_character(picture, box) for box in boxes]
        found = self._tagger.probabilities(cuts).numpy()
        return [self._answer(row, OF_CHARACTERS) for row in found]

    def picture(self, picture: Image.Image) -> dict[str, Seen]:
        """Every component of the picture as a whole."""
        return self._answer(self._tagger.probabilities([picture]).numpy()[0], OF_PICTURES)

    def _answer(self, row: NDArray[np.float32], names: Sequence[str]) -> dict[str, Seen]:
        found = {}
        for name in names:
            own = row[self._places[name]]
            best = int(own.argmax())
            found[name] = Seen(value=self._values[name][best], probability=float(own[best]))
        return found


def cut_character(picture: Image.Image, box: Box) -> Image.Image:
    """The part of a picture in `box`, cut at the picture's edge; at least one pixel."""
    return picture.crop(_inside(box, picture.size))


def _inside(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The whole pixels of a box that a picture of that size has."""
    left, top = (min(max(round(box[k]), 0), size[k] - 1) for k in (0, 1))
    right = min(max(round(box[2]), left + 1), size[0])
    bottom = min(max(round(box[3]), top + 1), size[1])
    return left, top, right, bottom


def sureness(answers: Mapping[str, Seen]) -> float:
    """The smallest probability of what is seen of a character; of hidden eyes no colour is asked."""
    hidden = answers["eyes"].value in HIDDEN_EYES
    return min(each.probability for name, each in answers.items() if name != "eye_colour" or not hidden)


def seams(picture: Image.Image) -> float:
    """How much more neighbours differ across the borders of cells than within them; 0.8 to 1.2 in drawings.

    A model that cannot decide paints cells of two pictures side by side: patches, which no tagger need notice.
    """
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    across, within = 0.0, 0.0
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels, axis=axis)).mean(axis=(1 - axis, 2))
        border = (np.arange(len(steps)) + 1) % CELL == 0
        across += float(steps[border].mean())
        within += float(steps[~border].mean())
    return across / max(within, 1e-6)


# Where hair is seen whatever its style: above the brows, in half heads from the middle of a box's head.
_FRINGE = (-0.7, -0.9, 0.7, -0.45)
_HEAD_FROM_TOP = 1.75
_BOX_WIDTH = 3.0
_NEARBY = 18.0  # a difference in CIELAB that still counts as the same colour


def hair_colour_probe(picture: Image.Image, box: Box) -> str:
    """The hair colour of `scenes.HAIR_COLOURS` that most of the fringe has; no network is asked.

    Each pixel votes for colours near its own: their plain, shaded and, at a third, lit tones.
    """
    pixels = _lab(_fringe(picture, box).reshape(-1, 3))
    votes = []
    for name in HAIR_COLOURS:
        own = tone(HAIR[name])
        agreed = [
            weight * np.exp(-np.square(pixels - _lab(np.array(colour))).sum(axis=-1) / _NEARBY**2)
            for colour, weight in ((own.base, 1.0), (own.shade, 0.9), (own.light, 0.35))
        ]
        votes.append(float(np.max(agreed, axis=0).sum()))
    return HAIR_COLOURS[int(np.argmax(votes))]


def _fringe(picture: Image.Image, box: Box) -> NDArray[np.uint8]:
    """The part of a picture over a character's brows; at least one pixel."""
    unit = (box[2] - box[0]) / _BOX_WIDTH
    middle = ((box[0] + box[2]) / 2, box[1] + _HEAD_FROM_TOP * unit)
    fringe = (
        middle[0] + _FRINGE[0] * unit,
        middle[1] + _FRINGE[1] * unit,
        middle[0] + _FRINGE[2] * unit,
        middle[1] + _FRINGE[3] * unit,
    )
    return np.asarray(cut_character(picture, fringe).convert("RGB"), dtype=np.uint8)


def _lab(colours: NDArray[np.uint8] | NDArray[np.int64] | RGB) -> NDArray[np.float64]:
    """sRGB 0..255 `[…, 3]` as CIELAB under D65 (IEC 61966-2-1, CIE 15)."""
    share = np.asarray(colours, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
