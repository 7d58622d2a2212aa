"""Hair: what hangs behind the head, and what frames the face in front."""

import random

import numpy as np

from newbie_core.drawing.canvas import LINE, Pen
from newbie_core.drawing.colours import CLOTH, Tone, mix, tone
from newbie_core.drawing.curves import Points, Spot, ellipse, flip, smooth
from newbie_core.drawing.fringe import cap_outline, fringe, paint_cap, second_tone
from newbie_core.drawing.locks import draw_braid, draw_bun, draw_lock, draw_ringlet, draw_tail, spine
from newbie_core.drawing.look import Look

BOTTOM = {"very_short": 0.5, "short": 0.8, "bob": 1.06, "medium": 1.5, "long": 2.6, "very_long": 4.1}
TIED_UP = (
    "ponytail",
    "hair_bun",
    "double_bun",
    "twintails",
    "side_ponytail",
    "braid",
    "twin_braids",
    "low_twintails",
)


# --- behind the head ---------------------------------------------------------------------------


def draw_back_hair(pen: Pen, look: Look) -> None:
    """Everything that hangs behind the neck and shoulders."""
    hair, (length, style) = look.hair, look.style
    bottom = BOTTOM[length]
    if style in TIED_UP:
        bottom = 0.72
    if style == "drill_hair":
        bottom = 1.1
    if style == "ponytail":
        _ponytail(pen, look, hair, BOTTOM[length])
    if style == "twintails":
        _twintails(pen, look, hair, BOTTOM[length])
    _curtain(pen, look, hair, bottom)


def _curtain(pen: Pen, look: Look, hair: Tone, bottom: float) -> None:
    outline = _curtain_outline(bottom, look.texture, look.dice("back_hair"), reach=min(look.reach, 1.5))
    with pen.clip(outline) as inner:
        inner.fill(outline, mix(hair.base, hair.shade, 0.55))
        if look.get("hair_tips"):
            _colour_tips(inner, look, bottom)
        inner.wash(
            smooth(
                [
                    (-0.62, 0.2),
                    (0.62, 0.2),
                    (0.72, 1.2),
                    (0.5, bottom * 0.75 + 0.4),
                    (-0.5, bottom * 0.75 + 0.4),
                    (-0.72, 1.2),
                ]
            ),
            hair.deep,
            0.75,
        )
        dice = look.dice("back_strands")
        for index in range(9):
            x = -1.0 + index * 0.25 + dice.uniform(-0.05, 0.05)
            line = spine(
                [(x * 0.9, 0.2), (x * 1.02, bottom * 0.5 + 0.2), (x * 0.98, bottom - 0.05)], look.texture
            )
            inner.stroke(line, hair.deep, 0.01, 0.03, 0.01)
    pen.line(outline, hair.ink, LINE, closed=True)


def _curtain_outline(bottom: float, texture: str, dice: random.Random, *, reach: float) -> Points:
    """The silhouette of loose hair, its lower edge in points."""
    wide = 1.1 if bottom < 1.3 else 1.18
    low = {"spiky": 1.12, "curly": 1.28, "wavy": 1.22}.get(texture, 1.0 if bottom < 1.2 else 1.1)
    low = min(low + 0.06 * max(0.0, bottom - 2.6), reach)
    sides: list[list[Spot]] = []
    swing = {"wavy": 0.07, "curly": 0.1, "spiky": 0.06, "messy": 0.04}.get(texture, 0.0)
    steps = max(2, round((bottom - 0.1) / (0.42 if swing else 0.9)))
    for side in (1, -1):
        spots: list[Spot] = [(0.6 * side, -1.14), (1.0 * side, -0.62), (wide * side, 0.0)]
        for index in range(1, steps + 1):
            share = index / steps
            x = wide + (low - wide) * share + swing * (1 if index % 2 else -1) + dice.uniform(-0.02, 0.02)
            y = 0.05 + (bottom - 0.25) * share
            jagged = texture in ("spiky", "messy") and index % 2 == 1
            spots.append((x * side + (0.07 * side if jagged else 0), y, 1) if jagged else (x * side, y))
        sides.append(spots)
    tips: list[Spot] = []
    count = 7
    depth = {"spiky": 0.3, "messy": 0.24}.get(texture, 0.14 if bottom < 1.3 else 0.2)
    for index in range(count):
        x = low * (0.92 - 1.84 * index / (count - 1))
        middle = 1 - abs(x) / low
        tips.append((x * 0.96, bottom + 0.12 * middle + dice.uniform(-0.05, 0.05), 1))
        if index < count - 1:
            tips.append((x - low * 0.92 / (count - 1), bottom - depth + 0.12 * middle, 1))
    return smooth([(0, -1.28), *sides[0], *tips, *reversed(sides[1])])


