"""Cloth as such: a shaded piece with its folds and pattern, and sleeves along an arm."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.colours import WHITE, Tone, brightness, mix
from newbie_core.drawing.curves import Points, Spot, ellipse, flip, ribbon, smooth

OFF_WHITE = (250, 248, 252)


@contextmanager
def piece(pen: Pen, outline: Points, cloth: Tone, pattern: str = "", *, shaded: bool = True) -> Iterator[Pen]:
    """A piece of cloth, lit from the left; yields a pen that draws on it."""
    with pen.clip(outline) as inner:
        inner.fill(outline, cloth.base)
        if pattern:
            _pattern(inner, outline, cloth, pattern)
        if shaded:
            _side_shadow(inner, outline, cloth)
        yield inner
    pen.line(outline, cloth.ink, LINE, closed=True)


def _side_shadow(pen: Pen, outline: Points, cloth: Tone) -> None:
    """The shaded right side, its edge a soft curve."""
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    width, height = right - left, bottom - top
    edge = right - width * 0.3
    spots: list[Spot] = [
        (edge + width * 0.1, top - 0.1),
        (edge + width * 0.04, top + height * 0.3),
        (edge + width * 0.1, top + height * 0.6),
        (edge - width * 0.04, bottom + 0.1),
        (right + 1, bottom + 0.1, 1),
        (right + 1, top - 0.1, 1),
    ]
    pen.wash(smooth(spots), cloth.shade, 0.9)
    pen.fade(bottom - height * 0.35, bottom, cloth.shade, 0.0, 0.55)


def _pattern(pen: Pen, outline: Points, cloth: Tone, pattern: str) -> None:
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    other = (
        mix(cloth.base, WHITE, 0.72)
        if brightness(cloth.base) < 0.72
        else mix(cloth.deep, (90, 110, 200), 0.4)
    )
    if pattern in ("plaid", "striped"):
        for y in np.arange(top + 0.1, bottom, 0.22).tolist():
            pen.wash(
                smooth([(left, y, 1), (right, y, 1), (right, y + 0.09, 1), (left, y + 0.09, 1)]),
                other,
                0.5 if pattern == "plaid" else 0.95,
            )
    if pattern == "plaid":
        for x in np.arange(left + 0.08, right, 0.22).tolist():
            pen.wash(
                smooth([(x, top, 1), (x + 0.09, top, 1), (x + 0.09, bottom, 1), (x, bottom, 1)]), other, 0.5
            )
    if pattern == "polka_dot":
        for row, y in enumerate(np.arange(top + 0.08, bottom, 0.19).tolist()):
            for x in np.arange(left + (row % 2) * 0.12, right, 0.24).tolist():
                pen.dot(x, y, 0.052, other)
    if pattern == "frilled":
        for y in (top + (bottom - top) * 0.38, bottom - 0.06):
            frill(pen, left - 0.05, right + 0.05, y, other)


def frill(
    pen: Pen, left: float, right: float, y: float, colour: tuple[int, int, int], size: float = 0.085
) -> None:
    """A row of scallops."""
    for x in np.arange(left, right + size, size * 1.5).tolist():
        pen.shape(ellipse(x, y, size, size, steps=14), colour, mix(colour, (120, 110, 150), 0.4), 0.018)


def fold(pen: Pen, spots: list[Spot], cloth: Tone, width: float = 0.035) -> None:
    """A crease."""
    pen.stroke(smooth(spots, closed=False), cloth.deep, 0.004, width, 0.004)


def draw_limb(pen: Pen, line: Points, widths: tuple[float, ...], material: Tone) -> None:
    """An arm or a leg in one piece, lit from the left."""
    draw_tube(pen, [(line, widths)], material)


def draw_tube(
    pen: Pen, parts: Sequence[tuple[Points, tuple[float, ...]]], material: Tone, pattern: str = ""
) -> None:
    """A limb or a sleeve of one or two parts under one outline; a sharp elbow is rounded."""
    outlines = [ribbon(line, widths) for line, widths in parts]
    if len(parts) == 2:
        (x, y), thick = parts[1][0][0].tolist(), max(parts[1][1]) / 2
        outlines.insert(1, ellipse(x, y, thick * 0.95, thick * 0.95))
    for outline in outlines:
        pen.line(outline, material.ink, LINE * 2, closed=True)
    for index, outline in enumerate(outlines):
        if index == 2:
            # Only the long sides of a forearm set it off from the upper arm.
            half = len(outline) // 2
            for edge in (outline[:half], outline[half:][::-1]):
                pen.line(edge[half // 3 :], material.ink, LINE * 2)
        with pen.clip(outline) as inner:
            inner.fill(outline, material.base)
            if pattern:
                _pattern(inner, outline, material, pattern)
            if index != 1:
                inner.fill(outline + np.array([max(parts[-1][1]) * 0.6, 0.05]), material.shade)


# Widths from the shoulder to the wrist; an arm bent sharply has one row for each of its parts.
TUBES: dict[int, tuple[tuple[float, ...], ...]] = {
    1: ((0.16, 0.36, 0.38, 0.36, 0.34, 0.33, 0.33, 0.33, 0.34),),
    2: ((0.16, 0.36, 0.38, 0.36, 0.34), (0.34, 0.35, 0.34, 0.33, 0.34)),
}
CAPS: dict[str, tuple[float, ...]] = {"short": (0.16, 0.4, 0.43, 0.45), "puff": (0.2, 0.5, 0.56, 0.36)}


def sleeve(
    pen: Pen, bones: Sequence[Points], cloth: Tone, kind: str, *, cuff: Tone | None = None, pattern: str = ""
) -> None:
    """A sleeve along an arm's parts: long, short, puff or wide."""
    if kind == "wide":
        _wide_sleeve(pen, np.concatenate(bones), cloth, pattern)
        return
    if kind == "long":
        parts = list(zip(bones, TUBES[len(bones)], strict=True))
    else:
        upper = bones[0]
        parts = [(upper[: len(upper) * 2 * len(bones) // 5 + 1], CAPS[kind])]
    draw_tube(pen, parts, cloth, pattern)
    if kind == "long":
        for line, _ in parts:
            _elbow_folds(pen, line, cloth)
    if cuff is not None:
        line, widths = parts[-1]
        pen.shape(ribbon(line[-3:], (widths[-1] + 0.04, widths[-1] + 0.05)), cuff.base, cuff.ink, LINE * 0.9)


def _elbow_folds(pen: Pen, line: Points, cloth: Tone) -> None:
    x, y = line[len(line) // 2].tolist()
    for shift in (-0.08, 0.06):
        at = y + shift
        fold(pen, [(x - 0.14, at - 0.04), (x, at + 0.02), (x + 0.12, at)], cloth, 0.03)


def _wide_sleeve(pen: Pen, line: Points, cloth: Tone, pattern: str) -> None:
    """A kimono's sleeve, hanging from the wrist."""
    shoulder, middle, wrist = line[0], line[len(line) // 2], line[-2]
    side = 1.0 if shoulder[0] > 0 else -1.0
    drop = max(0.0, 0.62 - max(0.0, wrist[1] - 1.9) * 0.2)
    low = (float(wrist[0] + 0.12 * side), float(wrist[1] + drop))
    inner_low = (float(middle[0] - 0.1 * side), float(max(middle[1], wrist[1]) + drop * 0.75))
    spots: list[Spot] = [
        (float(shoulder[0] - 0.04 * side), float(shoulder[1] - 0.2)),
        (float(middle[0] + 0.16 * side), float(middle[1] - 0.2)),
        (float(wrist[0] + 0.14 * side), float(wrist[1] - 0.16), 1), (*low, 1), (*inner_low, 1),
        (float(shoulder[0] - 0.1 * side), float(shoulder[1] + 0.28)),
    ]  # fmt: skip
    with piece(pen, smooth(spots), cloth, pattern, shaded=False) as inner:
        inner.fill(
            flip(smooth([(0.3, 0.3, 1), (0.9, 0.3, 1), (0.9, 3.4, 1), (0.3, 3.4, 1)]), 1)
            * np.array([0.0, 1.0])
            + np.array([inner_low[0], 0.0]),
            cloth.shade,
        )
        edge = (float(wrist[0] + 0.14 * side), float(wrist[1] - 0.2))
        inner.stroke(smooth([edge, low], closed=False), mix(cloth.light, WHITE, 0.3), 0.09, 0.09)
        for x, y in ((0.5, 0.6), (0.2, 0.8), (0.8, 0.35)):
            blossom(
                inner,
                float(inner_low[0] + (low[0] - inner_low[0]) * x),
                float(wrist[1] + (low[1] - wrist[1]) * y),
                0.07,
                mix(cloth.base, WHITE, 0.7),
            )


def blossom(
    pen: Pen,
    x: float,
    y: float,
    size: float,
    colour: tuple[int, int, int],
    *,
    centre: tuple[int, int, int] = (255, 214, 90),
) -> None:
    """A flower of five petals."""
    for index in range(5):
        angle = np.radians(index * 72 - 90)
        pen.fill(
            ellipse(
                x + size * 0.62 * float(np.cos(angle)),
                y + size * 0.62 * float(np.sin(angle)),
                size * 0.5,
                size * 0.5,
                steps=12,
            ),
            colour,
        )
    pen.fill(ellipse(x, y, size * 0.3, size * 0.3, steps=10), centre)


def bow(pen: Pen, x: float, y: float, size: float, cloth: Tone, *, tails: bool = False) -> None:
    """A ribbon bow; size is its half width."""
    local = pen.moved(x, y, size=size)
    for side in (-1, 1):
        if tails:
            local.shape(
                flip(
                    smooth([(0.05, 0.1, 1), (0.5, 1.15, 1), (0.26, 1.06, 1), (0.12, 1.25, 1), (-0.05, 0.2)]),
                    side,
                ),
                cloth.shade,
                cloth.ink,
                LINE / size * 0.9,
            )
        loop = flip(
            smooth([(0.05, -0.1), (0.55, -0.56), (0.98, -0.5), (1.0, 0.4), (0.6, 0.44), (0.05, 0.12)]), side
        )
        local.shape(loop, cloth.base, cloth.ink, LINE / size * 0.9)
        local.fill(flip(smooth([(0.12, 0.0), (0.5, -0.18), (0.62, 0.0), (0.5, 0.14)]), side), cloth.shade)
    local.shape(
        smooth([(-0.2, -0.2), (0.2, -0.2), (0.2, 0.2), (-0.2, 0.2)]), cloth.base, cloth.ink, LINE / size * 0.9
    )
    local.fill(ellipse(-0.06, -0.06, 0.07, 0.06, steps=10), cloth.light)
