"""Places in nature: skies, woods, shores."""

import random

import numpy as np

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.cloth import blossom
from newbie_core.drawing.colours import WHITE, mix
from newbie_core.drawing.curves import Spot, arc, box, ellipse, smooth
from newbie_core.drawing.places import Place, cloud, clouds, gradient, grass, hills, stars, tree


def _sky(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (88, 168, 246), (206, 236, 255))
    pen.glow(wide * dice.uniform(0.78, 0.92), 0.1, 0.32, 0.32, (255, 252, 226), 0.95)
    clouds(pen, wide, dice, 2, (255, 255, 255), (222, 236, 250), 0.7)


def _cloudy_sky(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (108, 160, 212), (220, 232, 244))
    clouds(pen, wide, dice, 4, (250, 252, 255), (198, 214, 232), 0.35)
    clouds(pen, wide, dice, 3, (238, 242, 250), (184, 202, 224), 0.8)
    for x in np.arange(-0.1, wide + 0.3, 0.26).tolist():
        cloud(pen, x, 0.92 + dice.uniform(-0.04, 0.04), 0.24, (244, 248, 255), (206, 220, 238))


def _night_sky(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (18, 22, 62), (74, 66, 132))
    pen.fill(
        smooth([(0, 0.3), (wide * 0.5, 0.42), (wide, 0.18), (wide, 0.3), (wide * 0.5, 0.56), (0, 0.46)]),
        (46, 46, 104),
    )
    stars(pen, wide, dice, 70, 0.95)
    x, y = wide * dice.choice((0.13, 0.87)), dice.uniform(0.13, 0.2)
    pen.glow(x, y, 0.26, 0.26, (255, 244, 200), 0.55)
    lit, dark = arc(x, y, 0.085, 0.085, 20, 250), arc(x + 0.036, y - 0.02, 0.074, 0.074, 250, 20)
    pen.fill(np.concatenate([lit, dark]), (255, 244, 206))


def _sunset(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (122, 92, 176), (255, 150, 104), 0.0, 0.55)
    pen.fade(0.42, 0.8, (255, 208, 128), 0.0, 1.0)
    x = wide * dice.choice((0.16, 0.84))
    pen.glow(x, 0.56, 0.5, 0.5, (255, 240, 180), 0.9)
    pen.dot(x, 0.56, 0.1, (255, 248, 214))
    for _ in range(5):
        cx, cy, size = dice.uniform(0, wide), dice.uniform(0.12, 0.5), dice.uniform(0.12, 0.26)
        pen.fill(ellipse(cx, cy, size, size * 0.12), (255, 178, 150))
        pen.fill(ellipse(cx + size * 0.3, cy + 0.03, size * 0.8, size * 0.1), (214, 120, 150))
    hills(pen, wide, dice, 0.86, 0.1, (150, 84, 124))
    hills(pen, wide, dice, 0.95, 0.1, (104, 58, 104))


def _beach(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (82, 176, 250), (196, 236, 255), 0.0, 0.5)
    pen.glow(wide * 0.86, 0.1, 0.3, 0.3, (255, 252, 220), 1.0)
    clouds(pen, wide, dice, 2, WHITE, (220, 238, 250), 0.3)
    pen.fill(box(0, 0.52, wide, 1), (52, 154, 214))
    pen.fill(box(0, 0.6, wide, 1), (74, 184, 222))
    for _ in range(16):
        x, y = dice.uniform(0, wide), dice.uniform(0.54, 0.74)
        pen.fill(ellipse(x, y, dice.uniform(0.02, 0.06), 0.004), (206, 240, 250))
    shore: list[Spot] = [(wide * share, 0.78 + dice.uniform(-0.02, 0.02)) for share in (0.25, 0.5, 0.75)]
    pen.fill(
        smooth([(-0.1, 1.1, 1), (-0.1, 0.75, 1), *shore, (wide + 0.1, 0.76, 1), (wide + 0.1, 1.1, 1)]),
        (240, 250, 252),
    )
    pen.fill(
        smooth(
            [
                (-0.1, 1.1, 1),
                (-0.1, 0.785, 1),
                *[(spot[0], spot[1] + 0.03) for spot in shore],
                (wide + 0.1, 0.8, 1),
                (wide + 0.1, 1.1, 1),
            ]
        ),
        (250, 226, 170),
    )
    for _ in range(8):
        pen.dot(dice.uniform(0, wide), dice.uniform(0.86, 1.0), 0.006, (226, 192, 132))
    _palm(pen, wide * dice.choice((0.06, 0.94)), 0.84)


def _palm(pen: Pen, x: float, y: float) -> None:
    pen.stroke(
        smooth([(x, y), (x + 0.02, y - 0.3), (x + 0.05, y - 0.56)], closed=False), (150, 106, 70), 0.05, 0.03
    )
    for dx, dy in ((-0.26, 0.04), (-0.18, -0.12), (0.02, -0.2), (0.2, -0.1), (0.24, 0.06)):
        leaf = smooth(
            [
                (x + 0.05, y - 0.56),
                (x + 0.05 + dx * 0.55, y - 0.62 + dy * 0.9),
                (x + 0.05 + dx, y - 0.56 + dy),
            ],
            closed=False,
        )
        pen.stroke(leaf, (58, 158, 92), 0.02, 0.05, 0.004)