def _ponytail(pen: Pen, look: Look, hair: Tone, bottom: float) -> None:
    far = min(1.42, look.reach - 0.15)
    end = min(bottom, 2.9) * 0.72
    side = 1 if look.dice("ponytail").random() < 0.5 else -1
    spots = [
        (0.15 * side, -1.05),
        (0.7 * side, -1.42),
        (far * 0.92 * side, -0.85),
        (far * side, 0.1),
        ((far - 0.08) * side, end),
    ]
    draw_tail(pen, spots, 0.62, hair, look.texture, look.dice("tail"))
    _tie(pen.moved(0.36 * side, -1.2, turn=30 * side), look)


def _twintails(pen: Pen, look: Look, hair: Tone, bottom: float) -> None:
    far = min(1.5, look.reach - 0.2)
    end = {1.5: 1.1, 2.6: 1.9, 4.1: 3.1}.get(bottom, 0.9) + look.wobble("tail_end", 0.08)
    for side in (-1, 1):
        top = -0.86 if far < 1.25 else -0.72
        spots = [
            (0.86 * side, top),
            (min(1.22, far) * side, top - 0.02),
            (far * side, 0.15),
            ((far - 0.02) * side, end * 0.62),
            ((far - 0.2) * side, end),
        ]
        draw_tail(pen, spots, 0.5 if far < 1.25 else 0.58, hair, look.texture, look.dice(f"tail{side}"))


def _tie(pen: Pen, look: Look) -> None:
    """The band that gathers a tail."""
    band = look.cloth("hair_ornament") if look.get("hair_ornament_colour") else tone(CLOTH["red"])
    pen.shape(ellipse(0, 0, 0.13, 0.1), band.base, band.ink)
    pen.dot(-0.04, -0.03, 0.03, band.light)


def draw_front_hair(pen: Pen, look: Look) -> None:
    """Side locks, fringe, highlights, and gathered hair that falls in front."""
    hair, (length, style) = look.hair, look.style
    _side_locks(pen, look, hair)
    if style == "side_ponytail":
        _side_ponytail(pen, look, hair, BOTTOM[length])
    if style == "hair_bun":
        draw_bun(pen, 0.0, -1.38, 0.36, hair)
    if style == "double_bun":
        for side in (-1, 1):
            draw_bun(pen, 0.72 * side, -1.12, 0.34, hair)
    cap = cap_outline(look, fringe(look))
    with pen.clip(cap) as inner:
        paint_cap(inner, look, hair, cap)
    pen.line(cap, hair.ink, LINE, closed=True)
    if style == "half_updo":
        for side in (-1, 1):
            draw_bun(pen, 0.0 + 0.12 * side, -1.28, 0.16, hair)
    if style == "twintails":
        far = min(1.5, look.reach - 0.2)
        for side in (-1, 1):
            _tie(pen.moved(0.93 * side, -0.84 if far < 1.25 else -0.7, turn=-35 * side), look)
    if look.get("ahoge"):
        _ahoge(pen, look, hair)


def _colour_tips(pen: Pen, look: Look, bottom: float) -> None:
    other = second_tone(look)
    if look.get("hair_tips") == "gradient":
        pen.fade(0.3, max(0.9, bottom), other.base, 0.0, 1.0)
    elif look.get("hair_tips") == "inner":
        pen.fill(
            smooth(
                [
                    (-0.8, -0.2),
                    (0.8, -0.2),
                    (0.86, 1.0),
                    (0.8, bottom + 0.4),
                    (-0.8, bottom + 0.4),
                    (-0.86, 1.0),
                ]
            ),
            other.base,
        )
    else:
        for x in (-1.0, 0.96):
            pen.stroke(smooth([(x, -0.3), (x, bottom + 0.2)], closed=False), other.base, 0.16, 0.2)


# How far down the locks in front of the ears reach.
LOCK_ENDS = {"very_short": 0.42, "short": 0.72, "bob": 0.98, "medium": 1.3, "long": 1.95, "very_long": 2.3}


