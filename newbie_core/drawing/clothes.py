"""Garments of the upper body, one function each."""

from collections.abc import Callable

import numpy as np

from newbie_core.drawing.body import HIP, WAIST, torso
from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import OFF_WHITE, fold, piece
from newbie_core.drawing.colours import CLOTH, WHITE, Tone, brightness, mix, tone
from newbie_core.drawing.curves import Spot, box, flip, mirrored, smooth, star
from newbie_core.drawing.dresses import draw_dress, draw_kimono, draw_maid
from newbie_core.drawing.look import Look
from newbie_core.drawing.tailoring import ROUND, draw_creases, draw_neckline

TUCKED = ("shirt", "blouse", "t-shirt", "tank_top", "kimono")  # the lower garment goes over these


def _serafuku(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, HIP - 0.08, loose=0.05), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
        inner.line(smooth([(-0.7, HIP - 0.16), (0.7, HIP - 0.16)], closed=False), cloth.shade, 0.03)
    draw_neckline(pen, look, cloth, [(0, 1.0), (0.2, 1.0, 1), (0.24, 1.22, 1), (0.02, 1.72, 1)])
    collar = (
        tone(CLOTH["dark_blue"])
        if brightness(cloth.base) > 0.75
        else tone(mix(cloth.base, (20, 16, 50), 0.38))
    )
    for side in (-1, 1):
        flap = flip(
            smooth(
                [
                    (0.2, 1.14),
                    (0.44, 1.22),
                    (0.64, 1.36, 1),
                    (0.58, 1.6, 1),
                    (0.28, 1.76),
                    (0.0, 1.86, 1),
                    (0.16, 1.46),
                ]
            ),
            side,
        )
        pen.shape(flap, collar.base if side < 0 else mix(collar.base, collar.shade, 0.6), collar.ink)
        stripe = flip(smooth([(0.56, 1.42), (0.51, 1.56), (0.26, 1.69), (0.04, 1.77)], closed=False), side)
        pen.line(stripe, OFF_WHITE, 0.032)


def _shirt(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, loose=0.03), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
        inner.line(smooth([(0.0, 1.4), (0.0, 2.7)], closed=False), cloth.deep, 0.024)
        for y in (1.66, 1.9, 2.14, 2.38):
            inner.dot(0.06, y, 0.028, cloth.deep)
    draw_neckline(pen, look, cloth, [(0, 1.0), (0.2, 1.0, 1), (0.24, 1.22, 1), (0.01, 1.46, 1)])
    for side in (-1, 1):
        flap = flip(
            smooth(
                [(0.16, 1.08, 1), (0.3, 1.18), (0.36, 1.28, 1), (0.24, 1.54, 1), (0.0, 1.42, 1), (0.14, 1.26)]
            ),
            side,
        )
        pen.shape(flap, mix(cloth.base, WHITE, 0.35), cloth.ink, LINE * 0.9)


def _blouse(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, loose=0.05), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
        for x in (-0.12, 0.12):
            for y in np.arange(1.5, 2.5, 0.1).tolist():
                inner.dot(x, y, 0.05, mix(cloth.base, cloth.shade, 0.5))
        for y in (1.7, 1.95, 2.2):
            inner.dot(0, y, 0.03, cloth.deep)
    for side in (-1, 1):
        flap = flip(
            smooth([(0.0, 1.3, 1), (0.2, 1.1), (0.38, 1.22), (0.42, 1.4), (0.22, 1.54), (0.04, 1.44)]), side
        )
        pen.shape(flap, mix(cloth.base, WHITE, 0.4), cloth.ink, LINE * 0.9)


def _t_shirt(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, loose=0.06), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
        inner.fill(
            star(0, 1.82, 0.2),
            mix(cloth.deep, (255, 200, 80), 0.55) if brightness(cloth.base) > 0.6 else (255, 226, 130),
        )
    draw_neckline(pen, look, cloth, ROUND)


def _tank_top(pen: Pen, look: Look, cloth: Tone) -> None:
    half: list[Spot] = [
        (0, 1.62),
        (0.2, 1.52),
        (0.26, 1.24, 1),
        (0.42, 1.28, 1),
        (0.44, 1.5),
        (0.6, 1.72, 1),
        (0.52, 1.9),
        (0.46, WAIST),
        (0.56, HIP, 1),
        (0, HIP + 0.05),
    ]
    with piece(
        pen,
        smooth(mirrored(half)) * np.array([1.1 if look.boy else 1.0, 1.0]),
        cloth,
        look.get("garment_pattern"),
    ) as inner:
        draw_creases(inner, look, cloth)


