"""The face: its outline, shading, brows, mouth, cheeks and tears.

The head's centre is 0, 0; the cheeks lie near x = 1 and the chin near y = 1.
"""

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.colours import RGB, mix, tone
from newbie_core.drawing.curves import Points, arc, drop, ellipse, flip, mirrored, smooth
from newbie_core.drawing.look import Look

MOUTH_RED: RGB = (186, 62, 70)
TONGUE: RGB = (246, 132, 132)
BLUSH: RGB = (255, 112, 118)
TEAR: RGB = (150, 214, 255)
MOUTH_Y = 0.70


def face_outline(boy: bool) -> Points:
    """The face from temple to chin."""
    if boy:
        return smooth(
            mirrored(
                [(0, -0.95), (0.72, -0.75), (0.93, -0.1), (0.88, 0.36), (0.66, 0.72), (0.28, 0.97), (0, 1.03)]
            )
        )
    return smooth(
        mirrored(
            [(0, -0.95), (0.72, -0.75), (0.94, -0.1), (0.91, 0.34), (0.68, 0.70), (0.28, 0.93), (0, 0.99)]
        )
    )


def draw_face(pen: Pen, look: Look) -> None:
    """The bare face with its ears and soft shading."""
    skin = look.skin
    for side in (1, -1):
        if look.get("ears") == "pointy_ears":
            ear = smooth([(0.84, 0.05), (1.14, -0.02), (1.5, -0.22, 1), (1.28, 0.24), (0.92, 0.46)])
        else:
            ear = smooth([(0.84, 0.05), (1.02, 0.02), (1.06, 0.22), (0.96, 0.42), (0.82, 0.44)])
        pen.shape(flip(ear, side), skin.base, skin.ink)
        pen.stroke(
            flip(smooth([(0.94, 0.1), (1.0, 0.2), (0.94, 0.34)], closed=False), side),
            skin.deep,
            0.02,
            0.04,
            0.01,
        )
    outline = face_outline(look.boy)
    with pen.clip(outline) as inner:
        inner.fill(outline, skin.base)
        inner.wash(
            smooth(
                [
                    (-1, 0.3),
                    (-0.72, 0.62),
                    (-0.3, 0.86),
                    (0.3, 0.88),
                    (0.75, 0.6),
                    (1, 0.2),
                    (1, 1.2),
                    (-1, 1.2),
                ]
            ),
            skin.shade,
            0.5,
        )
        _cheeks(inner, look)
        if look.get("mark") == "gloom":
            _gloom(inner)
    pen.line(outline, skin.ink, closed=True)


def draw_nose(pen: Pen, look: Look) -> None:
    """A small shadow for a nose, and any marks on the skin."""
    skin = look.skin
    pen.stroke(
        smooth([(0.0, 0.5), (0.028, 0.545), (-0.015, 0.56)], closed=False), skin.ink, 0.012, 0.032, 0.012
    )
    if look.get("mole"):
        pen.dot(0.54, 0.65, 0.05, mix(skin.ink, (50, 20, 20), 0.5))
    if look.get("freckles"):
        for x, y in ((0.46, 0.56), (0.56, 0.62), (0.66, 0.56), (0.16, 0.55), (0.26, 0.6)):
            pen.dot(x, y, 0.028, skin.ink)
            pen.dot(-x, y, 0.028, skin.ink)


def _cheeks(pen: Pen, look: Look) -> None:
    strength = {"light": 0.62, "full": 0.95}.get(look.get("blush"), 0.28)
    size = 1.35 if look.get("blush") == "full" else 1.0
    for side in (-1, 1):
        pen.glow(0.58 * side, 0.6, 0.3 * size, 0.2 * size, BLUSH, strength)
    if look.get("blush") == "full":
        pen.glow(0, 0.52, 0.62, 0.2, BLUSH, 0.6)
        for side in (-1, 1):
            for step in (-0.12, 0.0, 0.12):
                stripe = smooth(
                    [(0.6 * side + step + 0.035, 0.53), (0.6 * side + step - 0.035, 0.67)], closed=False
                )
                pen.stroke(stripe, mix(BLUSH, (200, 30, 60), 0.4), 0.012, 0.03, 0.012)


def _gloom(pen: Pen) -> None:
    """The blue shadow that falls over a horrified forehead."""
    pen.fade(-0.9, 0.42, (76, 84, 158), 0.85, 0.0)
    for index in range(7):
        x = -0.66 + index * 0.22
        pen.stroke(
            smooth([(x, -0.5), (x, 0.16 + 0.1 * (index % 2))], closed=False),
            (86, 92, 160),
            0.03,
            0.024,
            0.008,
        )


