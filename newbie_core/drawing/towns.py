"""Places that people built, seen from outside."""

import random

import numpy as np

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.colours import RGB, WHITE, mix
from newbie_core.drawing.curves import box, drop, ellipse, smooth
from newbie_core.drawing.places import Place, clouds, gradient, grass, hills, stars, tree


def _skyline(
    pen: Pen, wide: float, dice: random.Random, y: float, colour: RGB, lamps: tuple[RGB, ...], share: float
) -> None:
    """A row of towers with windows."""
    x = -0.05
    while x < wide:
        width, top = dice.uniform(0.1, 0.19), y - dice.uniform(0.05, 0.42)
        pen.fill(box(x, top, x + width, 1.1), colour)
        pen.fill(box(x + width * 0.84, top, x + width, 1.1), mix(colour, (30, 30, 70), 0.14))
        for row in np.arange(top + 0.03, 0.98, 0.055).tolist():
            for column in np.arange(x + 0.018, x + width - 0.03, 0.038).tolist():
                if dice.random() < share:
                    pen.fill(box(column, row, column + 0.02, row + 0.028), dice.choice(lamps))
        x += width + dice.uniform(0.0, 0.02)


def _city(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (126, 190, 246), (232, 244, 252))
    clouds(pen, wide, dice, 2, WHITE, (224, 236, 248), 0.3)
    _skyline(pen, wide, dice, 0.6, (190, 206, 226), ((226, 240, 252), (160, 186, 214)), 0.8)
    _skyline(pen, wide, dice, 0.86, (158, 172, 198), ((214, 232, 248), (120, 146, 180)), 0.8)
    pen.fill(box(0, 0.92, wide, 1.0), (132, 140, 158))
    for x in np.arange(0.04, wide, 0.24).tolist():
        pen.fill(box(x, 0.955, x + 0.12, 0.968), (240, 240, 240))


def _city_night(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (22, 18, 56), (120, 56, 128))
    stars(pen, wide, dice, 20, 0.3)
    _skyline(pen, wide, dice, 0.62, (44, 36, 88), ((255, 214, 120), (120, 200, 255)), 0.4)
    _skyline(pen, wide, dice, 0.9, (26, 22, 58), ((255, 224, 140), (255, 110, 190), (90, 226, 255)), 0.5)
    for index in range(5):
        x, y = (index + dice.uniform(0.2, 0.8)) * wide / 5, dice.uniform(0.35, 0.8)
        colour = dice.choice(((255, 70, 170), (70, 224, 255), (255, 190, 70), (150, 110, 255)))
        pen.glow(x, y, 0.14, 0.18, colour, 0.7)
        pen.fill(box(x - 0.022, y - 0.09, x + 0.022, y + 0.09), mix(colour, WHITE, 0.35))
        for mark in (-0.05, 0.0, 0.05):
            pen.fill(
                box(x - 0.011, y + mark - 0.012, x + 0.011, y + mark + 0.012), mix(colour, (30, 10, 60), 0.6)
            )


def _rain(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (96, 112, 142), (168, 184, 204))
    _skyline(pen, wide, dice, 0.7, (122, 138, 166), ((150, 166, 190), (244, 224, 160)), 0.4)
    pen.fill(box(0, 0.88, wide, 1.0), (98, 112, 138))
    for _ in range(7):
        x, y = dice.uniform(0, wide), dice.uniform(0.9, 0.99)
        pen.line(ellipse(x, y, 0.05, 0.012), (170, 190, 214), 0.006, closed=True)
    for _ in range(60):
        x, y, length = dice.uniform(0, wide), dice.uniform(-0.05, 1), dice.uniform(0.05, 0.1)
        pen.line(smooth([(x, y), (x - length * 0.2, y + length)], closed=False), (206, 220, 238), 0.0045)
    for _ in range(8):
        pen.fill(drop(dice.uniform(0, wide), dice.uniform(0, 0.9), 0.007), (226, 238, 250))


def _shrine(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (156, 206, 246), (250, 240, 224))
    clouds(pen, wide, dice, 2, WHITE, (228, 238, 248), 0.25)
    for index in range(6):
        x = (index + dice.uniform(0.2, 0.8)) * wide / 6
        tree(pen, x, 0.86, dice.uniform(0.4, 0.62), (108, 172, 106), (120, 92, 72))
    pen.fill(box(0, 0.84, wide, 1.0), (206, 198, 182))
    for index, y in enumerate((0.86, 0.91, 0.96)):
        pen.fill(
            box(wide / 2 - 0.3 - index * 0.06, y, wide / 2 + 0.3 + index * 0.06, y + 0.008), (170, 162, 148)
        )
    _gate(pen, wide / 2 + dice.uniform(-0.02, 0.02), min(0.44, wide * 0.44))


