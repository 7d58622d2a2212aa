"""What is worn on the head, face and neck: ears, ribbons, glasses, scarves, halos; wings and tails."""

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import OFF_WHITE, bow, fold, frill, piece
from newbie_core.drawing.colours import WHITE, Tone, mix
from newbie_core.drawing.curves import Points, Spot, arc, box, ellipse, flip, mirrored, smooth, star
from newbie_core.drawing.eyes import EYE_X, EYE_Y
from newbie_core.drawing.hats import GOLD, HATS
from newbie_core.drawing.look import Look


def draw_behind(pen: Pen, look: Look) -> None:
    """Wings and tails, behind the body."""
    if look.get("wings"):
        for side in (-1, 1):
            (_feather_wing if look.get("wings") == "angel_wings" else _bat_wing)(pen, look, side)
    if look.get("tail"):
        hair = look.hair
        side = 1 if look.dice("tail_side").random() < 0.5 else -1
        line = smooth([(0.3, 2.5), (1.0, 2.6), (1.32, 2.1), (1.2, 1.3)], closed=False)
        line = flip(line, side)
        from_to = (
            (0.2, 0.22, 0.22, 0.2, 0.1) if look.get("tail") == "cat_tail" else (0.16, 0.44, 0.62, 0.5, 0.02)
        )
        pen.stroke(line, hair.ink, *(w + LINE * 2 for w in from_to))
        pen.stroke(line, hair.base, *from_to)
        if look.get("tail") == "fox_tail":
            pen.stroke(line[-6:], OFF_WHITE, from_to[2] * 0.8, 0.3, 0.01)


def _feather_wing(pen: Pen, look: Look, side: int) -> None:
    far = min(1.0, (look.reach + 0.1) / 1.6)
    for layer, colour in enumerate(((236, 240, 252), (255, 255, 255))):
        for index in range(6 - layer):
            tip_x, tip_y = (1.9 - index * 0.18 - layer * 0.24) * far, 0.5 + index * 0.34 + layer * 0.06
            feather = smooth(
                [(0.3, 1.5, 1), (tip_x * 0.7, tip_y - 0.16), (tip_x, tip_y), (tip_x * 0.72, tip_y + 0.2)]
            )
            pen.shape(flip(feather, side), colour, (158, 166, 204), LINE * 0.8)


def _bat_wing(pen: Pen, look: Look, side: int) -> None:
    far = min(1.0, (look.reach + 0.1) / 1.6)
    spots: list[Spot] = [
        (0.3, 1.5, 1),
        (0.9, 0.9),
        (1.6 * far, 0.6, 1),
        (1.5 * far, 1.3),
        (1.66 * far, 1.7, 1),
        (1.25 * far, 1.7),
        (1.2 * far, 2.2, 1),
        (0.85, 1.95),
        (0.4, 2.1, 1),
    ]
    pen.shape(flip(smooth(spots), side), (86, 62, 110), (40, 24, 56))
    for x, y in ((1.6, 0.62), (1.62, 1.68), (1.2, 2.16)):
        pen.line(flip(smooth([(0.4, 1.5), (x * far, y)], closed=False), side), (54, 34, 74), 0.026)


# --- on the head -------------------------------------------------------------------------------


def draw_head_wear(pen: Pen, look: Look) -> None:
    """Everything on top of the hair."""
    _animal_ears(pen, look)
    if look.get("horns"):
        _horns(pen)
    if look.get("hairband"):
        _hairband(pen, look.cloth("hairband"))
    if look.get("headphones"):
        _headphones(pen, look)
    if look.get("headwear"):
        HATS[look.get("headwear")](pen, look, look.cloth("headwear"))
    if look.get("hair_ornament"):
        _hair_ornament(pen, look)
    if look.get("halo"):
        ring = ellipse(0, -1.58, 0.62, 0.15, steps=40)
        pen.glow(0, -1.58, 0.95, 0.4, (255, 240, 150), 0.7)
        pen.line(ring, (224, 170, 60), 0.12, closed=True)
        pen.line(ring, (255, 236, 150), 0.07, closed=True)


