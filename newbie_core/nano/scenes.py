"""Random scenes of the small model's world: who is in the picture, drawn by `drawing`, with every attribute known."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from newbie_core.drawing import Figure, Setting, Spot, draw, understand

HAIR_COLOURS = (
    "red", "orange", "blonde", "brown", "black", "white", "pink", "purple", "blue", "green", "aqua",
)  # fmt: skip
EYE_COLOURS = ("red", "yellow", "green", "aqua", "blue", "purple", "pink", "brown")
HAIR_STYLES: Mapping[str, tuple[str, ...]] = {
    "short_hair": ("short_hair",),
    "spiky_hair": ("short_hair", "spiky_hair"),
    "long_hair": ("long_hair",),
    "twintails": ("long_hair", "twintails"),
    "ponytail": ("long_hair", "ponytail"),
    "side_ponytail": ("long_hair", "side_ponytail"),
    "double_bun": ("double_bun",),
    "twin_braids": ("long_hair", "twin_braids"),
    "drill_hair": ("long_hair", "drill_hair"),
}
"""Hair styles, with the tags that draw them."""

BOY_STYLES = ("short_hair", "spiky_hair")
EXPRESSIONS = (
    "neutral", "smile", "happy", "laughing", "angry", "sad", "crying", "surprised", "embarrassed", "wink",
    "sleepy", "smug", "scared", "love", "confused",
)  # fmt: skip
GARMENTS = ("serafuku", "shirt", "hoodie", "sweater", "dress", "kimono")
BOY_GARMENTS = ("shirt", "hoodie", "sweater", "kimono")
GARMENT_COLOURS = ("red", "yellow", "green", "blue", "purple", "pink", "white", "black")
ACCESSORIES = (
    "none", "glasses", "cat_ears", "rabbit_ears", "hair_bow", "headphones", "crown", "halo", "horns", "scarf",
    "hair_flower",
)  # fmt: skip
ARMS = ("arms_at_sides", "waving", "v", "crossed_arms", "hands_on_hips", "arms_up")
BACKGROUNDS = (
    "simple_background", "sky", "night_sky", "sunset", "city_night", "classroom", "beach", "cherry_blossoms",
    "forest", "snow", "library",
)  # fmt: skip
FRAMING = "upper_body"
"""What is seen of everybody; the small model knows no other framing."""

POSITIONS = ("left", "center", "right")

SIZES = ((192, 192), (192, 256), (288, 192))
"""Width and height of the pictures the model is trained on."""

UNIT, HEAD = 40, 84
"""Pixels of half a head, and of a head's middle from the top: the same in every picture.

A model of a few million parameters learns one size of face well. Heads stand whole cells of the transformer (16 pixels)
apart, so that a line of a face falls on the same place of a cell in every picture.
"""

PLACES: Mapping[tuple[int, int], tuple[int, ...]] = {
    (192, 1): (96,),
    (192, 2): (48, 144),
    (288, 1): (144,),
    (288, 2): (80, 208),
    (288, 3): (48, 144, 240),
}
"""Where heads stand, in pixels from the left, by the picture's width and the number of characters."""

ASIDE: Mapping[str, int] = {"left": -32, "center": 0, "right": 32}
"""How far a lone character stands from the middle."""

HANDS: tuple[tuple[str, ...], ...] = (
    ("blunt_bangs",), ("swept_bangs",), ("parted_bangs", "ahoge"), ("crossed_bangs",),
)  # fmt: skip
"""The ways a character may be drawn that no prompt tells, so that seeds matter: each its own fringe and strokes."""

VIEWS = 4
"""So many layouts has each background."""

HELD_OUT: tuple[tuple[str, str, str, str], ...] = (
    ("hair_colour", "pink", "eye_colour", "green"),
    ("hair_colour", "aqua", "eye_colour", "red"),
    ("hair_colour", "white", "hair_style", "twintails"),
    ("hair_colour", "black", "hair_style", "drill_hair"),
    ("garment", "dress", "garment_colour", "yellow"),
    ("garment", "sweater", "garment_colour", "purple"),
    ("expression", "crying", "accessory", "crown"),
    ("expression", "angry", "accessory", "halo"),
    ("hair_style", "double_bun", "garment", "hoodie"),
    ("eye_colour", "yellow", "arms", "v"),
)
"""Pairs of attributes that no character has in training: what the model makes of them it has put together itself."""

