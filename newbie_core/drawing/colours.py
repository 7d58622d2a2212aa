"""Colours by name, and the light, shaded and ink tones that belong to one."""

from dataclasses import dataclass
from functools import lru_cache

RGB = tuple[int, int, int]

CLOTH: dict[str, RGB] = {
    "red": (214, 58, 66),
    "orange": (243, 146, 62),
    "yellow": (250, 211, 84),
    "green": (78, 168, 98),
    "aqua": (84, 205, 205),
    "light_blue": (146, 203, 245),
    "blue": (66, 116, 214),
    "dark_blue": (48, 60, 112),
    "purple": (140, 88, 196),
    "lavender": (200, 176, 238),
    "pink": (250, 150, 182),
    "brown": (146, 98, 68),
    "beige": (233, 211, 178),
    "white": (247, 246, 250),
    "grey": (154, 156, 170),
    "black": (58, 56, 70),
}

HAIR: dict[str, RGB] = {
    "red": (206, 54, 62),
    "orange": (242, 138, 66),
    "blonde": (252, 216, 112),
    "brown": (140, 90, 64),
    "light_brown": (200, 150, 104),
    "black": (62, 58, 76),
    "grey": (148, 152, 166),
    "white": (240, 240, 248),
    "pink": (255, 160, 192),
    "purple": (146, 96, 208),
    "lavender": (202, 180, 244),
    "blue": (76, 124, 226),
    "dark_blue": (52, 66, 128),
    "light_blue": (150, 208, 250),
    "aqua": (84, 210, 208),
    "green": (92, 184, 112),
}

EYES: dict[str, RGB] = {
    "red": (222, 44, 58),
    "orange": (244, 136, 40),
    "yellow": (248, 204, 48),
    "green": (52, 178, 92),
    "aqua": (30, 222, 194),
    "blue": (48, 106, 240),
    "light_blue": (120, 196, 252),
    "purple": (150, 76, 222),
    "pink": (250, 104, 164),
    "brown": (152, 90, 50),
    "grey": (142, 148, 166),
    "black": (62, 58, 74),
}

SKIN: dict[str, RGB] = {
    "pale": (255, 243, 238),
    "fair": (255, 228, 211),
    "tan": (236, 187, 150),
    "dark": (168, 112, 84),
}

WHITE: RGB = (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """One material's colours: lit, plain, in shadow, in deep shadow, and its outline."""

    light: RGB
    base: RGB
    shade: RGB
    deep: RGB
    ink: RGB


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """The first colour with a share (0..1) of the other."""
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def times(colour: RGB, by: tuple[float, float, float]) -> RGB:
    """A colour as seen under coloured light."""
    return (
        min(255, round(colour[0] * by[0])),
        min(255, round(colour[1] * by[1])),
        min(255, round(colour[2] * by[2])),
    )


def brightness(colour: RGB) -> float:
    """Perceived lightness, 0..1."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


@lru_cache(maxsize=1024)
def tone(base: RGB) -> Tone:
    """The tones of a material: shadows lean to violet, outlines are a darker self."""
    bright = brightness(base)
    lift = 0.6 if bright > 0.3 else 0.34
    return Tone(
        light=mix(base, WHITE, lift),
        base=base,
        shade=times(base, (0.83, 0.78, 0.88)),
        deep=times(base, (0.66, 0.58, 0.74)),
        ink=mix(times(base, (0.46, 0.38, 0.46)), (70, 34, 62), 0.22),
    )


@lru_cache(maxsize=64)
def skin_tone(base: RGB) -> Tone:
    """The tones of skin: shadows stay warm."""
    return Tone(
        light=mix(base, WHITE, 0.5),
        base=base,
        shade=times(base, (0.95, 0.82, 0.82)),
        deep=times(base, (0.88, 0.68, 0.68)),
        ink=mix(times(base, (0.62, 0.42, 0.42)), (120, 50, 50), 0.2),
    )
