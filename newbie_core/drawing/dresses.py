"""Garments that reach below the waist: dress, kimono, maid; and the flared skirt and apron."""

import numpy as np

from newbie_core.drawing.body import WAIST, torso
from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import OFF_WHITE, blossom, bow, fold, frill, piece
from newbie_core.drawing.colours import CLOTH, WHITE, Tone, brightness, mix, tone
from newbie_core.drawing.curves import Points, Spot, ellipse, flip, mirrored, smooth
from newbie_core.drawing.look import Look
from newbie_core.drawing.tailoring import draw_creases, draw_neckline


def _flared(look: Look, bottom: float, wide: float) -> Points:
    """A skirt from the waist down, its hem in waves."""
    top = 0.54 if look.boy else 0.45
    hem: list[Spot] = [(wide - i * wide / 3, bottom + 0.05 + (0.05 if i % 2 else -0.02)) for i in range(1, 6)]
    return smooth(
        [
            (-top, WAIST, 1),
            (top, WAIST, 1),
            (top + (wide - top) * 0.62, WAIST + (bottom - WAIST) * 0.5),
            (wide, bottom, 1),
            *hem,
            (-wide, bottom, 1),
            (-top - (wide - top) * 0.62, WAIST + (bottom - WAIST) * 0.5),
        ]
    )


def draw_flare(
    pen: Pen, look: Look, cloth: Tone, bottom: float, wide: float, pattern: str = "", *, pleats: int = 4
) -> None:
    """A skirt with pleats or soft folds."""
    outline = _flared(look, bottom, wide)
    with piece(pen, outline, cloth, pattern) as inner:
        for index in range(pleats):
            share = (index + 0.5) / pleats * 2 - 1
            fold(
                inner,
                [
                    (share * 0.4, WAIST + 0.04),
                    (share * wide * 0.78, (WAIST + bottom) / 2),
                    (share * wide * 0.98, bottom + 0.1),
                ],
                cloth,
                0.05,
            )


def draw_dress(pen: Pen, look: Look, cloth: Tone) -> None:
    """A dress with puffed shoulders, a sash and a frilled hem."""
    pattern = look.get("garment_pattern")
    draw_flare(pen, look, cloth, 3.3, 0.98, pattern)
    frill(pen, -0.9, 0.9, 3.32, mix(cloth.base, WHITE, 0.75))
    with piece(pen, torso(look, WAIST + 0.1), cloth, pattern) as inner:
        draw_creases(inner, look, cloth)
        for x in np.arange(-0.5, 0.51, 0.11).tolist():
            inner.dot(x, 1.5 - x * x * 0.3, 0.075, mix(cloth.base, WHITE, 0.7))
    draw_neckline(pen, look, cloth, [(0, 1.0), (0.22, 1.0, 1), (0.34, 1.26, 1), (0.26, 1.44), (0, 1.5)])
    sash = (
        tone(mix(cloth.base, (255, 255, 255), 0.7)) if brightness(cloth.base) < 0.8 else tone(CLOTH["pink"])
    )
    pen.shape(
        smooth(
            [
                (-0.46, WAIST - 0.04, 1),
                (0, WAIST + 0.0),
                (0.46, WAIST - 0.04, 1),
                (0.48, WAIST + 0.12, 1),
                (0, WAIST + 0.16),
                (-0.48, WAIST + 0.12, 1),
            ]
        ),
        sash.base,
        sash.ink,
        LINE * 0.9,
    )
    bow(pen, 0.0, WAIST + 0.06, 0.22, sash, tails=True)


