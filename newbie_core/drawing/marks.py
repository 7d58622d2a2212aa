"""The signs comics put beside a head: sweat, a vein, hearts, question marks, sleep."""

from collections.abc import Callable

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.colours import RGB, WHITE
from newbie_core.drawing.curves import Points, Spot, arc, drop, ellipse, heart, smooth, star
from newbie_core.drawing.look import Look


def draw_mark(pen: Pen, look: Look) -> None:
    """The mark of the figure's mood, if it has one."""
    kind = look.get("mark")
    if kind in MARKS:
        # In a crowd the marks move in over the hair instead of over a neighbour.
        side = 1.0 if look.reach > 1.3 else 0.84
        MARKS[kind](pen.moved(look.wobble("mark_x", 0.05), look.wobble("mark_y", 0.05)), side)


def _outlined(pen: Pen, points: Points, colour: RGB, ink: RGB) -> None:
    pen.line(points, WHITE, 0.1, closed=True)
    pen.shape(points, colour, ink, LINE * 0.9)


def _sweat(pen: Pen, side: float) -> None:
    bead = drop(0.92 * side, -0.34, 0.16)
    _outlined(pen, bead, (140, 208, 255), (52, 112, 190))
    pen.fill(ellipse(0.87 * side, -0.28, 0.04, 0.07), WHITE)


def _vein(pen: Pen, side: float) -> None:
    # On the left: flowers, clips and side tails are on the right.
    local = pen.moved(-0.76 * side, -0.74)
    for width, colour in ((0.15, WHITE), (0.085, (224, 40, 56))):
        for turn in (0, 90, 180, 270):
            part = local.moved(turn=turn + 10)
            part.line(smooth([(0.07, 0.25), (0.09, 0.09), (0.25, 0.07)], closed=False), colour, width)


def _hearts(pen: Pen, side: float) -> None:
    for x, y, size in ((1.16, -0.72, 0.2), (-1.14, -0.86, 0.16), (1.36, -1.14, 0.12)):
        _outlined(pen, heart(x * side, y, size), (255, 96, 146), (190, 40, 96))
        pen.fill(ellipse(x * side - size * 0.4, y - size * 0.35, size * 0.2, size * 0.16), WHITE)


def _question(pen: Pen, side: float) -> None:
    local = pen.moved(1.12 * side, -0.96, turn=14)
    curve = np.concatenate(
        [arc(0, -0.1, 0.17, 0.18, 180, 400, steps=14), np.array([[0.0, 0.14], [0.0, 0.22]])]
    )
    for width, colour in ((0.2, WHITE), (0.11, (70, 120, 220))):
        local.line(curve, colour, width)
        local.dot(0, 0.42, width * 0.62, colour)


def _exclamation(pen: Pen, side: float) -> None:
    local = pen.moved(1.12 * side, -0.98, turn=14)
    bar = smooth([(-0.09, -0.32), (0.09, -0.32), (0.045, 0.18), (-0.045, 0.18)])
    for grow, colour in ((0.1, WHITE), (0.0, (238, 84, 60))):
        local.fill(bar, colour)
        if grow:
            local.line(bar, colour, grow, closed=True)
        local.dot(0, 0.36, 0.075 + grow / 2, colour)


def _sparkles(pen: Pen, side: float) -> None:
    for x, y, size in ((1.14, -0.84, 0.27), (-1.16, -0.7, 0.2), (1.32, -0.36, 0.15), (-1.26, -1.1, 0.13)):
        points = star(x * side, y, size, points=4, inner=0.26)
        _outlined(pen, points, (255, 224, 96), (224, 160, 40))


def _zzz(pen: Pen, side: float) -> None:
    for x, y, size in ((0.94, -0.7, 0.13), (1.14, -1.0, 0.17), (1.36, -1.36, 0.21)):
        letter = smooth(
            [
                (x * side - size, y - size, 1),
                (x * side + size, y - size, 1),
                (x * side - size, y + size, 1),
                (x * side + size, y + size, 1),
            ],
            closed=False,
        )
        pen.line(letter, WHITE, 0.14)
        pen.line(letter, (96, 116, 206), 0.066)


def _note(pen: Pen, side: float) -> None:
    ink: RGB = (120, 84, 200)
    for x, y, size in ((1.16, -0.86, 1.0), (-1.14, -0.6, 0.8)):
        local = pen.moved(x * side, y, turn=8, size=size)
        stem: list[Spot] = [(0.1, 0.2, 1), (0.1, -0.3, 1), (0.3, -0.14, 1)]
        for grow, colour in ((0.09, WHITE), (0.0, ink)):
            local.line(smooth(stem, closed=False), colour, 0.065 + grow)
            local.fill(ellipse(0, 0.22, 0.13 + grow / 2, 0.1 + grow / 2), colour)


def _sigh(pen: Pen, side: float) -> None:
    local = pen.moved(0.5 * side, 0.86, turn=18)
    for x, size in ((0.0, 0.09), (0.2, 0.13), (0.44, 0.1)):
        local.fill(ellipse(x, 0, size + 0.03, size + 0.03), (150, 166, 200))
    for x, size in ((0.0, 0.09), (0.2, 0.13), (0.44, 0.1)):
        local.fill(ellipse(x, 0, size, size), (250, 252, 255))


def _gloom(pen: Pen, side: float) -> None:
    for index, x in enumerate((-0.62, -0.76, -0.9)):  # on the left, as the vein is
        line = smooth([(x * side, -1.32 + index * 0.14), (x * side, -0.82 + index * 0.1)], closed=False)
        pen.line(line, (76, 80, 140), 0.045)


MARKS: dict[str, Callable[[Pen, float], None]] = {
    "sweat": _sweat, "vein": _vein, "hearts": _hearts, "question": _question, "exclamation": _exclamation,
    "sparkles": _sparkles, "zzz": _zzz, "note": _note, "sigh": _sigh, "gloom": _gloom,
}  # fmt: skip
