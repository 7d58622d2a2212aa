"""Places under a roof or under lanterns. Coordinates: height 1, x from 0 to the picture's aspect."""

import random

import numpy as np

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.colours import RGB, WHITE, mix
from newbie_core.drawing.curves import box, ellipse, smooth
from newbie_core.drawing.places import Place, cloud, gradient

BOOKS: tuple[RGB, ...] = (
    (190, 80, 76),
    (86, 120, 176),
    (104, 152, 108),
    (214, 170, 92),
    (140, 98, 150),
    (226, 208, 178),
    (70, 82, 116),
)


def _window(
    pen: Pen, left: float, top: float, right: float, bottom: float, frame: RGB, dice: random.Random
) -> None:
    """A window on a bright sky."""
    pen.fill(box(left - 0.015, top - 0.015, right + 0.015, bottom + 0.015), frame)
    pane = box(left, top, right, bottom)
    with pen.clip(pane) as inner:
        inner.fill(pane, (166, 216, 250))
        cloud(
            inner,
            dice.uniform(left, right),
            dice.uniform(top, bottom),
            0.09,
            (255, 255, 255),
            (226, 240, 252),
        )
        inner.wash(
            smooth(
                [(left, bottom, 1), (left + 0.06, bottom, 1), (left + 0.2, top, 1), (left + 0.12, top, 1)]
            ),
            WHITE,
            0.35,
        )
    pen.fill(box((left + right) / 2 - 0.007, top, (left + right) / 2 + 0.007, bottom), frame)
    pen.fill(box(left, (top + bottom) / 2 - 0.006, right, (top + bottom) / 2 + 0.006), frame)


def _classroom(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (250, 240, 218), (240, 226, 196))
    board = wide * dice.uniform(0.3, 0.4)
    for left in np.arange(-0.04, board - 0.2, 0.32).tolist():
        _window(pen, left, 0.1, left + 0.26, 0.56, (230, 214, 186), dice)
    pen.fill(box(board - 0.02, 0.1, wide + 0.1, 0.6), (152, 112, 78))
    pen.fill(box(board, 0.12, wide + 0.1, 0.57), (58, 116, 94))
    for y in (0.19, 0.27, 0.35):
        x = board + 0.04
        while x < wide:
            length = dice.uniform(0.04, 0.12)
            pen.line(
                smooth([(x, y), (x + length * 0.5, y - 0.006), (x + length, y + 0.002)], closed=False),
                (196, 224, 208),
                0.007,
            )
            x += length + 0.03
    pen.fill(box(0, 0.66, wide, 0.68), (206, 178, 138))
    pen.fill(box(0, 0.8, wide, 1), (206, 160, 112))
    for x in np.arange(0.02, wide, 0.34).tolist():
        pen.fill(box(x, 0.78, x + 0.26, 0.82), (222, 180, 128))
        pen.fill(box(x + 0.02, 0.82, x + 0.04, 1.0), (138, 142, 158))
        pen.fill(box(x + 0.22, 0.82, x + 0.24, 1.0), (138, 142, 158))


def _bedroom(pen: Pen, wide: float, dice: random.Random) -> None:
    wall = dice.choice(((252, 228, 226), (228, 236, 250), (250, 238, 214), (232, 244, 228)))
    gradient(pen, mix(wall, WHITE, 0.3), wall)
    for x in np.arange(0, wide, 0.12).tolist():
        pen.fill(box(x, 0, x + 0.012, 0.78), mix(wall, WHITE, 0.5))
    left = wide * dice.choice((0.05, 0.66))
    _window(pen, left, 0.12, left + 0.28, 0.5, (255, 255, 255), dice)
    for x0, x1 in ((left - 0.05, left + 0.06), (left + 0.22, left + 0.33)):
        pen.fill(
            smooth([(x0, 0.07, 1), (x1, 0.07, 1), (x1 - 0.01, 0.3), (x1 + 0.0, 0.56, 1), (x0, 0.56, 1)]),
            (246, 170, 176),
        )
    shelf = wide - left - 0.3
    pen.fill(box(shelf, 0.3, shelf + 0.26, 0.32), (176, 126, 88))
    for index in range(6):
        x, top = shelf + 0.02 + index * 0.034, 0.3 - dice.uniform(0.06, 0.1)
        pen.fill(box(x, top, x + 0.028, 0.3), BOOKS[(index + dice.randrange(7)) % 7])
    pen.fill(box(0, 0.78, wide, 1), (214, 172, 130))
    pen.fill(
        smooth(
            [
                (wide * 0.45, 0.72),
                (wide * 0.72, 0.66),
                (wide + 0.1, 0.68, 1),
                (wide + 0.1, 1.1, 1),
                (wide * 0.45, 1.1, 1),
            ]
        ),
        (250, 250, 255),
    )
    pen.fill(
        smooth(
            [
                (wide * 0.42, 0.8),
                (wide * 0.72, 0.74),
                (wide + 0.1, 0.76, 1),
                (wide + 0.1, 1.1, 1),
                (wide * 0.42, 1.1, 1),
            ]
        ),
        (150, 186, 236),
    )


