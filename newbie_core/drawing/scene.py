"""Compose a picture: a setting behind, figures in front, light and style over both."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from newbie_core.drawing.backgrounds import draw_background
from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.effects import Mood, finish, light_figures, light_place
from newbie_core.drawing.figure import draw_figure
from newbie_core.drawing.look import Look
from newbie_core.drawing.tags import understand

DRAWING_VERSION = 2

# What a framing shows, in half heads from the head's centre: up to, down to, and the half width it needs.
FRAMES: dict[str, tuple[float, float, float]] = {
    "close-up": (-1.2, 1.25, 0.95),
    "portrait": (-1.62, 1.66, 1.2),
    "upper_body": (-1.72, 2.66, 1.42),
    "cowboy_shot": (-1.78, 3.62, 1.42),
    "full_body": (-1.8, 5.02, 1.42),
}
# How much more room above the head some things need.
TALL: dict[str, float] = {
    "witch_hat": 0.42,
    "rabbit_ears": 0.5,
    "fox_ears": 0.28,
    "crown": 0.1,
    "helmet": 0.2,
    "beret": 0.1,
    "santa_hat": 0.08,
    "umbrella": 0.3,
    "hair_bun": 0.05,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """An exact place, in pixels: the middle of a figure's head, and the size of half a head."""

    x: float
    y: float
    unit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One requested character: its tags of every field, and where its middle stands (0..1, None: chosen).

    Attributes:
        spot: an exact place instead of `x` and `y`; nothing is then left to chance.
        hand: names the figure's stream of chance; None: the picture's seed and the figure's number.
    """

    tags: tuple[str, ...]
    x: float | None = None
    y: float | None = None
    spot: Spot | None = None
    hand: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that belongs to no figure: background, lighting, style, composition, air."""

    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a figure's head has its centre, in parts of the picture, and its size in pixels a half head."""

    x: float
    y: float
    unit: float
    reach: float


def draw(figures: Sequence[Figure], setting: Setting, *, width: int, height: int, seed: int) -> Image.Image:
    """The picture, RGB. The same request and seed give the same pixels in every process."""
    common = understand(setting.tags).attributes
    chosen = [understand(figure.tags).attributes for figure in figures]
    for attributes in chosen:
        common = {**{key: attributes[key] for key in SHARED if key in attributes}, **common}
    mood = Mood.of(common)
    fine = _supersampling(max(width, height))
    back = draw_background(common, width=width, height=height, seed=seed)
    back = light_place(back, mood)
    if figures:
        places = _places(figures, chosen, common, width=width, height=height, seed=seed)
        layer = Image.new("RGBA", (width * fine, height * fine))
        for index in sorted(range(len(figures)), key=lambda i: (places[i].y, i)):
            place = places[index]
            flat = mood.style == "flat"
            key = f"{seed}:{index}" if figures[index].hand is None else f"hand:{figures[index].hand}"
            look = Look(chosen=chosen[index], key=key, reach=place.reach, flat=flat)
            pen = Pen.on(layer, unit=place.unit * fine, x=place.x * width * fine, y=place.y * height * fine)
            draw_figure(pen, look, bottom=(1 - place.y) * height / place.unit)
        cut = layer.reduce(fine) if fine > 1 else layer
        cut = light_figures(cut, mood)
        back.paste(cut, (0, 0), cut)
    return finish(back, mood, seed=seed)


# Components that a figure's own tags may choose for the whole picture.
SHARED = ("framing", "background", "lighting", "style", "air", "border")


def _supersampling(side: int) -> int:
    """How many times finer than the result figures are drawn."""
    return 4 if side <= 192 else 3 if side <= 384 else 2


def _framing(common: dict[str, str], chosen: Sequence[dict[str, str]]) -> tuple[float, float, float]:
    """The framing asked for, or one that shows what is worn on legs and feet."""
    name = common.get("framing")
    if name is None:
        low = any(
            "footwear" in each or each.get("legwear") in ("socks", "kneehighs") or "pose" in each
            for each in chosen
        )
        half = any("legwear" in each or "gloves" in each for each in chosen)
        name = "full_body" if low else "cowboy_shot" if half else "upper_body"
    top, bottom, wide = FRAMES[name]
    if name != "close-up":
        top -= max((TALL.get(value, 0.0) for each in chosen for value in each.values()), default=0.0)
    return top, bottom, wide


def _rows(count: int, width: int, height: int) -> list[int]:
    """How many figures stand in each row, the rear row first."""
    return [count] if count < 4 or width > height * count * 0.42 else [count - count // 2, count // 2]


FREE = 1.62  # the half width of a figure that has no neighbours, in half heads
ROW_STEP = 1.72  # how much lower the front row stands, in half heads


def _places(
    figures: Sequence[Figure],
    chosen: Sequence[dict[str, str]],
    common: dict[str, str],
    *,
    width: int,
    height: int,
    seed: int,
) -> list[_Place]:
    """Where each figure stands; neighbours share the width between them."""
    top, bottom, wide = _framing(common, chosen)
    rows = _rows(len(figures), width, height)
    # A front row as long as the rear one stands in its gaps, half a place to the right.
    across = rows[0] + (0.5 if len(rows) == 2 and rows[0] == rows[1] else 0.0)
    tall = bottom - top + ROW_STEP * (len(rows) - 1)
    unit = min(height / tall, width / across / (2 * (wide if len(figures) == 1 else 1.16)))
    # Spare height goes above and below.
    first = (height - unit * tall) * 0.42 - top * unit
    places = []
    for index, figure in enumerate(figures):
        if figure.spot is not None:
            spot = figure.spot
            places.append(_Place(x=spot.x / width, y=spot.y / height, unit=spot.unit, reach=FREE))
            continue
        row = 0 if index < rows[0] else 1
        column = index - rows[0] * row + (1.0 if row else 0.5)
        dice = random.Random(f"{seed}:{index}:place")
        x = (figure.x if figure.x is not None else column / across) + dice.uniform(-0.012, 0.012)
        y = (first + row * ROW_STEP * unit) / height + dice.uniform(-0.008, 0.008)
        if figure.y is not None:
            y += (figure.y - 0.6) * 0.6
        places.append(_Place(x=x, y=y, unit=unit * dice.uniform(0.97, 1.02), reach=FREE))
    return _with_reach(places, width)


def _with_reach(places: list[_Place], width: int) -> list[_Place]:
    """The same places, each with the half width that its neighbours leave it."""
    spaced = []
    for index, place in enumerate(places):
        gaps = [
            abs(place.x - other.x)
            for i, other in enumerate(places)
            if i != index and abs(place.y - other.y) < 0.15
        ]
        reach = min(gaps) * width / 2 / place.unit if gaps else FREE
        spaced.append(_Place(x=place.x, y=place.y, unit=place.unit, reach=max(1.08, min(FREE, reach))))
    return spaced