def draw_kimono(pen: Pen, look: Look, cloth: Tone) -> None:
    """A kimono with crossed collars and a sash, strewn with flowers."""
    robe = smooth(
        [
            (-0.48, WAIST, 1),
            (0.48, WAIST, 1),
            (0.66, 2.7),
            (0.62, 4.3, 1),
            (0, 4.36),
            (-0.62, 4.3, 1),
            (-0.66, 2.7),
        ]
    )
    with piece(pen, robe, cloth, look.get("garment_pattern")) as inner:
        fold(inner, [(0.1, WAIST), (0.2, 3.2), (0.12, 4.4)], cloth, 0.05)
        for x, y in ((-0.36, 3.0), (-0.2, 3.5), (0.4, 3.7), (0.38, 2.9), (-0.42, 4.0)):
            blossom(inner, x, y, 0.11, mix(cloth.base, WHITE, 0.72))
    with piece(pen, torso(look, WAIST + 0.25, loose=0.06), cloth, look.get("garment_pattern")) as inner:
        for x, y in ((-0.44, 1.66), (0.46, 1.82)):
            blossom(inner, x, y, 0.09, mix(cloth.base, WHITE, 0.72))
    draw_neckline(pen, look, cloth, [(0, 1.0), (0.2, 1.0, 1), (0.26, 1.24, 1), (0.0, 1.6, 1)])
    trim = tone(OFF_WHITE) if brightness(cloth.base) < 0.8 else tone(CLOTH["red"])
    for side in (1, -1):
        band = smooth([(-0.26 * side, 1.14), (-0.06 * side, 1.54), (0.3 * side, 1.96)], closed=False)
        pen.line(band, trim.ink, 0.15)
        pen.line(band, trim.base, 0.1)
    sash = tone(CLOTH["yellow"]) if cloth.base[2] > 120 or cloth.base[0] > 190 else tone(CLOTH["red"])
    with piece(pen, smooth(mirrored([(0, 1.9), (0.52, 1.88, 1), (0.52, 2.32, 1), (0, 2.36)])), sash) as inner:
        inner.line(smooth([(-0.6, 2.11), (0.6, 2.11)], closed=False), trim.base, 0.06)
    pen.dot(0, 2.11, 0.08, trim.base, sash.ink)


def draw_maid(pen: Pen, look: Look, cloth: Tone) -> None:
    """A maid's dress under a white apron."""
    draw_flare(pen, look, cloth, 3.35, 1.02, look.get("garment_pattern"))
    with piece(pen, torso(look, WAIST + 0.12), cloth, look.get("garment_pattern")) as inner:
        draw_creases(inner, look, cloth)
    white = tone(OFF_WHITE)
    draw_apron(pen, look, white)
    collar = smooth([(0.0, 1.36, 1), (0.16, 1.14), (0.34, 1.18), (0.46, 1.33), (0.26, 1.45), (0.03, 1.46)])
    for side in (-1, 1):
        pen.shape(flip(collar, side), white.base, white.ink, LINE * 0.9)


def draw_apron(pen: Pen, look: Look, cloth: Tone) -> None:
    """An apron with shoulder straps and frills."""
    for side in (-1, 1):
        strap = flip(smooth([(0.4, 1.26), (0.36, 1.5), (0.3, 1.72)], closed=False), side)
        pen.line(strap, cloth.ink, 0.16)
        pen.line(strap, cloth.base, 0.11)
        for y in (1.3, 1.44, 1.58, 1.72):
            pen.shape(
                ellipse((0.47 - (y - 1.3) * 0.18) * side, y, 0.075, 0.075, steps=14),
                cloth.base,
                cloth.ink,
                0.018,
            )
    skirt = smooth(mirrored([(0, 2.0), (0.36, 2.0, 1), (0.62, 2.6), (0.56, 3.05), (0, 3.18)]))
    hem = skirt[(skirt[:, 1] > 2.2)]
    for x, y in hem[::2].tolist():
        pen.shape(ellipse(x, y, 0.09, 0.09, steps=14), cloth.base, cloth.ink, 0.018)
    with piece(pen, skirt, cloth) as inner:
        for side in (-1, 1):
            fold(inner, [(0.16 * side, 2.1), (0.26 * side, 2.5), (0.28 * side, 3.0)], cloth)
    with piece(pen, smooth(mirrored([(0, 1.62), (0.3, 1.6, 1), (0.36, 2.1, 1), (0, 2.14)])), cloth):
        pass
    pen.line(
        smooth([(-0.46, WAIST + 0.02), (0, WAIST + 0.06), (0.46, WAIST + 0.02)], closed=False),
        cloth.ink,
        0.13,
    )
    pen.line(
        smooth([(-0.46, WAIST + 0.02), (0, WAIST + 0.06), (0.46, WAIST + 0.02)], closed=False),
        cloth.base,
        0.08,
    )
