"""What hands hold."""

from collections.abc import Callable

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import OFF_WHITE, piece
from newbie_core.drawing.colours import CLOTH, RGB, WHITE, Tone, mix, tone
from newbie_core.drawing.curves import Points, Spot, box, ellipse, flip, heart, mirrored, smooth, star
from newbie_core.drawing.look import Look

CHEERFUL = ("red", "blue", "green", "purple", "pink", "orange", "aqua")


def _colour(look: Look) -> Tone:
    return tone(CLOTH[look.dice("prop").choice(CHEERFUL)])


def draw_prop_behind(pen: Pen, look: Look) -> None:
    """The umbrella's canopy, which lies behind the head."""
    if look.get("held") != "umbrella":
        return
    cloth = _colour(look)
    far = min(1.72, look.reach + 0.14)
    rim: list[Spot] = [
        (far - i * far / 4, -0.42 + (0.0 if i % 2 == 0 else -0.14), 1)
        if i % 2 == 0
        else (far - i * far / 4, -0.56)
        for i in range(9)
    ]
    outline = smooth(
        [
            (0.1, -1.98),
            (far * 0.62, -1.66),
            (far * 0.93, -1.05),
            *rim,
            (-far * 0.93, -1.05),
            (-far * 0.56, -1.66),
        ]
    )
    with piece(pen, outline, cloth, shaded=False) as inner:
        for index in (1, 3):
            x = far - index * far / 2
            inner.fill(
                smooth(
                    [
                        (0, -2.0, 1),
                        (x + far / 4, -0.9),
                        (x + far / 4 + 0.14, -0.3, 1),
                        (x - far / 4 + 0.1, -0.3, 1),
                        (x - far / 4, -0.9),
                    ]
                ),
                cloth.shade,
            )
        inner.stroke(
            smooth([(-far * 0.7, -1.1), (-far * 0.5, -1.5), (-0.2, -1.8)], closed=False),
            cloth.light,
            0.01,
            0.08,
            0.01,
        )
    pen.line(smooth([(0.5, -0.5), (0.76, 1.8)], closed=False), (110, 90, 90), 0.07)


def draw_prop(pen: Pen, look: Look) -> None:
    """The held thing, drawn before the hand that holds it."""
    kind = look.get("held")
    if kind in PROPS:
        PROPS[kind](pen, look, _colour(look))


def _book(pen: Pen, look: Look, cloth: Tone) -> None:
    for side in (-1, 1):
        pen.shape(
            flip(smooth([(0, 1.72, 1), (0.5, 1.62, 1), (0.54, 2.22, 1), (0, 2.34, 1)]), side),
            cloth.base if side < 0 else cloth.shade,
            cloth.ink,
        )
        pen.shape(
            flip(smooth([(0, 1.66, 1), (0.2, 1.58), (0.46, 1.58, 1), (0.48, 1.63, 1), (0, 1.74, 1)]), side),
            OFF_WHITE,
            cloth.ink,
            LINE * 0.7,
        )
    pen.shape(star(-0.26, 1.94, 0.12), (255, 226, 130), cloth.ink, 0.02)
    pen.line(smooth([(0, 1.7), (0, 2.33)], closed=False), cloth.ink, 0.04)


def _umbrella(pen: Pen, look: Look, cloth: Tone) -> None:
    pen.line(smooth([(0.7, 1.1), (0.78, 2.2)], closed=False), (110, 90, 90), 0.07)
    pen.line(smooth([(0.78, 2.2), (0.82, 2.36), (0.94, 2.34)], closed=False), cloth.base, 0.09)


