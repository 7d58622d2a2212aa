"""Hats and crowns."""

from collections.abc import Callable

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import OFF_WHITE, fold, piece
from newbie_core.drawing.colours import CLOTH, Tone, mix, tone
from newbie_core.drawing.curves import Spot, box, ellipse, mirrored, smooth, star
from newbie_core.drawing.look import Look

GOLD = tone((250, 208, 92))


def _beret(pen: Pen, look: Look, cloth: Tone) -> None:
    hat = pen.moved(-0.06, -0.04, turn=-7)
    with piece(
        hat,
        smooth(
            [
                (-1.02, -0.72),
                (-1.28, -1.1),
                (-0.9, -1.55),
                (0, -1.68),
                (0.9, -1.5),
                (1.14, -1.06),
                (0.98, -0.76),
                (0, -1.0),
            ]
        ),
        cloth,
    ) as inner:
        fold(inner, [(-0.9, -0.95), (-0.3, -1.2), (0.4, -1.18)], cloth)
        inner.stroke(
            smooth([(-0.8, -1.3), (-0.3, -1.5), (0.2, -1.52)], closed=False), cloth.light, 0.01, 0.09, 0.01
        )
    hat.line(smooth([(0.02, -1.66), (0.08, -1.82)], closed=False), cloth.ink, 0.08)


def _witch_hat(pen: Pen, look: Look, cloth: Tone) -> None:
    hat = pen.moved(0, 0.06, turn=look.wobble("hat", 3))
    band = tone(CLOTH["yellow"])
    with piece(
        hat,
        smooth(
            [
                (-0.82, -0.9),
                (-0.5, -1.5),
                (-0.12, -1.92),
                (0.4, -2.12),
                (0.86, -1.92, 1),
                (0.5, -1.8),
                (0.58, -1.4),
                (0.84, -0.9),
                (0, -1.02),
            ]
        ),
        cloth,
    ) as inner:
        fold(inner, [(0.1, -1.9), (0.3, -1.74), (0.5, -1.76)], cloth)
        inner.line(smooth([(-0.9, -1.02), (0, -1.17), (0.9, -1.02)], closed=False), band.base, 0.16)
    with piece(
        hat,
        smooth(
            [
                (-1.55, -0.62),
                (-0.8, -0.98),
                (0, -1.06),
                (0.8, -0.98),
                (1.55, -0.62),
                (0.9, -0.66),
                (0, -0.8),
                (-0.9, -0.66),
            ]
        ),
        cloth,
        shaded=False,
    ):
        pass
    hat.shape(box(-0.13, -1.26, 0.13, -1.06), band.light, band.ink, LINE)