def _horns(pen: Pen) -> None:
    for side in (-1, 1):
        horn = smooth([(0.42, -1.08), (0.52, -1.52), (1.04, -1.76, 1), (0.92, -1.4), (0.8, -0.94)])
        pen.shape(flip(horn, side), (156, 108, 124), (62, 34, 54))
        for y in (-1.2, -1.34):
            groove = smooth([(0.46 - (y + 1.2) * 0.3, y), (0.86, y + 0.06)], closed=False)
            pen.stroke(flip(groove, side), (96, 60, 80), 0.01, 0.035, 0.01)


def _hairband(pen: Pen, cloth: Tone) -> None:
    right: list[Spot] = [(0, -1.18), (0.5, -1.08), (0.92, -0.74), (1.06, -0.2)]
    band = smooth([*((-x, y) for x, y, *_ in reversed(right[1:])), *right], closed=False)
    pen.line(band, cloth.ink, 0.2)
    pen.line(band, cloth.base, 0.14)
    pen.stroke(band[10:-14] - np.array([0, 0.02]), cloth.light, 0.01, 0.045, 0.01)


EARS: dict[str, tuple[list[Spot], list[Spot]]] = {
    "cat_ears": (
        [(0.36, -1.08, 1), (0.62, -1.5), (0.86, -1.74, 1), (0.98, -1.3), (1.0, -0.72, 1)],
        [(0.54, -1.08, 1), (0.68, -1.36), (0.82, -1.52, 1), (0.88, -1.2), (0.88, -0.86, 1)],
    ),
    "fox_ears": (
        [(0.26, -1.14, 1), (0.6, -1.66), (0.92, -2.0, 1), (1.1, -1.4), (1.02, -0.7, 1)],
        [(0.5, -1.12, 1), (0.7, -1.44), (0.88, -1.66, 1), (0.96, -1.2), (0.88, -0.86, 1)],
    ),
    "rabbit_ears": (
        [(0.3, -1.1), (0.26, -1.7), (0.44, -2.2), (0.66, -1.9), (0.66, -1.4), (0.6, -1.02)],
        [(0.4, -1.16), (0.38, -1.7), (0.46, -2.04), (0.56, -1.84), (0.54, -1.3), (0.5, -1.1)],
    ),
    "dog_ears": (
        [(0.5, -1.12, 1), (0.82, -1.22), (1.16, -0.92), (1.22, -0.36), (1.04, -0.3), (0.9, -0.66, 1)],
        [(0.72, -1.04, 1), (0.94, -1.02), (1.08, -0.72), (1.1, -0.5), (1.0, -0.64, 1)],
    ),
}  # fmt: skip


def _animal_ears(pen: Pen, look: Look) -> None:
    kind = look.get("ears")
    if kind not in EARS:
        return
    hair = look.hair
    outer, inner = EARS[kind]
    for side in (-1, 1):
        shape = flip(smooth(outer), side)
        pen.shape(shape, hair.base, hair.ink)
        pen.fill(flip(smooth(inner), side), (255, 190, 196) if kind != "fox_ears" else (255, 236, 226))
        if kind == "fox_ears":
            with pen.clip(shape) as tip:
                tip.fade(-2.1, -1.6, mix(hair.ink, hair.deep, 0.3), 1.0, 0.0)
        if kind in ("cat_ears", "fox_ears"):
            tuft = smooth(
                [(0.5, -0.98, 1), (0.62, -1.26, 1), (0.66, -1.04, 1), (0.76, -1.22, 1), (0.78, -0.92, 1)]
            )
            pen.fill(flip(tuft, side), mix(hair.base, WHITE, 0.55))


def _headphones(pen: Pen, look: Look) -> None:
    cloth = look.cloth("headphones")
    band = arc(0, -0.02, 1.14, 1.36, 188, 352, steps=30)
    pen.line(band, cloth.ink, 0.19)
    pen.line(band, cloth.base, 0.13)
    for side in (-1, 1):
        cup = smooth(
            [
                (0.98 * side, -0.22),
                (1.22 * side, -0.16),
                (1.28 * side, 0.14),
                (1.2 * side, 0.42),
                (0.98 * side, 0.46),
            ]
        )
        with piece(pen, cup, cloth, shaded=False) as inner:
            inner.fill(ellipse(1.18 * side, 0.12, 0.1, 0.2), mix((90, 220, 255), cloth.light, 0.2))


