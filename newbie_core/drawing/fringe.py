"""The hair over skull and forehead: its outline, strands, and the ring of light."""

from collections.abc import Sequence

import numpy as np

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.colours import Tone, mix, tone
from newbie_core.drawing.curves import Points, Spot, smooth
from newbie_core.drawing.face import face_outline
from newbie_core.drawing.look import Look

# --- in front ----------------------------------------------------------------------------------

# The fringe's lower edge from right to left, as tips (corners) and valleys between them.
FRINGES: dict[str, list[Spot]] = {
    "natural": [
        (0.86, 0.2, 1), (0.72, -0.29), (0.56, 0.06, 1), (0.36, -0.33), (0.12, 0.1, 1), (-0.1, -0.37),
        (-0.34, 0.05, 1), (-0.5, -0.31), (-0.66, 0.08, 1), (-0.75, -0.23), (-0.87, 0.22, 1),
    ],
    "blunt_bangs": [
        (0.88, 0.12, 1), (0.74, 0.0, 1), (0.72, -0.07, 1), (0.56, 0.0, 1), (0.4, 0.0, 1),
        (0.37, -0.09, 1), (0.2, 0.01, 1), (0.03, 0.015, 1), (-0.01, -0.08, 1), (-0.18, 0.01, 1),
        (-0.36, 0.0, 1), (-0.4, -0.1, 1), (-0.58, -0.005, 1), (-0.7, -0.01, 1), (-0.73, -0.08, 1),
        (-0.88, 0.12, 1),
    ],
    "parted_bangs": [
        (0.9, 0.42, 1), (0.8, -0.1), (0.62, 0.12, 1), (0.5, -0.34), (0.02, -0.8, 1), (-0.46, -0.36),
        (-0.6, 0.1, 1), (-0.78, -0.1), (-0.9, 0.42, 1),
    ],
    "swept_bangs": [
        (0.9, 0.3, 1), (0.78, -0.28), (0.56, -0.74, 1), (0.3, -0.42), (-0.12, -0.08, 1), (-0.18, -0.26),
        (-0.5, 0.1, 1), (-0.56, -0.16), (-0.84, 0.36, 1), (-0.88, 0.1), (-0.94, 0.3, 1),
    ],
    "hair_over_one_eye": [
        (0.9, 0.3, 1), (0.78, -0.24), (0.5, -0.72, 1), (0.26, -0.34), (-0.06, 0.12, 1), (-0.1, 0.05),
        (-0.32, 0.64, 1), (-0.42, 0.5), (-0.62, 0.86, 1), (-0.8, 0.5), (-0.94, 0.3, 1),
    ],
    "crossed_bangs": [
        (0.88, 0.26, 1), (0.76, -0.23), (0.62, 0.02, 1), (0.5, -0.39), (0.3, -0.06, 1), (0.22, -0.33),
        (-0.02, 0.36, 1), (-0.1, -0.27), (-0.28, 0.0, 1), (-0.44, -0.37), (-0.6, 0.06, 1), (-0.74, -0.23),
        (-0.88, 0.24, 1),
    ],
    "no_bangs": [
        (0.93, 0.1, 1), (0.86, -0.34), (0.62, -0.66), (0.0, -0.82), (-0.62, -0.66), (-0.86, -0.34),
        (-0.93, 0.1, 1),
    ],
}  # fmt: skip


def fringe(look: Look) -> list[Spot]:
    """The fringe's lower edge, a little different from seed to seed."""
    dice = look.dice("fringe")
    name = look.bangs
    amount = 0.015 if name in ("blunt_bangs", "no_bangs") else 0.035
    spots: list[Spot] = []
    for spot in FRINGES[name]:
        tip = len(spot) == 3
        x, y = spot[0] + dice.uniform(-amount, amount), spot[1] + dice.uniform(-amount, amount)
        spots.append((x, y, 1) if tip else (x, y))
    if dice.random() < 0.5 and name in ("natural", "crossed_bangs"):
        spots = [(-spot[0], *spot[1:]) for spot in reversed(spots)]
    return spots