def _baseball_cap(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(
        pen,
        smooth(
            [
                (-1.1, -0.52),
                (-1.02, -1.02),
                (-0.56, -1.4),
                (0, -1.5),
                (0.56, -1.4),
                (1.02, -1.02),
                (1.1, -0.52),
                (0, -0.78),
            ]
        ),
        cloth,
    ) as inner:
        for side in (-1, 1):
            fold(inner, [(0, -1.5), (0.4 * side, -1.2), (0.5 * side, -0.7)], cloth, 0.03)
        inner.shape(star(0, -1.1, 0.2), OFF_WHITE, cloth.ink, 0.024)
    with piece(
        pen,
        smooth([(-1.0, -0.58, 1), (-0.5, -0.8), (0.5, -0.8), (1.0, -0.58, 1), (0.62, -0.42), (-0.62, -0.42)]),
        tone(cloth.shade),
    ):
        pass


def _straw_hat(pen: Pen, look: Look, cloth: Tone) -> None:
    ribbon = tone(CLOTH["red"])
    straw = tone((244, 214, 136)) if look.get("headwear_colour") in ("", "yellow") else cloth
    with piece(
        pen, smooth(mirrored([(0, -1.62), (0.5, -1.56), (0.84, -1.2), (0.9, -0.78), (0, -0.9)])), straw
    ) as inner:
        inner.line(smooth([(-1.0, -0.88), (0, -1.04), (1.0, -0.88)], closed=False), ribbon.base, 0.2)
        for y in (-1.24, -1.4):
            inner.line(smooth([(-0.9, y + 0.1), (0, y), (0.9, y + 0.1)], closed=False), straw.shade, 0.022)
    with piece(
        pen,
        smooth(mirrored([(0, -0.98), (0.8, -0.9), (1.5, -0.62), (1.2, -0.52), (0, -0.74)])),
        straw,
        shaded=False,
    ) as inner:
        inner.line(smooth([(-1.4, -0.6), (0, -0.86), (1.4, -0.6)], closed=False), straw.shade, 0.024)


def _crown(pen: Pen, look: Look, cloth: Tone) -> None:
    spots: list[Spot] = [
        (-0.5, -1.14, 1),
        (-0.62, -1.66, 1),
        (-0.3, -1.4, 1),
        (0, -1.78, 1),
        (0.3, -1.4, 1),
        (0.62, -1.66, 1),
        (0.5, -1.14, 1),
        (0, -1.2),
    ]
    with piece(pen, smooth(spots), cloth) as inner:
        inner.fill(ellipse(0, -1.34, 0.09, 0.11), (230, 60, 90))
        for side in (-1, 1):
            inner.fill(ellipse(0.32 * side, -1.26, 0.06, 0.07), (80, 150, 240))
    for x, y in ((-0.62, -1.68), (0, -1.8), (0.62, -1.68)):
        pen.dot(x, y, 0.065, cloth.light, cloth.ink)


def _tiara(pen: Pen, look: Look, cloth: Tone) -> None:
    line = smooth([(-0.74, -0.92), (-0.3, -1.06), (0, -1.1), (0.3, -1.06), (0.74, -0.92)], closed=False)
    peaks = smooth(
        [
            (-0.4, -1.04, 1),
            (-0.26, -1.26, 1),
            (-0.14, -1.14, 1),
            (0, -1.46, 1),
            (0.14, -1.14, 1),
            (0.26, -1.26, 1),
            (0.4, -1.04, 1),
            (0, -1.1),
        ]
    )
    pen.shape(peaks, cloth.base, cloth.ink)
    pen.line(line, cloth.ink, 0.1)
    pen.line(line, cloth.light, 0.05)
    pen.dot(0, -1.2, 0.075, (120, 210, 255), cloth.ink)


def _maid_headdress(pen: Pen, look: Look, cloth: Tone) -> None:
    for x in np.linspace(-0.84, 0.84, 11).tolist():
        pen.shape(ellipse(x, -1.24 + 0.42 * x * x, 0.14, 0.14), cloth.base, cloth.ink, LINE * 0.8)
    band = smooth([(-0.94, -0.74), (-0.5, -1.02), (0, -1.12), (0.5, -1.02), (0.94, -0.74)], closed=False)
    pen.line(band, cloth.ink, 0.18)
    pen.line(band, cloth.base, 0.125)


def _santa_hat(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(
        pen,
        smooth(
            [
                (-0.9, -0.86),
                (-0.7, -1.4),
                (0, -1.76),
                (0.8, -1.66),
                (1.18, -1.1),
                (1.22, -0.7, 1),
                (1.0, -0.96),
                (0.9, -0.84),
                (0, -1.0),
            ]
        ),
        cloth,
    ):
        pass
    fur = smooth(
        [
            (-1.08, -0.62),
            (-0.9, -0.98),
            (0, -1.16),
            (0.9, -0.98),
            (1.08, -0.62),
            (0.9, -0.6),
            (0, -0.82),
            (-0.9, -0.6),
        ]
    )
    pen.shape(fur, OFF_WHITE, (170, 160, 190))
    pen.dot(1.22, -0.62, 0.16, OFF_WHITE, (170, 160, 190))


def _beanie(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(
        pen, smooth(mirrored([(0, -1.56), (0.6, -1.46), (1.02, -1.04), (1.1, -0.6), (0, -0.8)])), cloth
    ) as inner:
        for x in np.linspace(-0.9, 0.9, 9).tolist():
            fold(inner, [(x * 0.5, -1.6), (x, -1.1), (x * 1.1, -0.6)], cloth, 0.03)
    rim = smooth(mirrored([(0, -1.02), (0.7, -0.92), (1.14, -0.66), (1.12, -0.4), (0, -0.72)]))
    with piece(pen, rim, tone(mix(cloth.base, cloth.light, 0.3))) as inner:
        for x in np.linspace(-1.1, 1.1, 16).tolist():
            inner.line(smooth([(x, -1.1), (x, -0.3)], closed=False), cloth.shade, 0.02)
    pen.dot(0, -1.64, 0.19, cloth.light, cloth.ink)


def _helmet(pen: Pen, look: Look, cloth: Tone) -> None:
    with piece(
        pen,
        smooth(
            [
                (-1.16, 0.24, 1),
                (-1.16, -0.6),
                (-0.66, -1.3),
                (0, -1.46),
                (0.66, -1.3),
                (1.16, -0.6),
                (1.16, 0.24, 1),
                (0.92, 0.1),
                (0.82, -0.5),
                (0, -0.66),
                (-0.82, -0.5),
                (-0.92, 0.1),
            ]
        ),
        cloth,
    ) as inner:
        inner.stroke(
            smooth([(-0.86, -0.6), (-0.56, -1.06), (-0.2, -1.2)], closed=False), cloth.light, 0.01, 0.12, 0.01
        )
    pen.shape(smooth([(-0.07, -0.7, 1), (-0.09, -1.5), (0.09, -1.5), (0.07, -0.7, 1)]), GOLD.base, GOLD.ink)
    plume = tone(CLOTH["red"])
    pen.shape(
        smooth([(0, -1.44, 1), (0.1, -1.86), (0.6, -1.94), (0.96, -1.5, 1), (0.6, -1.6), (0.2, -1.4)]),
        plume.base,
        plume.ink,
    )


HATS: dict[str, Callable[[Pen, Look, Tone], None]] = {
    "beret": _beret, "witch_hat": _witch_hat, "baseball_cap": _baseball_cap, "straw_hat": _straw_hat,
    "crown": _crown, "tiara": _tiara, "maid_headdress": _maid_headdress, "santa_hat": _santa_hat,
    "beanie": _beanie, "helmet": _helmet,
}  # fmt: skip
