"""What every garment shares: the opening at the neck and the creases of a torso."""

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.cloth import fold
from newbie_core.drawing.colours import Tone
from newbie_core.drawing.curves import Spot, mirrored, smooth
from newbie_core.drawing.look import Look


def draw_neckline(pen: Pen, look: Look, cloth: Tone, spots: list[Spot]) -> None:
    """The opening at the neck, showing skin."""
    opening = smooth(mirrored(spots))
    with pen.clip(opening) as inner:
        inner.fill(opening, look.skin.base)
        inner.fill(
            smooth([(-0.5, 0.8), (0.5, 0.8), (0.4, 1.12), (0.1, 1.27), (-0.2, 1.2), (-0.45, 1.08)]),
            look.skin.deep,
        )
    pen.line(opening[: len(opening)], cloth.ink, LINE * 0.8, closed=True)


ROUND: list[Spot] = [(0, 1.0), (0.2, 1.0, 1), (0.25, 1.26, 1), (0.16, 1.37), (0, 1.41)]
VEE: list[Spot] = [(0, 1.0), (0.2, 1.0, 1), (0.25, 1.24, 1), (0.02, 1.66, 1)]


def draw_creases(pen: Pen, look: Look, cloth: Tone) -> None:
    """Creases that give a torso its volume."""
    for side in (-1, 1):
        fold(pen, [(0.6 * side, 1.72), (0.44 * side, 1.82), (0.24 * side, 1.84)], cloth)
        fold(pen, [(0.46 * side, 2.04), (0.32 * side, 2.12), (0.2 * side, 2.13)], cloth, 0.03)
    if not look.boy:
        pen.wash(
            smooth([(-0.5, 1.86), (0, 1.94), (0.5, 1.86), (0.3, 2.02), (0, 2.06), (-0.3, 2.02)]),
            cloth.shade,
            0.6,
        )