def _knit(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, HIP + 0.02, loose=0.1), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
        for x in (-0.2, 0.0, 0.2):
            for y in np.arange(1.5, 2.45, 0.13).tolist():
                inner.stroke(
                    smooth([(x - 0.05, y), (x, y + 0.06), (x + 0.05, y)], closed=False),
                    cloth.deep,
                    0.006,
                    0.024,
                    0.006,
                )
        inner.fill(box(-1, HIP - 0.1, 1, HIP + 0.2), cloth.shade)
        for x in np.arange(-0.7, 0.7, 0.09).tolist():
            inner.line(smooth([(x, HIP - 0.1), (x, HIP + 0.1)], closed=False), cloth.deep, 0.016)


def _sweater(pen: Pen, look: Look, cloth: Tone) -> None:
    _knit(pen, look, cloth)
    draw_neckline(pen, look, cloth, ROUND)
    pen.line(
        smooth([(-0.26, 1.23), (-0.16, 1.38), (0, 1.43), (0.16, 1.38), (0.26, 1.23)], closed=False),
        cloth.ink,
        0.12,
    )
    pen.line(
        smooth([(-0.26, 1.23), (-0.16, 1.38), (0, 1.43), (0.16, 1.38), (0.26, 1.23)], closed=False),
        cloth.light,
        0.07,
    )


def _turtleneck(pen: Pen, look: Look, cloth: Tone) -> None:
    _knit(pen, look, cloth)
    roll = smooth(mirrored([(0, 0.98), (0.24, 0.98), (0.29, 1.1), (0.27, 1.3), (0, 1.36)]))
    with piece(pen, roll, cloth) as inner:
        inner.fade(0.9, 1.18, cloth.deep, 0.9, 0.0)
        for x in (-0.15, -0.05, 0.05, 0.15):
            inner.line(smooth([(x, 0.9), (x, 1.4)], closed=False), cloth.deep, 0.016)


def _hoodie(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, HIP + 0.02, loose=0.14), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
        inner.fill(box(-1, HIP - 0.08, 1, HIP + 0.2), cloth.shade)
    pocket = smooth(mirrored([(0, 2.1), (0.26, 2.1, 1), (0.42, 2.44, 1), (0, 2.46)]))
    pen.shape(pocket, mix(cloth.base, cloth.shade, 0.45), cloth.ink, LINE * 0.85)
    hood = smooth(
        mirrored(
            [
                (0, 1.46),
                (0.16, 1.34),
                (0.24, 1.1),
                (0.4, 1.02),
                (0.6, 1.2),
                (0.52, 1.46),
                (0.28, 1.66),
                (0, 1.74),
            ]
        )
    )
    with piece(pen, hood, cloth) as inner:
        inner.fill(
            smooth(
                mirrored(
                    [(0, 1.4), (0.18, 1.3), (0.24, 1.06), (0.32, 1.06), (0.3, 1.3), (0.16, 1.5), (0, 1.56)]
                )
            ),
            cloth.deep,
        )
    draw_neckline(pen, look, cloth, [(0, 0.96), (0.2, 0.96, 1), (0.22, 1.2), (0.12, 1.36), (0, 1.42)])
    for side in (-1, 1):
        pen.stroke(
            flip(smooth([(0.16, 1.62), (0.18, 1.84), (0.16, 2.02)], closed=False), side),
            OFF_WHITE,
            0.036,
            0.036,
        )
        pen.dot(0.16 * side, 2.03, 0.034, OFF_WHITE, cloth.ink)


def _armor(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, HIP), tone(mix(cloth.base, (60, 50, 80), 0.65))):
        pass
    plate = smooth(
        mirrored([(0, 1.3), (0.34, 1.3), (0.56, 1.5, 1), (0.6, 1.76), (0.46, 2.12, 1), (0, 2.24)])
    ) * np.array([1.12 if look.boy else 1.0, 1.0])
    gold = tone(CLOTH["yellow"])
    with piece(pen, plate, cloth) as inner:
        inner.wash(
            smooth([(-0.42, 1.4), (-0.28, 1.38), (-0.3, 1.8), (-0.4, 2.0), (-0.5, 1.7)]), cloth.light, 0.85
        )
        fold(inner, [(0, 1.4), (0, 1.8), (0, 2.3)], cloth, 0.05)
        for side in (-1, 1):
            fold(inner, [(0.56 * side, 1.86), (0.3 * side, 1.96), (0.02 * side, 1.88)], cloth, 0.05)
        inner.line(smooth([(-0.56, 2.08), (0, 2.19), (0.56, 2.08)], closed=False), gold.base, 0.055)
    pen.shape(smooth(mirrored([(0, 1.14), (0.28, 1.1), (0.32, 1.26), (0, 1.42)])), cloth.light, cloth.ink)
    pen.shape(star(0, 1.66, 0.13, points=4, inner=0.5), (90, 190, 255), gold.ink, 0.026)
    for side in (-1, 1):
        tasset = flip(smooth([(0.04, 2.2, 1), (0.46, 2.12, 1), (0.66, 2.56), (0.4, 2.76), (0.1, 2.62)]), side)
        with piece(pen, tasset, cloth):
            pass


