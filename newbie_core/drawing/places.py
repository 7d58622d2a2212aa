"""Pieces of landscape: gradients, clouds, stars, hills, trees. Height is 1, x runs to the aspect."""

import random
from collections.abc import Callable

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.colours import RGB, WHITE, mix
from newbie_core.drawing.curves import Spot, ellipse, smooth, star

Place = Callable[[Pen, float, random.Random], None]


def gradient(pen: Pen, top: RGB, bottom: RGB, start: float = 0.0, stop: float = 1.0) -> None:
    """Fill everything with a vertical gradient."""
    pen.image.paste(top, (0, 0, *pen.image.size))
    pen.fade(start, stop, bottom, 0.0, 1.0)


def cloud(pen: Pen, x: float, y: float, size: float, colour: RGB, shade: RGB) -> None:
    """A heap of round clouds with a flat, shaded base; size is its half width."""
    for grow, tint, drop_y in ((1.0, shade, 0.05), (0.94, colour, 0.0)):
        for dx, dy, radius in (
            (-0.66, 0.04, 0.3),
            (-0.26, -0.14, 0.42),
            (0.22, -0.08, 0.38),
            (0.64, 0.06, 0.28),
        ):
            pen.fill(
                ellipse(
                    x + dx * size,
                    y + (dy + drop_y) * size,
                    radius * size * grow,
                    radius * size * grow * 0.86,
                    steps=20,
                ),
                tint,
            )
        pen.fill(ellipse(x, y + (0.16 + drop_y) * size, 0.95 * size, 0.2 * size), tint)


def clouds(
    pen: Pen, wide: float, dice: random.Random, count: int, colour: RGB, shade: RGB, low: float = 0.5
) -> None:
    """Clouds spread over the sky."""
    for index in range(count):
        x = (index + dice.uniform(0.1, 0.9)) * wide / count
        cloud(pen, x, dice.uniform(0.06, low), dice.uniform(0.1, 0.2), colour, shade)


def stars(pen: Pen, wide: float, dice: random.Random, count: int, low: float = 0.8) -> None:
    """Stars, a few of them large."""
    for index in range(count):
        x, y = dice.uniform(0, wide), dice.uniform(0, low)
        if index % 7 == 0:
            pen.fill(star(x, y, 0.016, points=4, inner=0.3), (255, 250, 220))
        else:
            pen.dot(x, y, dice.uniform(0.0022, 0.005), (255, 255, 250))


def hills(pen: Pen, wide: float, dice: random.Random, y: float, height: float, colour: RGB) -> None:
    """A rolling horizon."""
    spots: list[Spot] = [(-0.1, 1.2, 1), (-0.1, y, 1)]
    spots += [
        (wide * share + dice.uniform(-0.06, 0.06), y - dice.uniform(0, height))
        for share in (0.12, 0.34, 0.58, 0.82)
    ]
    pen.fill(smooth([*spots, (wide + 0.1, y, 1), (wide + 0.1, 1.2, 1)]), colour)


def tree(pen: Pen, x: float, y: float, size: float, leaf: RGB, trunk: RGB) -> None:
    """A round-headed tree whose foot stands at x, y."""
    pen.fill(
        smooth(
            [
                (x - 0.06 * size, y, 1),
                (x - 0.035 * size, y - 0.6 * size),
                (x + 0.035 * size, y - 0.6 * size),
                (x + 0.07 * size, y, 1),
            ]
        ),
        trunk,
    )
    for dx, dy, radius, share in (
        (-0.24, -0.72, 0.26, 0.0),
        (0.24, -0.7, 0.26, 0.0),
        (0.0, -0.94, 0.32, 0.0),
        (-0.08, -0.98, 0.2, 0.18),
        (-0.26, -0.78, 0.14, 0.18),
    ):
        pen.fill(
            ellipse(x + dx * size, y + dy * size, radius * size, radius * size * 0.9, steps=18),
            mix(leaf, WHITE, share),
        )


def grass(pen: Pen, wide: float, dice: random.Random, y: float, colour: RGB, count: int = 40) -> None:
    """Tufts of grass below a line."""
    for _ in range(count):
        x, at = dice.uniform(0, wide), dice.uniform(y, 1.0)
        size = 0.015 + 0.03 * (at - y)
        pen.fill(
            smooth(
                [
                    (x - size, at, 1),
                    (x - size * 0.6, at - size * 1.6, 1),
                    (x, at - size * 0.4, 1),
                    (x + size * 0.5, at - size * 1.8, 1),
                    (x + size, at, 1),
                ]
            ),
            colour,
        )