def cap_outline(look: Look, fringe: Sequence[Spot]) -> Points:
    """The hair over the skull down to the fringe."""
    texture = look.texture
    right: list[Spot] = [(0.5, -1.25), (0.86, -0.92), (1.05, -0.4), (1.08, 0.05), (1.0, 0.4, 1)]
    if texture in ("spiky", "messy"):
        out = 0.2 if texture == "spiky" else 0.1
        right = [
            (0.3, -1.27),
            (0.52, -1.24 - out, 1),
            (0.62, -1.15),
            (0.9 + out * 0.5, -0.98 - out * 0.4, 1),
            (0.95, -0.72),
            (1.1 + out, -0.5, 1),
            (1.05, -0.26),
            (1.1 + out, 0.02, 1),
            (1.02, 0.14),
            (1.0, 0.42, 1),
        ]
    left: list[Spot] = [(-spot[0], *spot[1:]) for spot in reversed(right)]
    return smooth([(0, -1.36), *right, *fringe, *left])


def draw_fringe_shadow(pen: Pen, look: Look) -> None:
    """The shadow that fringe and side locks throw on the face."""
    cap = cap_outline(look, fringe(look))
    with pen.clip(face_outline(look.boy)) as inner:
        inner.wash(cap + np.array([0.015, 0.085]), look.skin.deep, 0.55)


def paint_cap(pen: Pen, look: Look, hair: Tone, cap: Points) -> None:
    """Colour the hair over the skull: shade, strands, and the ring of light."""
    pen.fill(cap, hair.base)
    pen.fade(-1.3, -0.75, mix(hair.base, hair.light, 0.25), 0.8, 0.0)
    if look.get("hair_tips") == "streaked":
        other = second_tone(look)
        for x in (-0.5, 0.3):
            pen.stroke(
                smooth([(x * 0.3, -1.2), (x, -0.5), (x * 1.15, 0.4)], closed=False),
                other.base,
                0.06,
                0.16,
                0.2,
            )
    pen.wash(
        smooth([(0.35, -1.3), (0.78, -0.8), (0.82, -0.2), (0.7, 0.5), (1.4, 0.5), (1.4, -1.3)]),
        hair.shade,
        0.85,
    )
    dice = look.dice("strands")
    for x0, x1, y1 in (
        (-0.1, -0.84, -0.02),
        (-0.06, -0.5, -0.26),
        (-0.02, -0.12, -0.34),
        (0.03, 0.34, -0.3),
        (0.07, 0.66, -0.2),
        (0.12, 0.94, 0.1),
    ):
        bend = x1 * 0.75 + dice.uniform(-0.05, 0.05)
        line = smooth(
            [(x0, -1.24), (bend * 0.9, -0.75), (x1 + dice.uniform(-0.04, 0.04), y1 - 0.02)], closed=False
        )
        pen.stroke(line, mix(hair.shade, hair.deep, 0.45), 0.0, 0.012, 0.028, 0.034)
    _ring(pen, hair, look)


def _ring(pen: Pen, hair: Tone, look: Look) -> None:
    """The angel ring: a band of light around the crown with a ragged edge."""
    dice = look.dice("ring")
    y = -0.66 + look.wobble("ring_y", 0.03)
    upper = [(x, y + 0.34 * x * x - 0.03) for x in np.linspace(-0.8, 0.8, 9).tolist()]
    lower: list[Spot] = []
    for index, x in enumerate(np.linspace(0.8, -0.8, 15).tolist()):
        depth = 0.17 if index % 2 else 0.055
        lower.append((x, y + 0.34 * x * x + (depth + dice.uniform(-0.02, 0.04)) * (1 - 0.6 * abs(x)), 1))
    band = np.concatenate([smooth(upper, closed=False), smooth(lower, closed=False, steps=2)])
    pen.wash(band, hair.light, 0.9)
    for gap in (-0.28 + dice.uniform(-0.08, 0.08), 0.4 + dice.uniform(-0.08, 0.08)):
        top = y + 0.34 * gap * gap
        pen.stroke(
            smooth([(gap * 0.92, top - 0.12), (gap, top + 0.03), (gap * 1.05, top + 0.24)], closed=False),
            hair.base,
            0.02,
            0.07,
            0.03,
        )


def second_tone(look: Look) -> Tone:
    """The second colour of two-coloured hair."""
    red, green, _ = look.hair.base
    return tone((255, 150, 190) if red < 200 or green > 190 else (120, 190, 255))