def _raincoat(pen: Pen, look: Look, cloth: Tone) -> None:
    half: list[Spot] = [
        (0, 1.22),
        (0.3, 1.2),
        (0.62, 1.4),
        (0.64, 1.8),
        (0.66, WAIST),
        (0.86, 3.1, 1),
        (0, 3.2),
    ]
    with piece(pen, smooth(mirrored(half)), cloth, look.get("garment_pattern")) as inner:
        inner.line(smooth([(0.0, 1.3), (0.0, 3.3)], closed=False), cloth.ink, 0.028)
        for y in (1.76, 2.1, 2.44, 2.8):
            inner.dot(0.1, y, 0.05, cloth.light, cloth.ink)
        inner.stroke(
            smooth([(-0.44, 1.5), (-0.5, 2.0), (-0.6, 2.8)], closed=False), cloth.light, 0.01, 0.09, 0.01
        )
        for side in (-1, 1):
            inner.line(smooth([(0.26 * side, 2.36), (0.54 * side, 2.34)], closed=False), cloth.ink, 0.04)
    hood = smooth(
        mirrored([(0, 1.4), (0.2, 1.28), (0.26, 1.02), (0.46, 0.98), (0.62, 1.18), (0.46, 1.46), (0, 1.64)])
    )
    with piece(pen, hood, cloth):
        pass
    draw_neckline(pen, look, cloth, [(0, 0.96), (0.2, 0.96, 1), (0.22, 1.16), (0.1, 1.3), (0, 1.34)])


def _track_jacket(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(pen, torso(look, HIP - 0.02, loose=0.08), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
        inner.line(smooth([(0, 1.3), (0, 2.7)], closed=False), OFF_WHITE, 0.07)
        inner.line(smooth([(0, 1.3), (0, 2.7)], closed=False), cloth.ink, 0.022)
        inner.line(smooth([(-0.7, 1.62), (0, 1.72), (0.7, 1.62)], closed=False), OFF_WHITE, 0.07)
        inner.fill(box(-1, HIP - 0.12, 1, HIP + 0.2), cloth.deep)
    for side in (-1, 1):
        pen.shape(
            flip(
                smooth([(0.02, 1.42, 1), (0.2, 1.06, 1), (0.32, 1.12), (0.36, 1.28, 1), (0.14, 1.46)]), side
            ),
            cloth.base,
            cloth.ink,
        )


def _vest(pen: Pen, look: Look, cloth: Tone) -> None:
    white = tone(OFF_WHITE)
    _shirt(pen, look, white)
    half: list[Spot] = [
        (0.0, 1.92, 1),
        (0.3, 1.32, 1),
        (0.46, 1.3),
        (0.5, 1.5),
        (0.6, 1.7, 1),
        (0.56, 1.9),
        (0.48, WAIST),
        (0.56, HIP - 0.06, 1),
        (0.14, HIP + 0.04),
        (0, HIP - 0.06, 1),
    ]
    with piece(
        pen,
        smooth(mirrored(half)) * np.array([1.12 if look.boy else 1.0, 1.0]),
        cloth,
        look.get("garment_pattern"),
    ) as inner:
        inner.line(smooth([(0, 1.9), (0, 2.7)], closed=False), cloth.ink, 0.026)
        for y in (2.04, 2.22, 2.4):
            inner.dot(0.06, y, 0.032, (250, 220, 130))


GARMENTS: dict[str, Callable[[Pen, Look, Tone], None]] = {
    "serafuku": _serafuku, "shirt": _shirt, "blouse": _blouse, "t-shirt": _t_shirt, "tank_top": _tank_top,
    "sweater": _sweater, "turtleneck": _turtleneck, "hoodie": _hoodie, "dress": draw_dress,
    "kimono": draw_kimono, "maid": draw_maid, "armor": _armor, "raincoat": _raincoat,
    "track_jacket": _track_jacket, "vest": _vest,
}  # fmt: skip


def draw_garment(pen: Pen, look: Look) -> None:
    """What covers the chest, without its sleeves."""
    GARMENTS[look.garment](pen, look, look.cloth("garment"))
