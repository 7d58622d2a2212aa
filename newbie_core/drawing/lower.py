"""What is worn below the waist: skirts, trousers, stockings and shoes."""

import numpy as np

from newbie_core.drawing.body import ANKLE, HIP, KNEE, LEG_WIDTHS, WAIST, leg
from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import OFF_WHITE, draw_limb, fold, piece
from newbie_core.drawing.colours import Tone, mix, tone
from newbie_core.drawing.curves import Points, box, ellipse, flip, mirrored, ribbon, smooth
from newbie_core.drawing.dresses import draw_flare
from newbie_core.drawing.look import Look


def draw_legs(pen: Pen, look: Look) -> None:
    """Bare legs, then stockings, trouser legs and shoes over them."""
    if look.get("pose") == "sitting":
        _bench(pen)
    for side in (-1, 1):
        line = leg(look, side)
        draw_limb(pen, line, LEG_WIDTHS, look.skin)
        _stocking(pen, look, line)
        draw_foot(pen, look, side, line)
        if look.lower == "pants":
            _trouser(pen, look, line)


def _bench(pen: Pen) -> None:
    """What a sitting figure sits on."""
    wood = tone((196, 144, 100))
    for side in (-1, 1):
        pen.shape(
            box(min(0.98 * side, 0.8 * side), 2.9, max(0.98 * side, 0.8 * side), 4.2), wood.shade, wood.ink
        )
    pen.shape(
        smooth([(-1.2, 2.72, 1), (1.2, 2.72, 1), (1.25, 3.06, 1), (-1.25, 3.06, 1)]), wood.base, wood.ink
    )
    pen.line(smooth([(-1.2, 2.92), (1.2, 2.92)], closed=False), wood.shade, 0.04)


def _stocking(pen: Pen, look: Look, line: Points) -> None:
    kind = look.get("legwear")
    if not kind:
        return
    start = {"thighhighs": 3.22, "pantyhose": 2.4, "kneehighs": KNEE - 0.02, "socks": ANKLE - 0.36}[kind]
    part = line[line[:, 1] > start - 0.06]
    if len(part) < 3:
        return
    cloth = look.cloth("legwear")
    shares = np.interp(part[:, 1], np.linspace(2.6, ANKLE, len(LEG_WIDTHS)), LEG_WIDTHS) + 0.015
    draw_limb(pen, part, tuple(shares.tolist()), cloth)
    if kind != "pantyhose":
        wide = float(shares[0]) / 2
        x, y = part[0].tolist()
        pen.shape(box(x - wide, y - 0.02, x + wide, y + 0.1), cloth.base, cloth.ink, LINE * 0.8)


