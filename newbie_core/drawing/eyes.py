"""Eyes: lids, iris, pupil, lights and lashes, for every way of looking."""

from dataclasses import dataclass, replace
from itertools import pairwise

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.colours import RGB, WHITE, mix, times
from newbie_core.drawing.curves import Points, arc, ellipse, flip, heart, smooth, star
from newbie_core.drawing.look import Look

EYE_X, EYE_Y = 0.43, 0.3
HALF_WIDTH = 0.245


@dataclass(frozen=True, slots=True, kw_only=True)
class Lids:
    """How an open eye is framed; heights in half heads, measured from its middle.

    `slant` lowers the lid's outer end (a friendly eye has some, an angry eye a negative one).
    """

    top: float = 0.31
    bottom: float = 0.27
    slant: float = 0.03
    flatness: float = 0.0  # 0: an arch, 1: a straight upper lid
    iris: float = 1.0
    lights: str = "plain"
    look_x: float = 0.0
    look_y: float = 0.0


OPEN = Lids()
LIDS: dict[str, Lids] = {
    "open": OPEN,
    "soft": Lids(top=0.29, bottom=0.23, slant=0.04),
    "bright": Lids(top=0.34, bottom=0.26, slant=0.05, iris=1.06, lights="rich"),
    "wide": Lids(top=0.37, bottom=0.33, slant=0.02, iris=0.66),
    "half": Lids(top=0.08, bottom=0.25, slant=0.03, flatness=0.9, look_y=0.02),
    "smug": Lids(top=0.13, bottom=0.2, slant=-0.03, flatness=0.75, look_x=0.05),
    "angry": Lids(top=0.25, bottom=0.24, slant=-0.11, flatness=0.45, iris=0.88),
    "glare": Lids(top=0.25, bottom=0.23, slant=-0.075, flatness=0.35, lights="rich"),
    "squint": Lids(top=0.11, bottom=0.15, slant=-0.03, flatness=0.7, iris=0.85, look_x=0.04),
    "sad": Lids(top=0.25, bottom=0.26, slant=0.11, flatness=0.25, look_y=0.035, lights="wet"),
    "teary": Lids(top=0.29, bottom=0.29, slant=0.09, lights="wet", iris=1.04),
    "scared": Lids(top=0.35, bottom=0.31, slant=0.06, iris=0.5, lights="small"),
    "shy": Lids(top=0.24, bottom=0.25, slant=0.08, flatness=0.2, look_x=-0.085, look_y=0.05, lights="wet"),
    "dull": Lids(top=0.24, bottom=0.26, slant=0.02, flatness=0.35, lights="none"),
    "heart": Lids(top=0.33, bottom=0.27, slant=0.05, lights="heart"),
    "star": Lids(top=0.35, bottom=0.29, slant=0.04, iris=1.08, lights="star"),
    "spiral": Lids(top=0.33, bottom=0.3, slant=0.04, lights="spiral"),
}
GAZES: dict[str, tuple[float, float]] = {"side": (0.1, 0.0), "up": (0.0, -0.11), "down": (0.0, 0.11)}


def draw_eyes(pen: Pen, look: Look) -> None:
    """Both eyes."""
    name = look.get("eyes", "open")
    for side, colour in zip((-1, 1), look.eyes, strict=True):
        local = pen.moved(EYE_X * side, EYE_Y)
        kind = "wink_closed" if name == "wink" and side == 1 else "bright" if name == "wink" else name
        if kind in ("happy_closed", "closed", "tight", "wink_closed"):
            _closed_eye(local, kind, side, look)
        else:
            _open_eye(local, _lids(kind, look), side, colour, look)


def _lids(kind: str, look: Look) -> Lids:
    lids = LIDS[kind]
    dx, dy = GAZES.get(look.get("gaze"), (look.wobble("gaze", 0.018), 0.0))
    lids = replace(lids, look_x=lids.look_x + dx, look_y=lids.look_y + dy)
    if look.boy:
        lids = replace(
            lids,
            top=lids.top * 0.84,
            bottom=lids.bottom * 0.84,
            slant=lids.slant - 0.015,
            flatness=max(lids.flatness, 0.25),
        )
    return lids


def _lash_colour(look: Look) -> RGB:
    return mix((44, 28, 42), look.hair.ink, 0.3)