def _cherry_blossoms(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (170, 212, 250), (255, 236, 242))
    hills(pen, wide, dice, 0.84, 0.06, (196, 222, 178))
    for side, flip in ((0.0, 1), (wide, -1)):
        trunk = smooth(
            [(side + 0.02 * flip, 1.0), (side + 0.06 * flip, 0.6), (side + 0.02 * flip, 0.2)], closed=False
        )
        pen.stroke(trunk, (126, 86, 84), 0.12, 0.07, 0.04)
        pen.stroke(
            smooth(
                [(side + 0.04 * flip, 0.5), (side + 0.2 * flip, 0.26), (side + 0.42 * flip, 0.16)],
                closed=False,
            ),
            (126, 86, 84),
            0.05,
            0.01,
        )
    for _ in range(46):
        edge = dice.random() ** 1.6 * wide * 0.5
        x = edge if dice.random() < 0.5 else wide - edge
        y = dice.uniform(-0.04, 0.36) * (1.25 - edge / wide)
        size = dice.uniform(0.05, 0.085)
        pen.fill(
            ellipse(x, y, size, size * 0.8, steps=14),
            dice.choice(((255, 190, 210), (255, 206, 222), (255, 222, 232), (248, 172, 198))),
        )
    for _ in range(16):
        blossom(
            pen, dice.uniform(0, wide), dice.uniform(0.0, 0.3), 0.02, (255, 240, 246), centre=(240, 130, 160)
        )
    for _ in range(22):
        x, y = dice.uniform(0, wide), dice.uniform(0.2, 1.0)
        pen.fill(ellipse(x, y, 0.011, 0.007, steps=10), (255, 176, 202))


def _forest(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (214, 240, 196), (150, 206, 140))
    pen.glow(wide * 0.5, 0.2, 0.6, 0.5, (255, 255, 226), 0.9)
    for layer, (colour, trunk, y) in enumerate(
        (((146, 200, 130), (130, 150, 100), 0.8), ((96, 168, 98), (112, 96, 70), 0.92))
    ):
        for index in range(6):
            x = (index + dice.uniform(0.1, 0.9)) * wide / 6
            if layer == 1 and abs(x / wide - 0.5) < 0.2:
                continue
            tree(pen, x, y, dice.uniform(0.62, 0.9), mix(colour, (40, 120, 80), dice.uniform(0, 0.25)), trunk)
    hills(pen, wide, dice, 0.92, 0.05, (84, 150, 84))
    grass(pen, wide, dice, 0.88, (112, 180, 96))


def _mountain(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (110, 180, 246), (226, 242, 255))
    clouds(pen, wide, dice, 2, WHITE, (222, 236, 250), 0.25)
    for x, top, colour in (
        (0.2, 0.3, (142, 164, 206)),
        (0.8, 0.22, (122, 146, 194)),
        (0.5, 0.42, (104, 134, 176)),
    ):
        peak = wide * x + dice.uniform(-0.05, 0.05)
        pen.fill(smooth([(peak - 0.5, 0.95, 1), (peak, top, 1), (peak + 0.5, 0.95, 1)]), colour)
        pen.fill(
            smooth(
                [
                    (peak - 0.13, top + 0.17, 1),
                    (peak, top, 1),
                    (peak + 0.13, top + 0.17, 1),
                    (peak + 0.05, top + 0.13, 1),
                    (peak, top + 0.19, 1),
                    (peak - 0.06, top + 0.13, 1),
                ]
            ),
            (248, 252, 255),
        )
    hills(pen, wide, dice, 0.82, 0.06, (126, 190, 118))
    hills(pen, wide, dice, 0.92, 0.05, (98, 170, 98))


def _flower_field(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (126, 196, 252), (232, 246, 255), 0.0, 0.6)
    clouds(pen, wide, dice, 3, WHITE, (224, 238, 250), 0.35)
    hills(pen, wide, dice, 0.62, 0.06, (150, 208, 130))
    hills(pen, wide, dice, 0.74, 0.04, (122, 192, 108))
    for index in range(70):
        y = 0.66 + 0.34 * (index / 70)
        blossom(
            pen,
            dice.uniform(0, wide),
            y,
            0.012 + 0.034 * (y - 0.6),
            dice.choice(((255, 130, 160), (255, 214, 92), (255, 255, 255), (190, 140, 240), (255, 168, 90))),
        )