ONE_IN_SIMPLE = 0.3
"""Share of scenes before a simple background, beside its even share."""


HARD_SHARE = 0.22
"""Share of training scenes taken from the hard ones alone, see `is_hard`.

Without them, of characters before a night sky one in seven had something wrong, of others one in twenty-seven.
"""


PLAIN_SHARE = 0.15
"""Share of training scenes in which there is nothing but what is expected where a prompt does not say; see `plain`."""

EXPECTED_STYLE: Mapping[str, str] = {"1girl": "long_hair", "1boy": "short_hair"}
EXPECTED: Mapping[str, str] = {"accessory": "none", "arms": "arms_at_sides"}
EXPECTED_BACKGROUND = "simple_background"
"""These three: what a picture shows where its prompt says nothing of it. Colours, garments and faces are the seed's.

Pictures of short prompts that were not as clean as drawings had arms, tails of hair or backgrounds between two that the
prompt had left open.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """One figure; every field up to `position` is a value of the tuples above.

    Attributes:
        x: of the head's middle, in pixels.
        hand: names how it is drawn where its tags say nothing.
        unseen: more tags it is drawn from; they are never told to the model.
    """

    gender: str
    hair_colour: str
    hair_style: str
    eye_colour: str
    expression: str
    garment: str
    garment_colour: str
    accessory: str
    arms: str
    position: str
    x: int
    hand: str = "0"
    unseen: tuple[str, ...] = ()

    def tags(self) -> tuple[str, ...]:
        """The tags it is drawn from."""
        worn = () if self.accessory == "none" else (self.accessory,)
        return (
            self.gender, f"{self.hair_colour}_hair", *HAIR_STYLES[self.hair_style], f"{self.eye_colour}_eyes",
            self.expression, f"{self.garment_colour}_{self.garment}", *worn, self.arms, *self.unseen,
        )  # fmt: skip


ATTRIBUTES = (
    "hair_colour", "hair_style", "eye_colour", "expression", "garment", "garment_colour", "accessory", "arms",
)  # fmt: skip
"""What prompts say of a character and evaluation asks about."""

FACE_PARTS = ("brows", "eyes", "mouth", "blush", "tears", "mark")
"""What an expression is made of; drawing's own words for them."""

USUAL_FACE = {**dict.fromkeys(FACE_PARTS, "none"), "brows": "soft"}
"""What drawing shows of a part that an expression leaves open."""

LOOSE_TOUCHES: Mapping[str, tuple[str, ...]] = {
    "brows": ("v-shaped_eyebrows", "furrowed_brow", "raised_eyebrows", "raised_eyebrow"),
    "eyes": (
        "half-closed_eyes", "one_eye_closed", "wide-eyed", "heart-shaped_pupils", "^_^", "@_@", "tareme",
    ),
    "mouth": ("smirk", "frown", "open_mouth", "wavy_mouth", "clenched_teeth", ":o"),
    "blush": ("blush", "light_blush"),
    "tears": ("streaming_tears",),
    "mark": ("sweatdrop", "anger_vein", "heart", "?", "zzz", "gloom_(expression)"),
}  # fmt: skip
"""Touches by the part they change, among those that the expressions have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture to draw; equal scenes and seeds draw equal pixels."""

    characters: tuple[Character, ...]
    background: str
    width: int
    height: int
    seed: int


def random_scene(rng: random.Random, *, count: int | None = None, held_out: bool = False) -> Scene:
    """A scene drawn at random.

    Args:
        count: characters, 1 to 3; none means 42 % one, 47 % two, 11 % three.
        held_out: whether its first character has a held-out pair; otherwise nobody has one.
    """
    count = count or rng.choices((1, 2, 3), (42, 47, 11))[0]
    width, height = random_size(rng, count)
    # Telling characters apart by their hair keeps binding measurable.
    colours = rng.sample(HAIR_COLOURS, count)
    characters = []
    for index, x in enumerate(PLACES[width, count]):
        character = _character(rng, colours[index], index, count, x)
        while pairs_held_out(character):
            character = _character(rng, colours[index], index, count, x)
        characters.append(character)
    if held_out:
        characters[0] = with_pair(rng, characters[0], rng.choice(HELD_OUT))
    background = "simple_background" if rng.random() < ONE_IN_SIMPLE else rng.choice(BACKGROUNDS)
    return Scene(
        characters=tuple(characters),
        background=background,
        width=width,
        height=height,
        seed=rng.randrange(VIEWS),
    )