def _upper(lids: Lids) -> list[tuple[float, float]]:
    """The upper lid of a right eye, from the inner corner to the outer one."""
    w, top, flat = HALF_WIDTH, lids.top, lids.flatness
    rise = 0.45 + 0.45 * flat  # how high the lid already is near its ends
    inner = -top * (0.15 + 0.55 * flat) - lids.slant * 0.5
    outer = -top * (0.2 + 0.5 * flat) + lids.slant * 0.7
    return [
        (-w, inner),
        (-w * 0.62, -top * (rise + 0.33 * (1 - flat)) - lids.slant * 0.5),
        (0.0, -top),
        (w * 0.66, -top * (rise + 0.3 * (1 - flat)) + lids.slant * 0.4),
        (w, outer),
    ]


def _white(lids: Lids) -> Points:
    w, low = HALF_WIDTH, lids.bottom
    lower: list[tuple[float, float]] = [
        (w * 0.84, low * 0.6),
        (w * 0.42, low * 0.97),
        (-w * 0.36, low * 0.97),
        (-w * 0.82, low * 0.55),
    ]
    spots = _upper(lids)
    return smooth([(*spots[0], 1), *spots[1:-1], (*spots[-1], 1), *lower])


def _open_eye(pen: Pen, lids: Lids, side: int, colour: RGB, look: Look) -> None:
    white = flip(_white(lids), side)
    # Lights sit on the same side of both eyes, so they are drawn unmirrored.
    with pen.clip(white) as inner:
        inner.fill(white, (253, 252, 255))
        _iris(inner.moved(lids.look_x - 0.02 * side, lids.look_y), lids, colour, look)
        inner.wash(
            flip(
                smooth(
                    [
                        *_upper(lids),
                        (HALF_WIDTH, -lids.top * 0.1),
                        (0, -lids.top * 0.66),
                        (-HALF_WIDTH, -lids.top * 0.1),
                    ]
                ),
                side,
            ),
            (92, 78, 130),
            0.34,
        )
    _lashes(pen, lids, side, look)


def _iris(pen: Pen, lids: Lids, colour: RGB, look: Look) -> None:
    rx, ry = 0.192 * lids.iris, 0.272 * lids.iris * (0.86 if look.boy else 1.0)
    dark, glow = mix(times(colour, (0.5, 0.44, 0.58)), (40, 22, 66), 0.15), mix(colour, WHITE, 0.5)
    rim = ellipse(0, 0, rx, ry)
    pen.fill(rim, dark)
    with pen.clip(ellipse(0, 0.01, rx * 0.86, ry * 0.88)) as inner:
        inner.fill(rim, colour)
        if lids.lights != "none":
            inner.fill(ellipse(0, ry * 0.72, rx * 0.78, ry * 0.42), mix(colour, WHITE, 0.3))
            inner.glow(0, ry * 0.72, rx * 0.95, ry * 0.6, glow, 0.9)
        inner.fade(-ry, ry * 0.2, dark, 0.8, 0.0)
    if lids.lights in ("heart", "star", "spiral"):
        _symbol(pen, lids.lights, rx, ry, colour)
        return
    pen.fill(ellipse(0, 0.0, rx * 0.42, ry * 0.42), mix(dark, (16, 8, 28), 0.55))
    _lights(pen, lids, rx, ry, look)


def _symbol(pen: Pen, kind: str, rx: float, ry: float, colour: RGB) -> None:
    """A heart, a star or a spiral in place of the pupil."""
    if kind == "heart":
        pen.fill(heart(0, 0.01, rx * 0.78), (255, 70, 130))
        pen.dot(-rx * 0.34, -ry * 0.16, rx * 0.2, WHITE)
    elif kind == "star":
        pen.fill(star(0, 0, ry * 0.72, points=4, inner=0.32), (255, 250, 190))
        pen.dot(-rx * 0.45, -ry * 0.5, rx * 0.26, WHITE)
        pen.dot(rx * 0.5, ry * 0.5, rx * 0.15, WHITE)
    else:
        pen.fill(ellipse(0, 0, rx * 1.05, ry * 0.95), (253, 252, 255))
        turns = [
            arc(0, 0, rx * r, ry * r * 0.9, a, a + 90, steps=8)
            for r, a in ((0.95, 0), (0.8, 90), (0.64, 180), (0.5, 270), (0.36, 0), (0.22, 90))
        ]
        for turn in turns:
            pen.line(turn, mix(colour, (30, 16, 52), 0.15), 0.05)