def _hair_ornament(pen: Pen, look: Look) -> None:
    kind, cloth = look.get("hair_ornament"), look.cloth("hair_ornament")
    if kind == "hair_bow":
        bow(pen.moved(0, -1.26, turn=look.wobble("bow", 6)), 0, 0, 0.56, cloth)
    elif kind == "hair_ribbon":
        for side in (-1, 1):
            bow(pen.moved(0.9 * side, -0.76, turn=32 * side), 0, 0, 0.32, cloth, tails=True)
    elif kind == "hair_flower":
        for index in range(5):
            angle = np.radians(index * 72 - 90)
            pen.shape(
                ellipse(0.8 + 0.17 * float(np.cos(angle)), -0.72 + 0.17 * float(np.sin(angle)), 0.15, 0.15),
                cloth.base,
                cloth.ink,
                LINE * 0.8,
            )
        pen.dot(0.8, -0.72, 0.1, (255, 220, 100), GOLD.ink)
        leaf = smooth([(0.98, -0.6, 1), (1.16, -0.6), (1.22, -0.44, 1), (1.06, -0.46)])
        pen.shape(leaf, (110, 190, 110), (50, 100, 60), LINE * 0.8)
    else:
        pen.shape(star(0.72, -0.42, 0.2), cloth.base, cloth.ink, LINE * 0.9)
        pen.dot(0.69, -0.46, 0.04, cloth.light)
        pen.line(smooth([(0.9, -0.3), (0.98, -0.04)], closed=False), cloth.ink, 0.1)
        pen.line(smooth([(0.9, -0.3), (0.98, -0.04)], closed=False), cloth.base, 0.06)


# --- on the face and neck ----------------------------------------------------------------------


def draw_face_wear(pen: Pen, look: Look) -> None:
    """Glasses, an eyepatch, a mask and earrings."""
    if look.get("face_mask"):
        cloth = look.cloth("face_mask")
        with piece(
            pen,
            smooth(mirrored([(0, 0.46), (0.5, 0.5, 1), (0.62, 0.72), (0.34, 0.95), (0, 1.02)])),
            cloth,
            shaded=False,
        ) as inner:
            for y in (0.64, 0.76):
                fold(inner, [(-0.5, y), (0, y + 0.03), (0.5, y)], cloth, 0.03)
        for side in (-1, 1):
            pen.line(flip(smooth([(0.52, 0.54), (0.94, 0.28)], closed=False), side), cloth.ink, 0.03)
    if look.get("eyepatch"):
        cloth = look.cloth("eyepatch")
        pen.line(smooth([(-0.94, -0.28), (0.3, 0.0), (0.96, 0.16)], closed=False), cloth.ink, 0.055)
        patch = smooth([(0.16, 0.06), (0.44, -0.04), (0.72, 0.1), (0.7, 0.46), (0.44, 0.6), (0.18, 0.44)])
        with piece(pen, patch, cloth, shaded=False) as inner:
            inner.wash(ellipse(0.34, 0.16, 0.1, 0.08), cloth.light, 0.8)
    if look.get("eyewear"):
        _glasses(pen, look)
    if look.get("earrings"):
        gem = look.cloth("earrings")
        for side in (-1, 1):
            pen.dot(0.99 * side, 0.5, 0.05, GOLD.base, GOLD.ink)
            pen.shape(
                smooth(
                    [
                        (0.99 * side, 0.54, 1),
                        (0.99 * side + 0.1, 0.72),
                        (0.99 * side, 0.84, 1),
                        (0.99 * side - 0.1, 0.72),
                    ]
                ),
                gem.base,
                gem.ink,
                LINE * 0.9,
            )


def _lens(kind: str, side: int) -> Points:
    if kind == "round_glasses":
        return ellipse(EYE_X * side, EYE_Y, 0.36, 0.37, steps=28)
    top, low = (-0.27, 0.3) if kind == "glasses" else (-0.22, 0.24)
    spots: list[Spot] = [
        (0.08, EYE_Y + top),
        (0.74, EYE_Y + top - 0.02),
        (0.8, EYE_Y + 0.02),
        (0.68, EYE_Y + low),
        (0.18, EYE_Y + low),
        (0.06, EYE_Y + 0.04),
    ]
    return flip(smooth(spots), side)