def training_scene(rng: random.Random) -> Scene:
    """A scene to learn from: hard ones come more often than chance has them."""
    scene = random_scene(rng)
    chance = rng.random()
    if chance > 1 - PLAIN_SHARE:
        return plain(scene)
    if chance < HARD_SHARE:
        while not is_hard(scene):
            scene = random_scene(rng)
    return scene


def plain(scene: Scene) -> Scene:
    """The same scene with nothing but the expected; colours, garments and faces stay."""
    characters = [
        replace(
            each,
            hair_style=EXPECTED_STYLE[each.gender],
            accessory=EXPECTED["accessory"],
            arms=EXPECTED["arms"],
        )
        for each in scene.characters
    ]
    return replace(scene, characters=tuple(characters), background=EXPECTED_BACKGROUND)


def is_hard(scene: Scene) -> bool:
    """Whether it is of a rare kind that is learnt late: dark, or wide with fewer than three characters."""
    dark = scene.background in ("night_sky", "city_night")
    return dark or (scene.width > scene.height and len(scene.characters) < 3)


def random_size(rng: random.Random, count: int) -> tuple[int, int]:
    """A size that suits so many characters."""
    weights = {1: (60, 36, 4), 2: (74, 10, 16), 3: (0, 0, 100)}[count]
    return rng.choices(SIZES, weights)[0]


def pairs_held_out(character: Character) -> bool:
    """Whether the character has one of the held-out pairs."""
    return any(
        getattr(character, one) == first and getattr(character, other) == second
        for one, first, other, second in HELD_OUT
    )


def with_pair(rng: random.Random, character: Character, pair: tuple[str, str, str, str]) -> Character:
    """The same character with one held-out pair and no other."""
    one, first, other, second = pair
    values = {each.name: getattr(character, each.name) for each in fields(character)}
    values |= {one: first, other: second, "gender": "1girl"}
    if values["hair_style"] == "spiky_hair":
        values["hair_style"] = "short_hair"
    made = Character(**values)
    while _pairs(made) != [pair]:
        free = [name for name in ATTRIBUTES if name not in (one, other)]
        changed = rng.choice(free)
        values[changed] = rng.choice(choices_of(changed))
        made = Character(**values)
    return made


def choices_of(attribute: str) -> tuple[str, ...]:
    """All values of an attribute of characters."""
    return {
        "hair_colour": HAIR_COLOURS,
        "hair_style": tuple(HAIR_STYLES),
        "eye_colour": EYE_COLOURS,
        "expression": EXPRESSIONS,
        "garment": GARMENTS,
        "garment_colour": GARMENT_COLOURS,
        "accessory": ACCESSORIES,
        "arms": ARMS,
    }[attribute]


def _pairs(character: Character) -> list[tuple[str, str, str, str]]:
    return [
        pair
        for pair in HELD_OUT
        if getattr(character, pair[0]) == pair[1] and getattr(character, pair[2]) == pair[3]
    ]


def _character(rng: random.Random, hair_colour: str, index: int, count: int, x: int) -> Character:
    boy = rng.random() < 0.15
    position = {2: ("left", "right"), 3: POSITIONS}.get(count, ("center",))[index]
    if count == 1 and rng.random() < 0.25:
        position = rng.choice(("left", "right"))
    hand = rng.randrange(len(HANDS))
    return Character(
        gender="1boy" if boy else "1girl",
        hair_colour=hair_colour,
        hair_style=rng.choice(BOY_STYLES if boy else tuple(HAIR_STYLES)),
        eye_colour=rng.choice(EYE_COLOURS),
        expression=rng.choice(EXPRESSIONS),
        garment=rng.choice(BOY_GARMENTS if boy else GARMENTS),
        garment_colour=rng.choice(GARMENT_COLOURS),
        accessory="none" if rng.random() < 0.25 else rng.choice(ACCESSORIES),
        arms="arms_at_sides" if rng.random() < 0.25 else rng.choice(ARMS),
        position=position,
        x=x + (ASIDE[position] if count == 1 else 0),
        hand=str(hand),
        unseen=HANDS[hand],
    )