# brows: (lift, slope of the inner end, bend, thickness); a positive slope brings the inner end down
BROWS: dict[str, tuple[float, float, float, float]] = {
    "soft": (0.0, -0.03, 0.05, 1.0),
    "flat": (-0.03, 0.0, 0.0, 1.0),
    "raised": (0.06, -0.04, 0.09, 1.0),
    "high": (0.14, -0.03, 0.12, 0.95),
    "angry": (-0.08, 0.15, 0.01, 1.4),
    "low": (-0.09, 0.07, 0.0, 1.2),
    "sad": (0.03, -0.16, -0.02, 1.0),
    "worried": (0.07, -0.13, 0.03, 0.95),
    "one_up": (0.0, 0.03, 0.06, 1.05),
}


def draw_brows(pen: Pen, look: Look) -> None:
    """Both brows, drawn over the fringe so that they can always be read."""
    name = look.get("brows", "soft")
    lift, slope, bend, thick = BROWS[name]
    hair = look.hair
    colour = mix(hair.ink, (40, 24, 40), 0.25)
    width = 0.062 * thick * (1.5 if look.boy else 1.0)
    for side in (-1, 1):
        up = lift + (0.16 if name == "one_up" and side == 1 else 0.0)
        tilt = -0.06 if name == "one_up" and side == 1 else slope
        y = -0.14 - up
        spots = ((0.17, y + tilt), (0.4, y - bend), (0.62, y + 0.03 - tilt * 0.75))
        pen.stroke(flip(smooth(spots, closed=False), side), colour, width * 0.8, width, width * 0.35)


def draw_mouth(pen: Pen, look: Look) -> None:
    """The mouth."""
    skin = look.skin
    ink = mix(skin.ink, (110, 30, 40), 0.55)
    local = pen.moved(look.wobble("mouth_x", 0.015), MOUTH_Y)
    name = look.get("mouth", "calm")
    if name in _LINES:
        spots, width = _LINES[name]
        local.stroke(smooth(spots, closed=False), ink, width * 0.45, width, width, width * 0.45)
        _small_touches(local, name, ink)
    else:
        _open_mouth(local, name, ink)


_LINES: dict[str, tuple[tuple[tuple[float, float], ...], float]] = {
    "calm": (((-0.1, -0.005), (0.0, 0.02), (0.1, -0.005)), 0.036),
    "flat": (((-0.1, 0.01), (0.1, 0.01)), 0.036),
    "closed": (((-0.07, 0.015), (0.0, 0.005), (0.07, 0.015)), 0.04),
    "small_smile": (((-0.16, -0.045), (0.0, 0.045), (0.16, -0.045)), 0.042),
    "smile": (((-0.21, -0.06), (-0.11, 0.035), (0.11, 0.035), (0.21, -0.06)), 0.046),
    "smirk": (((-0.16, 0.04), (0.02, 0.05), (0.15, -0.01), (0.21, -0.1)), 0.046),
    "frown": (((-0.16, 0.08), (-0.07, 0.005), (0.07, 0.005), (0.16, 0.08)), 0.044),
    "firm": (((-0.17, 0.05), (0.0, 0.01), (0.17, 0.05)), 0.05),
    "tilt": (((-0.16, 0.06), (0.16, -0.04)), 0.046),
    "wavy": (
        (
            (-0.21, 0.03),
            (-0.14, -0.035),
            (-0.06, 0.04),
            (0.02, -0.035),
            (0.1, 0.04),
            (0.18, -0.03),
            (0.22, 0.01),
        ),
        0.042,
    ),
    "cat": (((-0.2, -0.03), (-0.1, 0.055), (0.0, -0.03), (0.1, 0.055), (0.2, -0.03)), 0.044),
    "pout": (((-0.1, 0.05), (-0.05, -0.025), (0.05, -0.025), (0.1, 0.05)), 0.05),
    "fang": (((-0.19, -0.06), (0.0, 0.03), (0.19, -0.06)), 0.044),
}