def _side_locks(pen: Pen, look: Look, hair: Tone) -> None:
    """The locks in front of the ears, by length and style."""
    length, style = look.style
    if style == "hime_cut":
        _straight_cut_locks(pen, hair)
        return
    end = 0.95 if style in TIED_UP else LOCK_ENDS[length]
    if look.boy and length in ("very_short", "short"):
        end = min(end, 0.5)
    broad = 0.3 if length in ("bob", "medium") and style == "loose" else 0.24
    inward = 0.16 if length == "bob" else 0.02
    widths = [broad * 0.7, broad, broad * 0.95, broad * 0.7, 0.01]
    for side in (-1, 1):
        drift = look.wobble(f"lock{side}", 0.04)
        middle, tip = (0.95 + drift) * side, (0.9 - inward + drift) * side
        line = spine(
            [(0.93 * side, -0.35), (0.97 * side, 0.2), (middle, end * 0.62), (tip, end)], look.texture
        )
        draw_lock(pen, line, widths, hair, shine=0.62 if end > 1.2 else None)
        if look.get("hair_tips") == "gradient" and end > 0.8:
            pen.stroke(line[len(line) * 2 // 3 :], second_tone(look).base, broad * 0.5, broad * 0.4, 0.01)
    _hanging(pen, look, hair)


def _straight_cut_locks(pen: Pen, hair: Tone) -> None:
    """The blunt locks at the cheeks of a princess cut."""
    right = smooth(
        [(1.06, -0.4, 1), (1.1, 0.3), (1.08, 0.86, 1), (0.66, 0.84, 1), (0.7, 0.3), (0.72, -0.3, 1)]
    )
    for side in (-1, 1):
        lock = flip(right, side)
        with pen.clip(lock) as inner:
            inner.fill(lock, hair.base)
            inner.fill(lock + np.array([0.24, 0.0]), hair.shade)
            for x in (0.8, 0.93):
                strand = smooth([(x * side, 0.0), (x * side, 0.86)], closed=False)
                inner.stroke(strand, hair.deep, 0.01, 0.026)
        pen.line(lock, hair.ink, closed=True)


def _hanging(pen: Pen, look: Look, hair: Tone) -> None:
    """Low tails, braids and ringlets, which fall in front of the shoulders."""
    length, style = look.style
    stop = 2.3 if length != "very_long" else 3.0
    for side in (-1, 1):
        if style == "low_twintails":
            far = min(0.98, look.reach - 0.2)
            spots = [(0.78 * side, 0.86), (far * side, 1.2), (far * side, 1.7), ((far - 0.12) * side, 2.25)]
            draw_tail(pen, spots, 0.44, hair, look.texture, look.dice(f"low{side}"))
            _tie(pen.moved(0.8 * side, 0.92), look)
        elif style == "twin_braids" or (style == "braid" and side == 1):
            draw_braid(pen, [(0.72 * side, 0.9), (0.86 * side, 1.3), (0.74 * side, stop)], 0.32, hair)
            _tie(pen.moved(0.74 * side, stop + 0.02, size=0.9), look)
        elif style == "drill_hair":
            far = min(1.16, look.reach - 0.25)
            draw_ringlet(pen, [(0.98 * side, 0.3), (far * side, 0.9), ((far - 0.04) * side, 1.9)], 0.5, hair)


def _side_ponytail(pen: Pen, look: Look, hair: Tone, bottom: float) -> None:
    far = min(1.36, look.reach - 0.2)
    end = min(bottom, 2.9) * 0.72
    spots = [(0.92, -0.5), (far * 0.98, -0.45), (far, 0.3), (far - 0.04, end * 0.6), (far - 0.2, end)]
    draw_tail(pen, spots, 0.54, hair, look.texture, look.dice("tail"))
    _tie(pen.moved(0.98, -0.5, turn=-30), look)


def _ahoge(pen: Pen, look: Look, hair: Tone) -> None:
    """One rebellious strand on the crown."""
    side = 1 if look.dice("ahoge").random() < 0.5 else -1
    line = smooth(
        [(0.0, -1.16), (0.03 * side, -1.5), (0.3 * side, -1.62), (0.52 * side, -1.36)], closed=False
    )
    draw_lock(pen, line, [0.1, 0.17, 0.15, 0.005], hair, strands=0)