def _trouser(pen: Pen, look: Look, line: Points) -> None:
    cloth = look.cloth("lower")
    outline = ribbon(line, (0.54, 0.5, 0.45, 0.43, 0.42, 0.42))
    with piece(pen, outline, cloth, look.get("lower_pattern"), shaded=False) as inner:
        inner.fill(outline + np.array([0.3, 0.0]), cloth.shade)
        x, y = line[len(line) // 2].tolist()
        fold(inner, [(x - 0.2, y - 0.04), (x, y + 0.05), (x + 0.16, y)], cloth)
        fold(inner, [(x - 0.2, ANKLE - 0.2), (x, ANKLE - 0.12), (x + 0.2, ANKLE - 0.18)], cloth)


def draw_foot(pen: Pen, look: Look, side: int, line: Points) -> None:
    """A shoe, boot or sandal at the end of a leg."""
    kind, shoe = look.wears("footwear"), look.cloth("footwear")
    x, y = line[-1].tolist()
    foot = pen.moved(x, y, turn=-22 * side if look.get("pose") == "jumping" else 0)
    outline = flip(
        smooth(
            [(-0.13, -0.08), (0.1, -0.1), (0.22, 0.1), (0.27, 0.28), (0.1, 0.34), (-0.13, 0.32), (-0.17, 0.1)]
        ),
        side,
    )
    if kind == "boots":
        part = line[line[:, 1] > ANKLE - 0.62] if look.get("pose") != "jumping" else line[-4:]
        draw_limb(pen, part, (0.34, 0.33, 0.31), shoe)
    if kind == "sandals":
        foot.shape(outline, look.skin.base, look.skin.ink)
        foot.line(
            flip(smooth([(-0.14, 0.02), (0.06, 0.2), (0.22, 0.08)], closed=False), side), shoe.base, 0.06
        )
    else:
        with piece(foot, outline, shoe, shaded=False) as inner:
            inner.fill(outline + np.array([0.2, 0.06]), shoe.shade)
            inner.wash(ellipse(-0.02 * side, 0.12, 0.06, 0.05), shoe.light, 0.8)
            if kind == "sneakers":
                inner.line(smooth([(-0.2, 0.06), (0.24 * side, 0.1)], closed=False), OFF_WHITE, 0.045)
            if kind == "shoes":
                inner.line(
                    flip(smooth([(-0.18, 0.0), (0.02, 0.06), (0.2, 0.0)], closed=False), side), shoe.ink, 0.03
                )
    sole = OFF_WHITE if kind == "sneakers" else mix(shoe.deep, shoe.ink, 0.5)
    foot.line(flip(smooth([(-0.13, 0.33), (0.1, 0.35), (0.26, 0.3)], closed=False), side), sole, 0.05)


def draw_lower(pen: Pen, look: Look) -> None:
    """The skirt, or the hips of trousers and shorts."""
    name = look.lower
    if not name:
        return
    cloth, pattern = look.cloth("lower"), look.get("lower_pattern")
    if name in ("skirt", "pleated_skirt"):
        draw_flare(pen, look, cloth, 3.08, 0.92, pattern, pleats=8 if name == "pleated_skirt" else 3)
        if name == "pleated_skirt":
            _hem_stripe(pen, cloth)
    elif name == "long_skirt":
        draw_flare(pen, look, cloth, 4.2, 1.0, pattern, pleats=4)
    elif name == "hakama":
        draw_flare(pen, look, cloth, 4.35, 0.95, pattern, pleats=7)
        pen.line(smooth([(-0.46, WAIST), (0, WAIST + 0.04), (0.46, WAIST)], closed=False), cloth.ink, 0.16)
        pen.line(smooth([(-0.46, WAIST), (0, WAIST + 0.04), (0.46, WAIST)], closed=False), cloth.light, 0.1)
    else:
        _hips(pen, look, cloth, pattern, short=name == "shorts")
    if name in ("skirt", "long_skirt"):
        _belt(pen, look, tone(cloth.deep))


def _hem_stripe(pen: Pen, cloth: Tone) -> None:
    colour = mix(cloth.light, OFF_WHITE, 0.6)
    pen.line(
        smooth([(-0.86, 2.98), (-0.4, 3.05), (0, 3.03), (0.4, 3.05), (0.86, 2.98)], closed=False),
        colour,
        0.035,
    )


def _belt(pen: Pen, look: Look, cloth: Tone) -> None:
    wide = 0.57 if look.boy else 0.47
    band = smooth(
        mirrored(
            [(0, WAIST - 0.03), (wide, WAIST - 0.06, 1), (wide + 0.01, WAIST + 0.08, 1), (0, WAIST + 0.12)]
        )
    )
    pen.shape(band, cloth.base, cloth.ink, LINE * 0.9)


def _hips(pen: Pen, look: Look, cloth: Tone, pattern: str, *, short: bool) -> None:
    wide = 0.6 if look.boy else 0.5
    low = 3.12 if short else 2.92
    outline = smooth(
        mirrored(
            [
                (0, WAIST),
                (wide - 0.04, WAIST - 0.02, 1),
                (0.62, HIP),
                (0.64 if short else 0.56, low, 1),
                (0.06, low + 0.05, 1),
                (0, 2.84, 1),
            ]
        )
    )
    with piece(pen, outline, cloth, pattern) as inner:
        inner.line(smooth([(0, WAIST + 0.1), (0, 2.9)], closed=False), cloth.deep, 0.026)
        for side in (-1, 1):
            fold(inner, [(0.08 * side, 2.78), (0.26 * side, 2.7), (0.4 * side, 2.72)], cloth)
            inner.line(
                flip(
                    smooth([(0.36, WAIST + 0.1), (0.46, WAIST + 0.3), (0.6, WAIST + 0.38)], closed=False),
                    side,
                ),
                cloth.deep,
                0.026,
            )
            if short:
                inner.line(
                    flip(smooth([(0.04, low - 0.1), (0.7, low - 0.14)], closed=False), side), cloth.deep, 0.03
                )
    if short:
        for side in (-1, 1):
            loop = flip(
                smooth(
                    [(0.02, WAIST + 0.12), (0.16, WAIST + 0.08), (0.18, WAIST + 0.2), (0.05, WAIST + 0.18)],
                    closed=False,
                ),
                side,
            )
            pen.line(loop, OFF_WHITE, 0.035)
            pen.line(
                flip(smooth([(0.02, WAIST + 0.14), (0.08, WAIST + 0.38)], closed=False), side),
                OFF_WHITE,
                0.035,
            )
    else:
        belt = tone((96, 66, 48))
        _belt(pen, look, belt)
        pen.shape(box(-0.09, WAIST - 0.02, 0.09, WAIST + 0.12), (244, 208, 110), belt.ink, 0.026)