# outline, whether upper teeth show, whether a tongue shows
_OPEN: dict[str, tuple[list[tuple[float, float] | tuple[float, float, int]], bool, bool]] = {
    "open_smile": (
        [(-0.23, -0.09, 1), (0.0, -0.045), (0.23, -0.09, 1), (0.17, 0.1), (0.0, 0.185), (-0.17, 0.1)],
        True, True,
    ),
    "laugh": (
        [(-0.29, -0.14, 1), (0.0, -0.09), (0.29, -0.14, 1), (0.23, 0.1), (0.0, 0.235), (-0.23, 0.1)],
        True, True,
    ),
    "grin": (
        [(-0.27, -0.09, 1), (0.0, -0.03), (0.27, -0.09, 1), (0.19, 0.08), (0.0, 0.12), (-0.19, 0.08)],
        False, False,
    ),
    "o": ([(0.0, -0.09), (0.1, 0.03), (0.0, 0.17), (-0.1, 0.03)], False, True),
    "small_open": (
        [(-0.085, -0.02, 1), (0.0, -0.035), (0.085, -0.02, 1), (0.055, 0.07), (-0.055, 0.07)], False,
        True,
    ),
    "parted": ([(-0.1, 0.0), (0.0, -0.02), (0.1, 0.0), (0.0, 0.035)], False, False),
    "shout": (
        [(-0.17, -0.07), (0.0, -0.12), (0.17, -0.07), (0.25, 0.14, 1), (0.0, 0.11), (-0.25, 0.14, 1)],
        True, False,
    ),
    "wail": (
        [
            (-0.12, -0.09), (0.12, -0.09), (0.24, 0.11), (0.13, 0.185), (0.0, 0.15), (-0.13, 0.185),
            (-0.24, 0.11),
        ],
        False, True,
    ),
    "teeth": (
        [(-0.22, -0.05), (0.0, -0.085), (0.22, -0.05), (0.22, 0.09), (0.0, 0.115), (-0.22, 0.09)], False,
        False,
    ),
    "grimace": (
        [(-0.2, 0.1, 1), (-0.1, -0.03), (0.1, -0.06), (0.22, 0.03, 1), (0.1, 0.1), (-0.06, 0.14)], False,
        False,
    ),
    "tongue": (
        [(-0.2, -0.06, 1), (0.0, -0.03), (0.2, -0.06, 1), (0.1, 0.07), (-0.1, 0.07)], False, False,
    ),
}  # fmt: skip


def _open_mouth(pen: Pen, name: str, ink: RGB) -> None:
    spots, teeth, tongue = _OPEN[name]
    outline = smooth(spots)
    with pen.clip(outline) as inner:
        inner.fill(outline, MOUTH_RED)
        inner.fade(-0.15, 0.1, (110, 22, 44), 0.75, 0.0)
        if tongue:
            inner.fill(ellipse(0, float(outline[:, 1].max()) + 0.02, 0.15, 0.12), TONGUE)
        if teeth:
            inner.fill(ellipse(0, float(outline[:, 1].min()) - 0.005, 0.2, 0.075), (255, 252, 250))
        if name in ("grin", "teeth", "grimace"):
            inner.fill(outline, (255, 253, 250))
            for x in (-0.13, -0.045, 0.045, 0.13):
                inner.line(smooth([(x, -0.2), (x, 0.3)], closed=False), (206, 178, 182), 0.014)
            inner.line(smooth([(-0.3, 0.025), (0.3, 0.025)], closed=False), (206, 178, 182), 0.016)
    pen.line(outline, ink, LINE, closed=True)
    if name == "tongue":
        tip = smooth([(-0.09, 0.02), (0.09, 0.02), (0.1, 0.16), (0.0, 0.22), (-0.1, 0.16)])
        pen.shape(tip, TONGUE, mix(TONGUE, ink, 0.6), 0.028)
        pen.line(smooth([(0, 0.06), (0, 0.15)], closed=False), mix(TONGUE, ink, 0.5), 0.02)


def _small_touches(pen: Pen, name: str, ink: RGB) -> None:
    if name == "fang":
        pen.shape(
            smooth([(0.06, 0.005, 1), (0.14, -0.025, 1), (0.115, 0.085, 1)]), (255, 253, 250), ink, 0.02
        )
    if name == "pout":
        for side in (-1, 1):
            puff = arc(0.56, -0.06, 0.2, 0.18, 10, 130)
            pen.stroke(flip(puff, side), mix(ink, (255, 190, 170), 0.35), 0.01, 0.03, 0.01)
    if name in ("frown", "firm", "pout"):
        pen.stroke(
            smooth([(-0.05, 0.135), (0.05, 0.135)], closed=False),
            mix(ink, (255, 210, 195), 0.6),
            0.01,
            0.03,
            0.01,
        )


def draw_tears(pen: Pen, look: Look) -> None:
    """Tears, from a drop in the corner of an eye to streams."""
    kind = look.get("tears")
    ink = tone(TEAR).deep
    for side in (-1, 1):
        if kind == "streams":
            stream = smooth(
                [(0.3, 0.54), (0.54, 0.54), (0.62, 0.74), (0.56, 0.98, 1), (0.36, 1.0, 1), (0.38, 0.74)]
            )
            pen.shape(flip(stream, side), TEAR, ink, 0.022)
            pen.stroke(
                flip(smooth([(0.42, 0.6), (0.48, 0.76), (0.46, 0.94)], closed=False), side),
                (240, 252, 255),
                0.02,
                0.06,
                0.03,
            )
        elif kind == "drop":
            bead = drop(0.62 * side, 0.64, 0.095)
            pen.shape(bead, TEAR, ink, 0.024)
            pen.dot(0.62 * side - 0.03, 0.67, 0.026, (255, 255, 255))
