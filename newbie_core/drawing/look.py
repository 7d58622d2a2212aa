"""One figure's look: what its tags chose, and what its seed adds where they are silent."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from newbie_core.drawing.colours import CLOTH, EYES, HAIR, RGB, SKIN, Tone, mix, skin_tone, times, tone

# What a garment may look like when no colour is given.
USUAL: dict[str, tuple[str, ...]] = {
    "serafuku": ("white",), "shirt": ("white", "light_blue"), "t-shirt": ("white", "yellow", "aqua"),
    "hoodie": ("grey", "pink", "aqua"), "sweater": ("beige", "pink", "green"),
    "turtleneck": ("beige", "black", "red"), "dress": ("light_blue", "pink", "lavender"),
    "kimono": ("pink", "purple", "red"), "maid": ("black",), "armor": ("grey",), "raincoat": ("yellow",),
    "track_jacket": ("blue", "red"), "tank_top": ("white", "orange"), "blouse": ("white",),
    "vest": ("brown", "dark_blue"), "jacket": ("brown", "black"), "blazer": ("dark_blue", "brown"),
    "cardigan": ("beige", "pink"), "cape": ("red", "purple"), "cloak": ("dark_blue", "brown"),
    "coat": ("beige", "grey"), "skirt": ("red", "dark_blue"), "pleated_skirt": ("dark_blue", "grey"),
    "long_skirt": ("brown", "purple"), "pants": ("dark_blue", "black", "brown"),
    "shorts": ("dark_blue", "beige"), "hakama": ("red",), "apron": ("white",),
    "necktie": ("red", "dark_blue"), "neck_ribbon": ("red",), "bowtie": ("red",),
    "scarf": ("red", "green"), "choker": ("black",), "neckerchief": ("red",),
    "thighhighs": ("black", "white"), "kneehighs": ("white", "black"), "socks": ("white",),
    "pantyhose": ("black",), "shoes": ("brown", "black"), "boots": ("brown", "black"),
    "sandals": ("brown",), "sneakers": ("white", "red"), "gloves": ("white", "black"),
    "beret": ("red", "brown"), "witch_hat": ("purple", "black"), "baseball_cap": ("blue", "red"),
    "straw_hat": ("yellow",), "crown": ("yellow",), "tiara": ("yellow",), "maid_headdress": ("white",),
    "santa_hat": ("red",), "beanie": ("green", "orange"), "helmet": ("grey",),
    "hairband": ("red", "black"), "hair_bow": ("red", "pink"), "hair_ribbon": ("red", "blue"),
    "hair_flower": ("pink", "red"), "hairclip": ("yellow",), "glasses": ("black", "red"),
    "round_glasses": ("brown",), "sunglasses": ("black",), "eyepatch": ("black", "white"),
    "headphones": ("black", "white"), "earrings": ("yellow",), "mask": ("white",),
}  # fmt: skip

ON_HAIR = ("headphones", "hair_ornament")
"""What is worn on hair; where no colour is given, it has one that stands out from the hair."""

SIMILAR = 90
"""Colours whose red, green and blue differ by less in all hardly stand out from each other."""

GIRL_STYLES = (
    ("short", "loose"),
    ("bob", "loose"),
    ("medium", "loose"),
    ("long", "loose"),
    ("long", "twintails"),
    ("long", "ponytail"),
)
NATURAL_HAIR = (
    "brown",
    "black",
    "blonde",
    "pink",
    "light_blue",
    "orange",
    "lavender",
    "white",
    "blue",
    "red",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Answers what a figure wears and shows; equal looks draw equal pixels.

    `key` names the figure's stream of chance; `reach` is the half width free for it, in half heads;
    `flat` takes the shading away.
    """

    chosen: Mapping[str, str]
    key: str
    reach: float = 1.6
    flat: bool = False

    def dice(self, component: str) -> random.Random:
        """Chance for one component alone, so that another component's tag does not disturb it."""
        return random.Random(f"{self.key}:{component}")

    def wobble(self, component: str, amount: float) -> float:
        """A number in -amount..amount that belongs to the component."""
        return self.dice(component).uniform(-amount, amount)

    def get(self, component: str, default: str = "") -> str:
        """The value chosen for a component."""
        return self.chosen.get(component, default)

    @property
    def boy(self) -> bool:
        """Whether the figure is drawn as a boy."""
        return self.get("gender") == "boy"

    @property
    def skin(self) -> Tone:
        """The skin's tones."""
        return self._shaded(skin_tone(SKIN[self.get("skin", "fair")]))

    @property
    def hair(self) -> Tone:
        """The hair's tones, its hue a little different from seed to seed."""
        name = self.get("hair_colour") or self.dice("hair_colour").choice(NATURAL_HAIR)
        return self._shaded(tone(self._tinted(HAIR[name], "hair_hue", 0.025)))

    @property
    def eyes(self) -> tuple[RGB, RGB]:
        """The iris colours, left and right on the picture."""
        name = self.get("eye_colour") or self.dice("eye_colour").choice(tuple(EYES)[:-2])
        other = name
        if self.get("heterochromia"):
            other = {"blue": "yellow", "yellow": "blue", "red": "aqua"}.get(name, "yellow")
        return EYES[name], EYES[other]

    @property
    def style(self) -> tuple[str, str]:
        """The hair's length and style."""
        length, style = self.get("hair_length"), self.get("hair_style")
        if not length and not style:
            if self.boy:
                return "very_short", "loose"
            return self.dice("hair_style").choice(GIRL_STYLES)
        natural = "medium" if style in ("hair_bun", "double_bun") else "long"
        return length or natural, style or "loose"

    @property
    def texture(self) -> str:
        """How the hair falls."""
        return self.get("hair_texture") or (
            "messy" if self.boy and not self.get("hair_length") else "straight"
        )

    @property
    def bangs(self) -> str:
        """How the hair falls over the forehead."""
        if self.get("bangs"):
            return self.get("bangs")
        if self.get("hair_style") == "hime_cut":
            return "blunt_bangs"
        return self.dice("bangs").choice(
            ("natural", "natural", "crossed_bangs" if self.boy else "blunt_bangs")
        )

    @property
    def garment(self) -> str:
        """What covers the chest."""
        if self.get("garment"):
            return self.get("garment")
        if self.get("outer"):
            return "shirt"
        if self.get("lower") == "hakama":
            return "kimono"
        if self.boy:
            return self.dice("garment").choice(("shirt", "t-shirt", "hoodie"))
        return self.dice("garment").choice(("serafuku", "dress", "hoodie", "sweater", "blouse"))

    @property
    def lower(self) -> str:
        """What covers the hips; empty under a garment that reaches further down."""
        if self.get("lower"):
            return self.get("lower")
        if self.garment in ("dress", "kimono", "maid"):
            return ""
        if self.garment == "armor" or self.boy:
            return "pants"
        return "pants" if self.garment == "track_jacket" else "pleated_skirt"

    def wears(self, component: str) -> str:
        """The item of a component; those that define an outfit have a default."""
        if component == "garment":
            return self.garment
        if component == "lower":
            return self.lower
        if component == "footwear":
            return self.get("footwear", "shoes")
        if component == "neckwear" and not self.get("neckwear"):
            own = {"serafuku": "neckerchief", "blouse": "neck_ribbon", "maid": "neck_ribbon"}
            return own.get(self.garment, "")
        return self.get(component)

    def cloth(self, component: str) -> Tone:
        """The tones of what is worn as a component."""
        name = self.get(f"{component}_colour")
        if not name:
            usual = USUAL[self.wears(component)]
            if self.boy:
                usual = tuple(colour for colour in usual if colour != "pink") or usual
            if component in ON_HAIR:
                usual = tuple(colour for colour in usual if self._differs_from_hair(colour)) or usual
            name = self.dice(f"{component}_colour").choice(usual)
        return self._shaded(tone(self._tinted(CLOTH[name], f"{component}_hue", 0.02)))

    def _differs_from_hair(self, colour: str) -> bool:
        own, hair = CLOTH[colour], self.hair.base
        return sum(abs(one - other) for one, other in zip(own, hair, strict=True)) > SIMILAR

    def _shaded(self, material: Tone) -> Tone:
        """The material's tones, all one where the picture is flat."""
        if not self.flat:
            return material
        base = material.base
        return Tone(light=base, base=base, shade=base, deep=mix(base, material.deep, 0.3), ink=material.ink)

    def _tinted(self, colour: RGB, component: str, amount: float) -> RGB:
        dice = self.dice(component)
        warmth, bright = dice.uniform(-amount, amount), dice.uniform(-amount, amount)
        return times(mix(colour, (255, 255, 255), max(0.0, bright)), (1 + warmth, 1.0, 1 - warmth))