def _blade(pen: Pen, look: Look, *, curved: bool, guard: Tone) -> None:
    """A blade that rises outwards from the hand at the right."""
    tilt = 16 if look.reach > 1.3 else 4
    local = pen.moved(0.93, 1.86, turn=tilt)
    steel = tone((206, 214, 232))
    if curved:
        blade = smooth([(-0.05, -0.1, 1), (-0.04, -1.2), (0.06, -2.2, 1), (0.09, -1.2), (0.05, -0.1, 1)])
    else:
        blade = smooth([(-0.12, -0.1, 1), (-0.11, -1.7, 1), (0, -2.0, 1), (0.11, -1.7, 1), (0.12, -0.1, 1)])
    with piece(local, blade, steel, shaded=False) as inner:
        inner.fill(blade + np.array([0.06 if curved else 0.12, 0.0]), steel.shade)
        inner.stroke(smooth([(-0.02, -0.2), (0.0, -1.9)], closed=False), WHITE, 0.01, 0.03, 0.01)
    local.line(smooth([(0, 0.0), (0, 0.38)], closed=False), (70, 50, 60), 0.12)
    if curved:
        local.shape(ellipse(0, -0.06, 0.17, 0.07), guard.base, guard.ink)
    else:
        local.shape(
            smooth(
                [
                    (-0.32, -0.16, 1),
                    (0, -0.11),
                    (0.32, -0.16, 1),
                    (0.3, -0.02, 1),
                    (0, 0.02),
                    (-0.3, -0.02, 1),
                ]
            ),
            guard.base,
            guard.ink,
        )
        local.dot(0, 0.42, 0.09, guard.base, guard.ink)


def _sword(pen: Pen, look: Look, cloth: Tone) -> None:
    _blade(pen, look, curved=False, guard=tone(CLOTH["yellow"]))


def _katana(pen: Pen, look: Look, cloth: Tone) -> None:
    _blade(pen, look, curved=True, guard=tone(CLOTH["red"]))


def _flower(pen: Pen, look: Look, cloth: Tone) -> None:
    paper = smooth([(0.02, 1.66, 1), (0.3, 1.56), (0.62, 1.66, 1), (0.38, 2.3, 1), (0.26, 2.3, 1)])
    heads: tuple[tuple[float, float, RGB], ...] = (
        (0.08, 1.56, cloth.base), (0.34, 1.44, CLOTH["pink"]), (0.6, 1.56, CLOTH["yellow"]),
        (0.22, 1.68, CLOTH["white"]), (0.48, 1.68, cloth.base),
    )  # fmt: skip
    for x, y in ((-0.02, 1.66), (0.7, 1.66), (0.34, 1.3)):
        pen.shape(ellipse(x, y, 0.1, 0.14), (116, 190, 120), (56, 110, 70), LINE * 0.7)
    pen.shape(paper, (255, 246, 236), (176, 140, 130))
    for x, y, colour in heads:
        for index in range(5):
            angle = np.radians(index * 72 - 90)
            pen.shape(
                ellipse(
                    x + 0.09 * float(np.cos(angle)), y + 0.09 * float(np.sin(angle)), 0.085, 0.085, steps=12
                ),
                colour,
                tone(colour).ink,
                0.02,
            )
        pen.dot(x, y, 0.06, (255, 210, 90))


def _cup(pen: Pen, look: Look, cloth: Tone) -> None:
    pen = pen.moved(0.16, 0.02)
    pen.line(ellipse(0.04, 1.8, 0.12, 0.13), cloth.ink, 0.07, closed=True)
    with piece(
        pen, smooth([(0.08, 1.58, 1), (0.52, 1.58, 1), (0.47, 2.04), (0.3, 2.08), (0.13, 2.04)]), cloth
    ) as inner:
        inner.fill(heart(0.28, 1.84, 0.09), OFF_WHITE)
    pen.shape(ellipse(0.3, 1.59, 0.22, 0.055), (120, 74, 54), cloth.ink, LINE * 0.8)
    for x in (0.22, 0.38):
        pen.stroke(
            smooth([(x, 1.48), (x + 0.05, 1.38), (x - 0.03, 1.28), (x + 0.02, 1.16)], closed=False),
            (250, 250, 255),
            0.01,
            0.04,
            0.005,
        )