def _gate(pen: Pen, middle: float, half: float) -> None:
    """A shrine's red gate."""
    red, dark = (214, 66, 50), (64, 46, 56)
    for side in (-1, 1):
        pen.fill(
            smooth(
                [
                    (middle + side * half * 0.8 - 0.03, 0.9, 1),
                    (middle + side * half * 0.76 - 0.026, 0.08, 1),
                    (middle + side * half * 0.76 + 0.026, 0.08, 1),
                    (middle + side * half * 0.8 + 0.03, 0.9, 1),
                ]
            ),
            red,
        )
        pen.fill(box(middle + side * half * 0.8 - 0.042, 0.84, middle + side * half * 0.8 + 0.042, 0.9), dark)
    pen.fill(
        smooth(
            [
                (middle - half * 1.1, 0.03, 1),
                (middle, 0.075),
                (middle + half * 1.1, 0.03, 1),
                (middle + half * 1.06, 0.12, 1),
                (middle, 0.14),
                (middle - half * 1.06, 0.12, 1),
            ]
        ),
        red,
    )
    pen.fill(
        smooth(
            [
                (middle - half * 1.14, 0.0, 1),
                (middle, 0.045),
                (middle + half * 1.14, 0.0, 1),
                (middle + half * 1.1, 0.045, 1),
                (middle, 0.08),
                (middle - half * 1.1, 0.045, 1),
            ]
        ),
        dark,
    )
    pen.fill(box(middle - half * 0.92, 0.22, middle + half * 0.92, 0.28), red)


def _fireworks(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (14, 16, 48), (58, 42, 96))
    stars(pen, wide, dice, 24, 0.7)
    colours: tuple[RGB, ...] = (
        (255, 96, 130),
        (255, 216, 90),
        (96, 214, 255),
        (150, 255, 150),
        (220, 140, 255),
    )
    for index in range(5):
        x, y, size = (
            (index + dice.uniform(0.2, 0.8)) * wide / 5,
            dice.uniform(0.08, 0.5),
            dice.uniform(0.12, 0.24),
        )
        colour = colours[(index + dice.randrange(5)) % 5]
        pen.glow(x, y, size, size, colour, 0.5)
        for ray in range(16):
            angle = np.radians(ray * 22.5)
            dx, dy = float(np.cos(angle)), float(np.sin(angle))
            pen.stroke(
                smooth(
                    [
                        (x + dx * size * 0.25, y + dy * size * 0.25),
                        (x + dx * size * 0.9, y + dy * size * 0.9 + 0.01),
                    ],
                    closed=False,
                ),
                colour,
                0.002,
                0.009,
                0.004,
            )
            pen.dot(x + dx * size, y + dy * size + 0.014, 0.007, mix(colour, WHITE, 0.6))
    hills(pen, wide, dice, 0.92, 0.06, (22, 18, 44))


def _castle(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (150, 190, 246), (252, 232, 240))
    clouds(pen, wide, dice, 3, WHITE, (232, 234, 248), 0.4)
    stone, roof = (204, 202, 222), (110, 124, 196)
    for x, width, top in ((0.12, 0.13, 0.3), (0.88, 0.13, 0.26), (0.3, 0.1, 0.46), (0.7, 0.1, 0.42)):
        left = wide * x - width / 2
        pen.fill(box(left, top, left + width, 0.9), stone)
        pen.fill(box(left + width * 0.7, top, left + width, 0.9), mix(stone, (120, 110, 170), 0.3))
        pen.fill(
            smooth([(left - 0.03, top, 1), (left + width / 2, top - 0.24, 1), (left + width + 0.03, top, 1)]),
            roof,
        )
        pen.fill(ellipse(left + width / 2, top + 0.09, 0.016, 0.03), (96, 92, 130))
        pen.fill(
            smooth(
                [
                    (left + width / 2, top - 0.32, 1),
                    (left + width / 2 + 0.07, top - 0.295, 1),
                    (left + width / 2, top - 0.265, 1),
                ]
            ),
            (240, 110, 130),
        )
    pen.fill(box(0, 0.62, wide, 0.9), mix(stone, WHITE, 0.15))
    for x in np.arange(0, wide, 0.1).tolist():
        pen.fill(box(x, 0.57, x + 0.055, 0.63), mix(stone, WHITE, 0.15))
    hills(pen, wide, dice, 0.88, 0.04, (140, 198, 126))


def _ruins(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (176, 190, 206), (236, 224, 200))
    for index in range(5):
        x, top = (index + dice.uniform(0.2, 0.8)) * wide / 5, dice.uniform(0.2, 0.62)
        pen.fill(
            smooth(
                [
                    (x - 0.05, 0.92, 1),
                    (x - 0.045, top, 1),
                    (x - 0.01, top + 0.03, 1),
                    (x + 0.02, top - 0.03, 1),
                    (x + 0.045, top + 0.02, 1),
                    (x + 0.05, 0.92, 1),
                ]
            ),
            (186, 180, 166),
        )
        pen.fill(box(x + 0.02, top + 0.04, x + 0.05, 0.92), (156, 150, 142))
        pen.fill(box(x - 0.07, 0.86, x + 0.07, 0.92), (170, 164, 150))
        pen.fill(ellipse(x - 0.03, top + dice.uniform(0.1, 0.2), 0.04, 0.03), (124, 162, 104))
    hills(pen, wide, dice, 0.9, 0.03, (146, 168, 112))
    grass(pen, wide, dice, 0.88, (120, 150, 92))


TOWNS: dict[str, Place] = {
    "city": _city, "city_night": _city_night, "rain": _rain, "shrine": _shrine, "fireworks": _fireworks,
    "castle": _castle, "ruins": _ruins,
}  # fmt: skip