def _library(pen: Pen, wide: float, dice: random.Random) -> None:
    pen.image.paste((110, 74, 54), (0, 0, *pen.image.size))
    for row in range(5):
        top = row * 0.2 + 0.014
        pen.fill(box(0, top, wide, top + 0.172), (70, 46, 38))
        x = dice.uniform(-0.02, 0.0)
        while x < wide:
            width, height = dice.uniform(0.022, 0.045), dice.uniform(0.1, 0.155)
            if dice.random() < 0.9:
                colour = mix(dice.choice(BOOKS), (90, 60, 50), 0.12)
                pen.fill(box(x, top + 0.172 - height, x + width - 0.003, top + 0.172), colour)
                pen.fill(
                    box(x, top + 0.172 - height * 0.8, x + width - 0.003, top + 0.172 - height * 0.7),
                    mix(colour, WHITE, 0.4),
                )
            x += width
        pen.fill(box(0, top + 0.172, wide, top + 0.19), (150, 104, 74))
    for x in np.arange(0.0, wide + 0.5, 0.5).tolist():
        pen.fill(box(x - 0.018, 0, x + 0.018, 1), (132, 90, 64))
    pen.glow(wide * dice.uniform(0.2, 0.8), 0.1, 0.6, 0.6, (255, 226, 160), 0.45)


def _stage(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (36, 18, 70), (120, 44, 124))
    colours: tuple[RGB, ...] = ((255, 110, 190), (110, 210, 255), (255, 230, 130), (170, 130, 255))
    for index, share in enumerate((0.08, 0.36, 0.64, 0.92)):
        x, aim = wide * share, wide * (0.5 + dice.uniform(-0.3, 0.3))
        pen.wash(
            smooth([(x - 0.02, -0.02, 1), (x + 0.02, -0.02, 1), (aim + 0.2, 1.0, 1), (aim - 0.2, 1.0, 1)]),
            colours[(index + dice.randrange(4)) % 4],
            0.32,
        )
        pen.dot(x, 0.01, 0.03, (250, 246, 255))
    for left, right in ((-0.02, wide * 0.1), (wide * 0.9, wide + 0.02)):
        pen.fill(box(left, 0, right, 0.9), (170, 36, 66))
        for x in np.linspace(left, right, 4).tolist():
            pen.fill(box(x, 0, x + 0.012, 0.9), (126, 22, 54))
    pen.fill(ellipse(wide / 2, 1.0, wide * 0.7, 0.14), (250, 190, 226))
    pen.fill(ellipse(wide / 2, 1.03, wide * 0.72, 0.14), (96, 46, 116))
    for _ in range(26):
        x, y = dice.uniform(0, wide), dice.uniform(0.1, 0.95)
        pen.dot(x, y, dice.uniform(0.003, 0.008), dice.choice(colours))


def _festival(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (30, 26, 66), (112, 56, 84))
    for row, y in enumerate((0.1, 0.26)):
        pen.line(smooth([(0, y), (wide / 2, y + 0.06), (wide, y)], closed=False), (60, 40, 50), 0.006)
        for index in range(6):
            x = (index + 0.5 + 0.25 * row) * wide / 6 + dice.uniform(-0.02, 0.02)
            at = y + 0.12 - 0.2 * (x / wide - 0.5) ** 2
            pen.glow(x, at, 0.14, 0.14, (255, 180, 90), 0.8)
            pen.fill(ellipse(x, at, 0.042, 0.052), (255, 120, 72) if index % 2 else (255, 226, 170))
            pen.fill(box(x - 0.018, at - 0.058, x + 0.018, at - 0.047), (60, 40, 50))
            pen.fill(box(x - 0.018, at + 0.047, x + 0.018, at + 0.058), (60, 40, 50))
    for index in range(3):
        left, width = wide * index / 3 + 0.01, wide / 3 - 0.02
        pen.fill(box(left, 0.56, left + width, 1.0), (112, 62, 54))
        pen.fill(box(left + 0.02, 0.66, left + width - 0.02, 0.84), (255, 206, 120))
        for stripe in range(8):
            x = left + width * stripe / 8
            pen.fill(
                smooth([(x, 0.52, 1), (x + width / 8, 0.52, 1), (x + width / 8, 0.63), (x, 0.63)]),
                (228, 70, 66) if stripe % 2 else (250, 246, 240),
            )
    for _ in range(12):
        pen.glow(dice.uniform(0, wide), dice.uniform(0.4, 0.95), 0.04, 0.04, (255, 214, 140), 0.6)


def _cafe(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (240, 220, 194), (222, 192, 158))
    left = wide * dice.choice((0.04, 0.56))
    _window(pen, left, 0.16, left + 0.4 * wide, 0.6, (120, 84, 66), dice)
    for share in (0.2, 0.5, 0.8):
        x = wide * share + dice.uniform(-0.03, 0.03)
        pen.line(smooth([(x, 0), (x, 0.1)], closed=False), (70, 52, 46), 0.007)
        pen.glow(x, 0.15, 0.16, 0.16, (255, 236, 170), 0.8)
        pen.fill(
            smooth([(x - 0.055, 0.15, 1), (x - 0.02, 0.09), (x + 0.02, 0.09), (x + 0.055, 0.15, 1)]),
            (74, 110, 96),
        )
    pen.fill(box(0, 0.68, wide, 1), (146, 100, 72))
    for x in np.arange(0, wide, 0.12).tolist():
        pen.fill(box(x, 0.7, x + 0.008, 1), (122, 80, 58))
    pen.fill(box(0, 0.67, wide, 0.71), (190, 142, 100))
    for share in (0.1, 0.24, 0.78, 0.9):
        x = wide * share
        pen.fill(
            smooth([(x - 0.03, 0.61, 1), (x + 0.03, 0.61, 1), (x + 0.022, 0.67, 1), (x - 0.022, 0.67, 1)]),
            (250, 246, 240),
        )
        pen.line(ellipse(x + 0.034, 0.635, 0.014, 0.016), (250, 246, 240), 0.008, closed=True)


INDOORS: dict[str, Place] = {
    "classroom": _classroom, "bedroom": _bedroom, "library": _library, "stage": _stage,
    "festival": _festival, "cafe": _cafe,
}  # fmt: skip