def _glasses(pen: Pen, look: Look) -> None:
    kind, frame = look.get("eyewear"), look.cloth("eyewear")
    for side in (-1, 1):
        lens = _lens(kind, side)
        if kind == "sunglasses":
            pen.wash(lens, mix(frame.base, (20, 16, 30), 0.5), 0.9)
            pen.stroke(
                smooth([(0.26 * side, EYE_Y + 0.14), (0.5 * side, EYE_Y - 0.12)], closed=False),
                frame.light,
                0.02,
                0.06,
                0.02,
            )
        else:
            pen.wash(lens, (225, 240, 255), 0.16)
            pen.stroke(
                smooth(
                    [(EYE_X * side - 0.2, EYE_Y + 0.12), (EYE_X * side - 0.06, EYE_Y - 0.18)], closed=False
                ),
                WHITE,
                0.0,
                0.04,
                0.0,
            )
        pen.line(lens, frame.base if frame.base[0] < 235 else frame.shade, 0.055, closed=True)
        pen.line(
            flip(smooth([(0.78, EYE_Y - 0.06), (0.9, EYE_Y - 0.08)], closed=False), side), frame.base, 0.05
        )
    pen.line(smooth([(-0.08, EYE_Y), (0, EYE_Y - 0.03), (0.08, EYE_Y)], closed=False), frame.base, 0.05)


def draw_neck_wear(pen: Pen, look: Look) -> None:
    """What is tied around the neck."""
    kind = look.wears("neckwear")
    if not kind:
        return
    cloth = look.cloth("neckwear")
    if kind == "choker":
        pen.line(smooth([(-0.21, 1.08), (0, 1.15), (0.21, 1.08)], closed=False), cloth.base, 0.085)
        pen.dot(0, 1.17, 0.06, GOLD.base, GOLD.ink)
    elif kind == "necktie":
        blade = smooth([(-0.07, 1.56, 1), (0.07, 1.56, 1), (0.15, 2.16, 1), (0.0, 2.36, 1), (-0.15, 2.16, 1)])
        with piece(pen, blade, cloth) as inner:
            for y in (1.78, 2.0, 2.2):
                inner.line(smooth([(-0.2, y + 0.08), (0.2, y - 0.08)], closed=False), cloth.light, 0.03)
        pen.shape(
            smooth([(-0.11, 1.42, 1), (0.11, 1.42, 1), (0.07, 1.58, 1), (-0.07, 1.58, 1)]),
            cloth.base,
            cloth.ink,
        )
    elif kind == "neck_ribbon":
        bow(pen, 0, 1.56, 0.27, cloth, tails=True)
    elif kind == "bowtie":
        bow(pen, 0, 1.5, 0.24, cloth)
    elif kind == "neckerchief":
        for side in (-1, 1):
            pen.shape(
                flip(
                    smooth([(0.0, 1.82, 1), (0.1, 1.84), (0.24, 2.24, 1), (0.12, 2.2), (0.03, 2.3, 1)]), side
                ),
                cloth.base if side < 0 else cloth.shade,
                cloth.ink,
            )
        pen.shape(ellipse(0, 1.82, 0.12, 0.1), cloth.base, cloth.ink)
    else:
        _scarf(pen, cloth)


def _scarf(pen: Pen, cloth: Tone) -> None:
    end = smooth([(0.16, 1.36, 1), (0.46, 1.36), (0.5, 1.9), (0.46, 2.3, 1), (0.2, 2.32, 1), (0.2, 1.8)])
    with piece(pen, end, cloth) as inner:
        inner.fill(box(0, 2.1, 1, 2.18), cloth.light)
    frill(pen, 0.24, 0.42, 2.34, cloth.light, 0.045)
    with piece(
        pen,
        smooth(mirrored([(0, 1.06), (0.3, 0.98), (0.54, 1.12), (0.5, 1.38), (0.2, 1.52), (0, 1.54)])),
        cloth,
    ) as inner:
        for y in (1.16, 1.3):
            fold(inner, [(-0.44, y - 0.04), (0, y + 0.1), (0.44, y - 0.06)], cloth, 0.05)
