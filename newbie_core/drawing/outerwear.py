"""Jackets, coats and capes over a garment, and every garment's sleeves."""

from collections.abc import Sequence

from newbie_core.drawing.body import HIP, WAIST, Arm
from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import OFF_WHITE, fold, piece, sleeve
from newbie_core.drawing.colours import WHITE, Tone, mix, tone
from newbie_core.drawing.curves import Points, Spot, box, ellipse, flip, mirrored, ribbon, smooth
from newbie_core.drawing.look import Look

SLEEVES = {
    "t-shirt": "short", "tank_top": "", "dress": "puff", "kimono": "wide", "maid": "puff",
    "blouse": "long",
}  # fmt: skip


def draw_outer(pen: Pen, look: Look) -> None:
    """A jacket worn open over the garment, or the front of a cape."""
    name = look.get("outer")
    if not name:
        return
    cloth = look.cloth("outer")
    if name in ("cape", "cloak"):
        _cape_front(pen, cloth, long=name == "cloak")
        return
    bottom = {"jacket": HIP - 0.06, "blazer": HIP + 0.06, "cardigan": HIP + 0.12, "coat": 3.4}[name]
    wide = 1.12 if look.boy else 1.0
    for side in (-1, 1):
        spots: list[Spot] = [
            (0.22 * wide, 1.16, 1),
            (0.44 * wide, 1.26),
            (0.66 * wide, 1.42),
            (0.66 * wide, 1.7),
            (0.56 * wide, WAIST),
            (0.68 * wide + max(0.0, bottom - HIP) * 0.2, bottom, 1),
            (0.2, bottom + 0.05, 1),
            (0.16, 2.0),
        ]
        with piece(pen, flip(smooth(spots), side), cloth) as inner:
            fold(inner, [(0.56 * side, 1.8), (0.44 * side, 1.9), (0.36 * side, 1.92)], cloth)
            if name in ("blazer", "coat"):
                inner.dot(0.26 * side, 2.2, 0.042, (240, 206, 110), cloth.ink)
            if name == "jacket":
                inner.fill(box(-1, bottom - 0.1, 1, bottom + 0.2), cloth.deep)
        if name in ("blazer", "coat", "jacket"):
            lapel = flip(
                smooth(
                    [
                        (0.2, 1.12, 1),
                        (0.38, 1.24, 1),
                        (0.44, 1.5, 1),
                        (0.36, 1.52, 1),
                        (0.2, 2.02, 1),
                        (0.17, 1.5),
                    ]
                ),
                side,
            )
            pen.shape(lapel, mix(cloth.base, cloth.light, 0.22), cloth.ink, LINE * 0.9)


def _cape_front(pen: Pen, cloth: Tone, *, long: bool) -> None:
    for side in (-1, 1):
        low = 2.5 if long else 1.84
        drape = flip(
            smooth(
                [
                    (0.1, 1.2, 1),
                    (0.44, 1.2),
                    (0.78, 1.42),
                    (0.96, low, 1),
                    (0.66, low + 0.08),
                    (0.46, low - 0.02, 1),
                    (0.3, 1.5),
                ]
            ),
            side,
        )
        with piece(pen, drape, cloth) as inner:
            fold(inner, [(0.5 * side, 1.4), (0.68 * side, 1.7), (0.74 * side, low)], cloth)
    pen.dot(0, 1.3, 0.1, (250, 214, 100), tone((250, 214, 100)).ink)
    pen.dot(-0.03, 1.27, 0.035, WHITE)


def draw_cape_back(pen: Pen, look: Look) -> None:
    """The part of a cape or cloak behind the body."""
    if look.get("outer") not in ("cape", "cloak"):
        return
    cloth = look.cloth("outer")
    low = 4.2 if look.get("outer") == "cloak" else 3.2
    outline = smooth(
        mirrored([(0, 1.1), (0.5, 1.2), (0.86, 1.6), (1.06, low, 1), (0.6, low + 0.12), (0, low)])
    )
    with piece(pen, outline, tone(cloth.shade)):
        pass


def draw_sleeve(pen: Pen, look: Look, arm: Arm) -> None:
    """The sleeve of one arm: the outer garment's where one is worn."""
    bones = arm.bones(look)
    outer, garment = look.get("outer"), look.garment
    if outer in ("jacket", "blazer", "cardigan", "coat"):
        cloth = look.cloth("outer")
        sleeve(pen, bones, cloth, "long", cuff=tone(OFF_WHITE) if outer == "blazer" else tone(cloth.shade))
        return
    cloth = tone(OFF_WHITE) if garment == "vest" else look.cloth("garment")
    kind = SLEEVES.get(garment, "long")
    if kind:
        pattern = look.get("garment_pattern").replace("frilled", "")
        sleeve(pen, bones, cloth, kind, cuff=_cuff(garment, cloth), pattern=pattern)
    if garment == "track_jacket":
        for bone in bones:
            pen.line(bone, OFF_WHITE, 0.06)
    if garment == "armor":
        _plates(pen, bones, cloth)


def _cuff(garment: str, cloth: Tone) -> Tone | None:
    """The tones of a sleeve's end, where it differs."""
    if garment == "maid":
        return tone(OFF_WHITE)
    if garment == "dress":
        return tone(mix(cloth.base, WHITE, 0.7))
    if garment == "serafuku":
        return tone(mix(cloth.base, (40, 46, 110), 0.75))
    return tone(cloth.shade) if garment in ("hoodie", "sweater", "turtleneck") else None


def _plates(pen: Pen, bones: Sequence[Points], cloth: Tone) -> None:
    """The steel on a forearm and a shoulder."""
    fore = bones[-1]
    start = len(fore) // 2 if len(bones) == 1 else len(fore) // 4
    pen.shape(ribbon(fore[start:], (0.38, 0.4, 0.32)), cloth.base, cloth.ink)
    x, y = bones[0][3].tolist()
    with piece(pen, ellipse(x, y, 0.3, 0.26), cloth) as inner:
        inner.wash(ellipse(x - 0.1, y - 0.1, 0.12, 0.08), cloth.light, 0.9)