def _lights(pen: Pen, lids: Lids, rx: float, ry: float, look: Look) -> None:
    """Highlights: a big one above, a small one below; more when the eye is rich or wet."""
    if lids.lights == "none":
        return
    dx, dy = look.wobble("eye_light_x", 0.016), look.wobble("eye_light_y", 0.02)
    size = 0.6 if lids.lights == "small" else 1.0
    top = max(-ry * 0.46, -lids.top + 0.11) + dy
    pen.fill(ellipse(-rx * 0.36 + dx, top, rx * 0.36 * size, ry * 0.27 * size), WHITE)
    pen.dot(rx * 0.44 + dx, ry * 0.42 + dy, rx * 0.19 * size, WHITE)
    if lids.lights in ("rich", "wet"):
        pen.dot(rx * 0.4 + dx, -ry * 0.34 + dy, rx * 0.13, WHITE)
    if lids.lights == "wet":
        pen.wash(ellipse(-rx * 0.12, ry * 0.66, rx * 0.5, ry * 0.24), WHITE, 0.75)


def _lashes(pen: Pen, lids: Lids, side: int, look: Look) -> None:
    colour = _lash_colour(look)
    upper = _upper(lids)
    outer = upper[-1]
    # The wing leaves downwards and outwards, so that a wide eye never scowls.
    wing: list[tuple[float, float]] = [(outer[0] + 0.055, outer[1] + 0.0 + lids.slant * 0.3)]
    thick = 0.052 if look.boy else 0.082
    line = flip(smooth([*upper, *([] if look.boy else wing)], closed=False), side)
    pen.stroke(line, colour, 0.028, thick * 0.75, thick, thick * 1.15, thick * 0.9, 0.012)
    if not look.boy:
        for at, length in ((0.9, 0.085), (0.62, 0.07)):
            x, y = HALF_WIDTH * at, _height(upper, HALF_WIDTH * at)
            lash = [
                (x - 0.03, y + 0.01),
                (x + 0.05, y - 0.015),
                (x + 0.05 + length * 0.55, y - 0.02 - length * 0.6),
            ]
            pen.stroke(flip(smooth(lash, closed=False), side), colour, 0.06, 0.045, 0.004)
    low = lids.bottom
    below = [(HALF_WIDTH * 0.9, low * 0.55), (HALF_WIDTH * 0.5, low * 0.96), (-HALF_WIDTH * 0.3, low * 1.0)]
    pen.stroke(flip(smooth(below, closed=False), side), mix(colour, look.skin.ink, 0.4), 0.012, 0.036, 0.008)
    crease = [
        (-HALF_WIDTH * 0.6, -lids.top - 0.05),
        (HALF_WIDTH * 0.1, -lids.top - 0.085),
        (HALF_WIDTH * 0.95, -lids.top * 0.62 - 0.06 + lids.slant),
    ]
    pen.stroke(flip(smooth(crease, closed=False), side), look.skin.ink, 0.004, 0.022, 0.004)


def _height(upper: list[tuple[float, float]], x: float) -> float:
    """The upper lid's height at x."""
    for (x0, y0), (x1, y1) in pairwise(upper):
        if x0 <= x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return upper[-1][1]


def _closed_eye(pen: Pen, kind: str, side: int, look: Look) -> None:
    colour, w = _lash_colour(look), HALF_WIDTH
    if kind == "tight":
        chevron = [(w * 0.75, -0.13, 1), (-w * 0.8, 0.03, 1), (w * 0.75, 0.17, 1)]
        pen.line(flip(smooth(chevron, closed=False), side), colour, 0.066)
        return
    if kind == "happy_closed":
        lid = [(-w, 0.1), (-w * 0.6, -0.07), (0.0, -0.14), (w * 0.6, -0.07), (w * 1.05, 0.11)]
    elif kind == "wink_closed":
        lid = [(-w * 1.0, 0.1), (-w * 0.5, -0.03), (0.0, -0.07), (w * 0.6, -0.01), (w * 1.1, 0.12)]
    else:
        lid = [(-w, 0.04), (-w * 0.5, 0.15), (0.05, 0.18), (w * 0.6, 0.14), (w * 1.1, 0.03)]
    pen.stroke(flip(smooth(lid, closed=False), side), colour, 0.02, 0.07, 0.078, 0.07, 0.02)
    if look.boy:
        return
    down = 1 if kind == "closed" else -1
    for at, reach in ((0.55, 0.07), (0.9, 0.08)):
        x = w * at
        y = _height(lid, x)
        lash = [(x, y), (x + reach, y + 0.075 * down + (0.05 if kind != "closed" else 0.0))]
        pen.stroke(flip(smooth(lash, closed=False), side), colour, 0.045, 0.006)