def _garden(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (170, 218, 252), (240, 250, 240))
    for index in range(5):
        tree(
            pen,
            (index + dice.uniform(0.2, 0.8)) * wide / 5,
            0.74,
            dice.uniform(0.34, 0.5),
            (130, 196, 120),
            (140, 110, 84),
        )
    pen.fill(box(0, 0.7, wide, 0.84), (88, 156, 92))
    for x in np.arange(0, wide + 0.1, 0.09).tolist():
        pen.fill(ellipse(x, 0.7, 0.06, 0.04, steps=14), (100, 170, 100))
        blossom(
            pen,
            x + 0.02,
            dice.uniform(0.69, 0.8),
            0.022,
            dice.choice(((255, 120, 140), (255, 240, 244), (255, 190, 206))),
        )
    pen.fill(box(0, 0.84, wide, 1.0), (160, 206, 124))
    pen.fill(
        smooth(
            [(wide * 0.36, 1.0, 1), (wide * 0.46, 0.84, 1), (wide * 0.54, 0.84, 1), (wide * 0.64, 1.0, 1)]
        ),
        (236, 222, 196),
    )


def _snow(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (150, 178, 216), (226, 236, 248))
    for index in range(6):
        x, size = (index + dice.uniform(0.2, 0.8)) * wide / 6, dice.uniform(0.3, 0.5)
        for level in range(3):
            y, half = 0.82 - level * size * 0.24, size * (0.3 - level * 0.07)
            pen.fill(smooth([(x - half, y, 1), (x, y - size * 0.42, 1), (x + half, y, 1)]), (92, 132, 138))
            pen.fill(
                smooth(
                    [
                        (x - half * 0.6, y - size * 0.15, 1),
                        (x, y - size * 0.42, 1),
                        (x + half * 0.6, y - size * 0.15, 1),
                        (x, y - size * 0.1),
                    ]
                ),
                (246, 250, 255),
            )
    hills(pen, wide, dice, 0.84, 0.05, (236, 242, 252))
    hills(pen, wide, dice, 0.93, 0.04, (250, 252, 255))
    for _ in range(50):
        pen.dot(dice.uniform(0, wide), dice.uniform(0, 1), dice.uniform(0.004, 0.011), WHITE)


def _underwater(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (110, 222, 240), (22, 84, 160))
    for _ in range(5):
        x = dice.uniform(0, wide)
        pen.wash(
            smooth([(x, -0.05, 1), (x + 0.1, -0.05, 1), (x + 0.3, 0.9, 1), (x + 0.02, 0.9, 1)]),
            (210, 250, 255),
            0.22,
        )
    hills(pen, wide, dice, 0.93, 0.03, (214, 200, 160))
    for _ in range(7):
        x = dice.uniform(0, wide)
        pen.stroke(
            smooth(
                [(x, 1.0), (x + 0.03, 0.88), (x - 0.02, 0.78), (x + 0.02, dice.uniform(0.6, 0.72))],
                closed=False,
            ),
            (54, 160, 120),
            0.02,
            0.034,
            0.005,
        )
    for _ in range(5):
        x, y, colour = (
            dice.uniform(0, wide),
            dice.uniform(0.1, 0.85),
            dice.choice(((255, 160, 80), (255, 220, 90), (250, 120, 150))),
        )
        pen.fill(
            smooth(
                [
                    (x - 0.03, y),
                    (x, y - 0.018),
                    (x + 0.03, y, 1),
                    (x + 0.052, y - 0.02, 1),
                    (x + 0.048, y + 0.02, 1),
                    (x + 0.03, y, 1),
                    (x, y + 0.018),
                ]
            ),
            colour,
        )
        pen.dot(x - 0.014, y - 0.003, 0.004, (30, 30, 50))
    for _ in range(22):
        pen.line(
            ellipse(dice.uniform(0, wide), dice.uniform(0, 1), 0.012, 0.012, steps=16),
            (220, 248, 255),
            0.004,
            closed=True,
        )


def _space(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (16, 12, 42), (44, 20, 78))
    for colour in ((120, 60, 190), (50, 90, 200), (210, 80, 160)):
        pen.glow(dice.uniform(0, wide), dice.uniform(0.1, 0.9), 0.5, 0.36, colour, 0.55)
    stars(pen, wide, dice, 90, 1.0)
    x, y = wide * dice.choice((0.14, 0.86)), dice.uniform(0.16, 0.28)
    pen.dot(x, y, 0.12, (236, 170, 110))
    with pen.clip(ellipse(x, y, 0.12, 0.12)) as inner:
        inner.fill(ellipse(x + 0.08, y + 0.06, 0.13, 0.13), (186, 110, 100))
        inner.line(smooth([(x - 0.13, y - 0.03), (x + 0.13, y + 0.0)], closed=False), (250, 206, 150), 0.024)
    pen.line(ellipse(x, y + 0.01, 0.2, 0.04, steps=32)[:18], (250, 224, 190), 0.012)


NATURE: dict[str, Place] = {
    "sky": _sky, "cloudy_sky": _cloudy_sky, "night_sky": _night_sky, "sunset": _sunset, "beach": _beach,
    "cherry_blossoms": _cherry_blossoms, "forest": _forest, "mountain": _mountain,
    "flower_field": _flower_field, "garden": _garden, "snow": _snow, "underwater": _underwater,
    "space": _space,
}  # fmt: skip
