"""Single masses of hair: locks, tails, braids, ringlets and buns."""

import random
from collections.abc import Sequence

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.colours import Tone, mix
from newbie_core.drawing.curves import Points, Spot, ellipse, ribbon, smooth


def spine(spots: Sequence[Spot], texture: str = "straight") -> Points:
    """A lock's middle line; wavy and curly hair swings about it."""
    line = smooth(spots, closed=False, steps=9)
    swing = {"wavy": 0.07, "curly": 0.11}.get(texture, 0.0)
    if not swing:
        return line
    fine = _resampled(line, 40)
    along = np.linspace(0, 1, len(fine))
    length = float(np.hypot(*np.diff(fine, axis=0).T).sum())
    turns = length / (0.75 if texture == "wavy" else 0.5)
    return fine + np.stack(
        [np.sin(along * turns * 2 * np.pi) * swing * np.minimum(1, along * 4), np.zeros_like(along)], axis=1
    )


def _resampled(line: Points, count: int) -> Points:
    """The same line with its points evenly spaced."""
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, distance[-1], count)
    return np.stack([np.interp(at, distance, line[:, 0]), np.interp(at, distance, line[:, 1])], axis=1)


def draw_lock(
    pen: Pen,
    line: Points,
    widths: Sequence[float],
    hair: Tone,
    *,
    shine: float | None = None,
    strands: int = 2,
) -> None:
    """A lock along its middle line, shaded on its right; shine is where along it light falls (0..1)."""
    outline = ribbon(line, widths)
    broad = max(widths)
    with pen.clip(outline) as inner:
        inner.fill(outline, hair.base)
        inner.fill(ribbon(line + np.array([broad * 0.36, 0.0]), [w * 0.62 for w in widths]), hair.shade)
        for index in range(strands):
            offset = (index + 1) / (strands + 1) - 0.5
            inner.fill(
                ribbon(line + np.array([offset * broad * 0.8, 0.03]), [0.008, 0.024, 0.008]),
                mix(hair.deep, hair.ink, 0.2),
            )
        if shine is not None:
            _shine(inner, line, widths, hair, shine)
    pen.line(outline, hair.ink, LINE, closed=True)


def _shine(pen: Pen, line: Points, widths: Sequence[float], hair: Tone, at: float) -> None:
    """A streak of light on the left half of a lock."""
    start, stop = int(len(line) * max(0, at - 0.13)), int(len(line) * min(1, at + 0.13)) + 2
    part = line[start:stop]
    if len(part) < 3:
        return
    width = float(np.interp(at, np.linspace(0, 1, len(widths)), widths))
    for shift, thick in ((-0.24, 0.16), (-0.02, 0.08)):
        pen.stroke(part + np.array([width * shift, 0.0]), hair.light, 0.0, width * thick, width * thick, 0.0)


def draw_tail(
    pen: Pen, spots: Sequence[Spot], width: float, hair: Tone, texture: str, dice: random.Random
) -> None:
    """A gathered tail that swells from its tie and ends in a few points."""
    line = spine(spots, texture)
    for side in (-1, 1):
        offset = np.linspace(0, 1, len(line))[:, None] ** 1.5 * np.array(
            [[side * width * (0.36 + dice.uniform(-0.06, 0.06)), -0.16]]
        )
        draw_lock(
            pen, line + offset, [width * 0.34, width * 0.6, width * 0.62, width * 0.46, 0.01], hair, strands=1
        )
    profile = [width * 0.36, width * 0.86, width, width * 0.9, width * 0.62, 0.012]
    draw_lock(pen, line, profile, hair, shine=0.22, strands=3)


def draw_braid(pen: Pen, spots: Sequence[Spot], width: float, hair: Tone) -> None:
    """A plait of crossing lobes with a tuft at its end."""
    line = _resampled(smooth(spots, closed=False), 60)
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    count = max(3, round(length / (width * 0.62)))
    tip = line[-1]
    draw_lock(
        pen,
        smooth([(tip[0], tip[1] - 0.08), (tip[0] + 0.02, tip[1] + 0.36)], closed=False),
        [width * 0.5, width * 0.85, 0.01],
        hair,
    )
    for index in reversed(range(count)):
        x, y = line[min(59, round(index * 59 / max(1, count - 1)))]
        size = width * (1.0 - 0.25 * index / count)
        for side in (-1, 1):
            lobe = smooth(
                [
                    (0, -size * 0.42),
                    (size * 0.42, -size * 0.52),
                    (size * 0.56, -size * 0.1),
                    (0.04 * size, size * 0.5, 1),
                    (-size * 0.16, size * 0.1),
                ]
            )
            part = lobe * np.array([side, 1.0]) + np.array([x, y])
            pen.shape(part, hair.base if side < 0 else hair.shade, hair.ink, LINE * 0.85)
            pen.stroke(
                smooth(
                    [(x + side * size * 0.4, y - size * 0.3), (x + side * size * 0.24, y + size * 0.1)],
                    closed=False,
                ),
                hair.light if side < 0 else hair.base,
                0.01,
                0.045,
                0.01,
            )


def draw_ringlet(pen: Pen, spots: Sequence[Spot], width: float, hair: Tone) -> None:
    """A drill: rings that narrow towards the point."""
    line = _resampled(smooth(spots, closed=False), 60)
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    count = max(4, round(length / (width * 0.42)))
    for index in reversed(range(count)):
        share = index / (count - 1)
        x, y = line[min(59, round(share * 59))]
        size = width * (0.56 - 0.46 * share**1.3)
        ring = ellipse(0, 0, size, width * 0.34, steps=20) @ np.array(
            [[0.94, 0.34], [-0.34, 0.94]]
        ) + np.array([x, y])
        pen.shape(ring, hair.base, hair.ink, LINE * 0.85)
        with pen.clip(ring) as inner:
            inner.fill(ring + np.array([size * 0.7, width * 0.12]), hair.shade)
            shine = (ring - np.array([x, y])) * 0.5 + np.array([x - size * 0.34, y - width * 0.02])
            inner.fill(shine, mix(hair.base, hair.light, 0.55))


def draw_bun(pen: Pen, x: float, y: float, radius: float, hair: Tone) -> None:
    """A round bun with the turn of its hair drawn in."""
    ball = ellipse(x, y, radius, radius * 0.94)
    with pen.clip(ball) as inner:
        inner.fill(ball, hair.base)
        inner.fill(ball + np.array([radius * 0.5, radius * 0.45]), hair.shade)
        for shift in (-0.25, 0.2):
            inner.stroke(
                smooth(
                    [
                        (x - radius, y + radius * (shift + 0.35)),
                        (x, y + radius * (shift - 0.1)),
                        (x + radius * 0.8, y + radius * (shift + 0.6)),
                    ],
                    closed=False,
                ),
                hair.deep,
                0.01,
                0.034,
                0.01,
            )
        inner.stroke(
            smooth(
                [
                    (x - radius * 0.55, y - radius * 0.3),
                    (x - radius * 0.15, y - radius * 0.62),
                    (x + radius * 0.2, y - radius * 0.6),
                ],
                closed=False,
            ),
            hair.light,
            0.01,
            radius * 0.22,
            0.01,
        )
    pen.line(ball, hair.ink, LINE, closed=True)