def draw_scene(scene: Scene) -> Image:
    """Its picture, RGB."""
    return draw(
        [
            Figure(tags=each.tags(), spot=Spot(x=each.x, y=HEAD, unit=UNIT), hand=each.hand)
            for each in scene.characters
        ],
        Setting(tags=(scene.background, FRAMING)),
        width=scene.width,
        height=scene.height,
        seed=scene.seed,
    )


def labels(scene: Scene) -> list[dict[str, str]]:
    """For each character the value of every attribute and face part.

    No expression where `unseen` touches have changed its face.
    """
    found = []
    for character in scene.characters:
        plain = understand((character.expression,)).attributes
        face = understand(character.tags()).attributes
        values = {name: str(getattr(character, name)) for name in ("gender", *ATTRIBUTES)}
        values |= {part: face.get(part, USUAL_FACE[part]) for part in FACE_PARTS}
        if any(plain.get(part) != face.get(part) for part in FACE_PARTS):
            del values["expression"]
        found.append(values)
    return found


def touched_scene(rng: random.Random) -> Scene:
    """A scene for training a judge: held-out pairs among the others, and faces whose parts do not go together.

    Were brows always those of the expression, a judge could name them without looking at them. Half of the scenes are
    drawn by hands the model never sees, so that a judge does not know its few by heart.
    """
    scene = random_scene(rng, held_out=rng.random() < 0.2)
    free = rng.random() < 0.5
    characters = []
    for each in scene.characters:
        touches: tuple[str, ...] = ()
        if rng.random() < 0.3:
            parts = rng.sample(tuple(LOOSE_TOUCHES), rng.randint(1, 3))
            touches = tuple(rng.choice(LOOSE_TOUCHES[part]) for part in parts)
        drawn = each
        if free:
            drawn = replace(each, hand=f"free {rng.getrandbits(32)}", unseen=rng.choice(HANDS))
        characters.append(replace(drawn, unseen=(*drawn.unseen, *touches)))
    return replace(scene, characters=tuple(characters), seed=rng.getrandbits(32) if free else scene.seed)


Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


def character_boxes(scene: Scene) -> list[Box]:
    """Where each character stands, from over its head to its hips; boxes may reach over the picture's edge."""
    return [
        (each.x - 1.5 * UNIT, HEAD - 1.75 * UNIT, each.x + 1.5 * UNIT, HEAD + 2.65 * UNIT)
        for each in scene.characters
    ]


def head_boxes(scene: Scene) -> list[Box]:
    """Where each head is, with its hair down to the chin and all that is worn on it."""
    return [(left, top, right, HEAD + 1.0 * UNIT) for left, top, right, _ in character_boxes(scene)]


def face_boxes(scene: Scene) -> list[Box]:
    """Where each face is, brows to chin and cheek to cheek."""
    return [
        (each.x - 0.9 * UNIT, HEAD - 0.7 * UNIT, each.x + 0.9 * UNIT, HEAD + 1.0 * UNIT)
        for each in scene.characters
    ]


def eye_boxes(scene: Scene) -> list[Box]:
    """Where each character's eyes are, both in one box."""
    return [
        (each.x - 0.68 * UNIT, HEAD + 0.02 * UNIT, each.x + 0.68 * UNIT, HEAD + 0.58 * UNIT)
        for each in scene.characters
    ]


BEHIND, ON_HEAD, FACE, EYES = 0.8, 1.5, 2.5, 5.0
"""What an error counts beside the characters, on their heads, in their faces and about their eyes; elsewhere it counts 1.

With 1 on heads too, most that was wrong were tails of hair and thin things on the head, left out altogether.
"""


def importance(scene: Scene, cell: int) -> NDArray[np.float32]:
    """What an error counts in each cell of so many pixels: `[height / cell, width / cell]`.

    A face is a tenth of a picture, and most of what is asked of one; an iris is smaller than a cell.
    """
    table = np.full((scene.height // cell, scene.width // cell), BEHIND, dtype=np.float32)
    parts = [
        (character_boxes(scene), 1.0),
        (head_boxes(scene), ON_HEAD),
        (face_boxes(scene), FACE),
        (eye_boxes(scene), EYES),
    ]
    for boxes, weight in parts:
        for left, top, right, bottom in boxes:
            rows = slice(max(0, floor(top / cell)), ceil(bottom / cell))
            columns = slice(max(0, floor(left / cell)), max(0, ceil(right / cell)))
            table[rows, columns] = weight
    return table