def _microphone(pen: Pen, look: Look, cloth: Tone) -> None:
    local = pen.moved(0.34, 1.3, turn=-32)
    local.shape(box(-0.065, -0.2, 0.065, 0.34), (70, 66, 86), (34, 30, 46))
    local.shape(ellipse(0, -0.3, 0.15, 0.16), (188, 192, 208), (90, 90, 110))
    local.dot(-0.05, -0.35, 0.045, WHITE)
    local.line(smooth([(-0.15, -0.24), (0.15, -0.24)], closed=False), cloth.base, 0.06)


def _phone(pen: Pen, look: Look, cloth: Tone) -> None:
    local = pen.moved(0.74, 1.44, turn=8)
    local.shape(smooth([(-0.17, -0.3), (0.17, -0.3), (0.17, 0.28), (-0.17, 0.28)]), cloth.base, cloth.ink)
    local.dot(-0.08, -0.2, 0.05, (50, 46, 60))
    local.fill(heart(0.02, 0.02, 0.08), OFF_WHITE)


def _wand(pen: Pen, look: Look, cloth: Tone) -> None:
    gold = tone(CLOTH["yellow"])
    local = pen.moved(0.98, 1.6, turn=12)
    local.line(smooth([(0, 0.8), (0, -0.66)], closed=False), (110, 66, 60), 0.09)
    local.glow(0, -0.84, 0.5, 0.5, mix(cloth.base, WHITE, 0.4), 0.8)
    local.shape(star(0, -0.84, 0.28), gold.base, gold.ink)
    local.dot(0, -0.82, 0.08, cloth.light)


def _bag(pen: Pen, look: Look, cloth: Tone) -> None:
    pen.line(smooth([(0.68, 2.66), (0.8, 2.42), (0.94, 2.66)], closed=False), cloth.ink, 0.055)
    with piece(
        pen, smooth([(0.52, 2.62, 1), (1.1, 2.62, 1), (1.14, 3.1), (0.82, 3.16), (0.5, 3.1)]), cloth
    ) as inner:
        inner.line(smooth([(0.5, 2.8), (0.82, 2.86), (1.14, 2.8)], closed=False), cloth.ink, 0.03)
    pen.line(smooth([(-0.46, 1.36), (0.1, 2.0), (0.6, 2.64)], closed=False), cloth.ink, 0.09)
    pen.line(smooth([(-0.46, 1.36), (0.1, 2.0), (0.6, 2.64)], closed=False), cloth.base, 0.05)


def _plush(pen: Pen, look: Look, cloth: Tone) -> None:
    fur = tone((206, 152, 104))
    for side in (-1, 1):
        pen.shape(ellipse(0.22 * side, 1.62, 0.11, 0.11), fur.base, fur.ink)
        pen.shape(ellipse(0.18 * side, 2.42, 0.14, 0.11), fur.base, fur.ink)
    with piece(pen, smooth(mirrored([(0, 2.02), (0.22, 2.08), (0.26, 2.3), (0, 2.46)])), fur) as inner:
        inner.fill(ellipse(0, 2.28, 0.13, 0.14), fur.light)
    with piece(pen, ellipse(0, 1.82, 0.3, 0.26), fur, shaded=False) as inner:
        inner.fill(ellipse(0, 1.92, 0.14, 0.11), fur.light)
    for side in (-1, 1):
        pen.dot(0.12 * side, 1.8, 0.034, (50, 34, 40))
    pen.dot(0, 1.88, 0.034, (80, 46, 46))
    ribbon = cloth
    pen.shape(_small_bow(), ribbon.base, ribbon.ink, LINE * 0.8)


def _small_bow() -> Points:
    """The outline of a small bow under a plush animal's chin."""
    return smooth([(0, 2.06, 1), (-0.17, 1.98), (-0.17, 2.18), (0, 2.1, 1), (0.17, 2.18), (0.17, 1.98)])


PROPS: dict[str, Callable[[Pen, Look, Tone], None]] = {
    "book": _book, "umbrella": _umbrella, "sword": _sword, "katana": _katana, "flower": _flower,
    "cup": _cup, "microphone": _microphone, "phone": _phone, "wand": _wand, "bag": _bag, "plush": _plush,
}  # fmt: skip
