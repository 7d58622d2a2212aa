"""Random scenes of the small model's world: who is in the picture, drawn by `drawing`, with every attribute known."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from PIL.Image import Image

from newbie_core.drawing import Figure, Setting, draw, understand

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
FRAMINGS = ("upper_body", "full_body")
POSITIONS = ("left", "center", "right")

SIZES = ((192, 192), (144, 192), (224, 160))
"""Width and height of the pictures the model is trained on."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """One figure; every field but `x` is a value of the tuples above."""

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
    x: float
    y: float
    unseen: tuple[str, ...] = ()

    def tags(self) -> tuple[str, ...]:
        """The tags it is drawn from; `unseen` ones are never told to the model, so that seeds matter."""
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
    framing: str
    width: int
    height: int
    seed: int


def random_scene(rng: random.Random, *, count: int | None = None, held_out: bool = False) -> Scene:
    """A scene drawn at random.

    Args:
        count: characters, 1 to 3; none means 46 % one, 44 % two, 10 % three.
        held_out: whether its first character has a held-out pair; otherwise nobody has one.
    """
    count = count or rng.choices((1, 2, 3), (46, 44, 10))[0]
    width, height = random_size(rng, count)
    characters = []
    colours = rng.sample(
        HAIR_COLOURS, count
    )  # telling characters apart by their hair keeps binding measurable
    for index in range(count):
        character = _character(rng, colours[index], index, count, width, height)
        while pairs_held_out(character):
            character = _character(rng, colours[index], index, count, width, height)
        characters.append(character)
    if held_out:
        characters[0] = with_pair(rng, characters[0], rng.choice(HELD_OUT))
    background = "simple_background" if rng.random() < ONE_IN_SIMPLE else rng.choice(BACKGROUNDS)
    return Scene(
        characters=tuple(characters),
        background=background,
        framing=_framing(rng, count, height),
        width=width,
        height=height,
        seed=rng.getrandbits(32),
    )


def _framing(rng: random.Random, count: int, height: int) -> str:
    """Whole bodies only where faces stay large enough to read."""
    share = {1: 0.22, 2: 0.14, 3: 0.0}[count] if height >= 192 else 0.0
    return "full_body" if rng.random() < share else "upper_body"


def random_size(rng: random.Random, count: int) -> tuple[int, int]:
    """A size that suits so many characters."""
    weights = {1: (46, 48, 6), 2: (56, 8, 36), 3: (40, 0, 60)}[count]
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


def _character(
    rng: random.Random, hair_colour: str, index: int, count: int, width: int, height: int
) -> Character:
    boy = rng.random() < 0.15
    unseen = [rng.choice(("blunt_bangs", "swept_bangs", "parted_bangs", "crossed_bangs"))]
    if rng.random() < 0.12:
        unseen.append("ahoge")
    position = {2: ("left", "right"), 3: POSITIONS}.get(count, ("center",))[index]
    x = (index + 0.5) / count
    if count == 1 and width >= height and rng.random() < 0.4:
        position = rng.choice(("left", "right"))
        x = {"left": 0.34, "right": 0.66}[position]
    shift = 0.03 if count == 1 else 0.014
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
        x=x + rng.uniform(-shift, shift),
        y=0.6 + rng.uniform(-0.03, 0.03),
        unseen=tuple(unseen),
    )


def draw_scene(scene: Scene, width: int = 0, height: int = 0, seed: int | None = None) -> Image:
    """Its picture, RGB; the scene's own size and seed unless given."""
    return draw(
        [Figure(tags=each.tags(), x=each.x, y=each.y) for each in scene.characters],
        Setting(tags=(scene.background, scene.framing)),
        width=width or scene.width,
        height=height or scene.height,
        seed=scene.seed if seed is None else seed,
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

    Were brows always those of the expression, a judge could name them without looking at them.
    """
    scene = random_scene(rng, held_out=rng.random() < 0.2)
    characters = []
    for each in scene.characters:
        if rng.random() < 0.3:
            parts = rng.sample(tuple(LOOSE_TOUCHES), rng.randint(1, 3))
            touches = tuple(rng.choice(LOOSE_TOUCHES[part]) for part in parts)
            characters.append(replace(each, unseen=(*each.unseen, *touches)))
        else:
            characters.append(each)
    return replace(scene, characters=tuple(characters))


# Of drawing's framings, in half heads: what is above and below a head's centre, and a lone figure's half width.
_FRAMES = {"upper_body": (-1.72, 2.66, 1.42), "full_body": (-1.8, 5.02, 1.42)}


def character_boxes(scene: Scene, width: int = 0, height: int = 0) -> list[tuple[float, float, float, float]]:
    """Where each character is expected, from over its head to its hips: left, top, right, bottom in pixels.

    Nominal places: pictures may have them a few pixels beside.
    """
    width, height = width or scene.width, height or scene.height
    count = len(scene.characters)
    top, bottom, wide = _FRAMES[scene.framing]
    unit = min(height / (bottom - top), width / count / (2 * (wide if count == 1 else 1.16)))
    y = (height - unit * (bottom - top)) * 0.42 - top * unit
    boxes = []
    for each in scene.characters:
        middle = each.x * width
        centre = y + (each.y - 0.6) * 0.6 * height
        boxes.append((middle - 1.5 * unit, centre - 1.75 * unit, middle + 1.5 * unit, centre + 2.65 * unit))
    return boxes
