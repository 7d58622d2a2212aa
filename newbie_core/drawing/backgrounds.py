"""Places behind the figures. Coordinates: height 1, x from 0 to the picture's aspect."""

import random
from collections.abc import Mapping

from PIL import Image, ImageFilter

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.colours import CLOTH, RGB, WHITE, mix
from newbie_core.drawing.curves import heart, smooth
from newbie_core.drawing.nature import NATURE
from newbie_core.drawing.places import Place, gradient
from newbie_core.drawing.rooms import INDOORS
from newbie_core.drawing.towns import TOWNS

SOFT: tuple[RGB, ...] = ((232, 238, 250), (250, 236, 240), (238, 246, 238), (250, 244, 230), (240, 236, 250))


PLACES: dict[str, Place] = {**NATURE, **TOWNS, **INDOORS}


def draw_background(chosen: Mapping[str, str], *, width: int, height: int, seed: int) -> Image.Image:
    """The picture's background, RGB, at its final size."""
    fine = 3 if max(width, height) <= 160 else 2
    name = chosen.get("background", "")
    plain = not name or name in ("simple", "white", "gradient") or name.startswith("plain_")
    if plain:
        fine = 1
    image = Image.new("RGB", (width * fine, height * fine), WHITE)
    pen = Pen.on(image, unit=height * fine)
    dice = random.Random(f"{seed}:background:{name}")
    wide = width / height
    if name.startswith("plain_"):
        _plain(pen, CLOTH[name.removeprefix("plain_")])
    elif name in FLAT:
        FLAT[name](pen, wide, dice)
    elif name in PLACES:
        PLACES[name](pen, wide, dice)
    else:
        _simple(pen, wide, dice)
    if fine > 1:
        image = image.reduce(fine)
    if name in PLACES:
        image = image.filter(ImageFilter.GaussianBlur(min(width, height) / 420))
    return image


def _plain(pen: Pen, colour: RGB) -> None:
    gradient(pen, mix(colour, WHITE, 0.2), mix(colour, WHITE, 0.06))


def _simple(pen: Pen, wide: float, dice: random.Random) -> None:
    colour = dice.choice(SOFT)
    gradient(pen, mix(colour, WHITE, 0.4), colour)


def _white(pen: Pen, wide: float, dice: random.Random) -> None:
    pen.image.paste((255, 255, 255), (0, 0, *pen.image.size))


def _gradient(pen: Pen, wide: float, dice: random.Random) -> None:
    top, bottom = dice.choice(
        (
            ((150, 205, 255), (255, 196, 226)),
            ((255, 208, 150), (255, 150, 190)),
            ((170, 240, 220), (160, 180, 255)),
            ((206, 180, 255), (255, 226, 196)),
        )
    )
    gradient(pen, top, bottom)


def _polka_dots(pen: Pen, wide: float, dice: random.Random) -> None:
    base = dice.choice(((255, 204, 220), (204, 228, 255), (255, 236, 190), (210, 240, 214)))
    pen.image.paste(base, (0, 0, *pen.image.size))
    shift_x, shift_y = dice.uniform(0, 0.2), dice.uniform(0, 0.2)
    for row in range(-1, 8):
        for column in range(-1, int(wide / 0.2) + 2):
            pen.dot(
                column * 0.2 + shift_x + (0.1 if row % 2 else 0),
                row * 0.17 + shift_y,
                0.04,
                mix(base, WHITE, 0.65),
            )


def _stripes(pen: Pen, wide: float, dice: random.Random) -> None:
    base = dice.choice(((255, 214, 160), (190, 226, 250), (250, 200, 220), (200, 236, 206)))
    pen.image.paste(base, (0, 0, *pen.image.size))
    start = dice.uniform(-0.2, 0.0) - 1.0
    while start < wide:
        pen.fill(
            smooth([(start, 1, 1), (start + 0.1, 1, 1), (start + 1.1, 0, 1), (start + 1.0, 0, 1)]),
            mix(base, WHITE, 0.55),
        )
        start += 0.2


def _hearts(pen: Pen, wide: float, dice: random.Random) -> None:
    gradient(pen, (255, 226, 236), (255, 196, 216))
    for row in range(6):
        for column in range(int(wide / 0.22) + 2):
            x = column * 0.22 + (0.11 if row % 2 else 0) + dice.uniform(-0.02, 0.02)
            pen.fill(
                heart(x, row * 0.19 + 0.06, dice.uniform(0.03, 0.055)),
                mix((255, 140, 176), WHITE, dice.uniform(0.1, 0.6)),
            )


FLAT: dict[str, Place] = {
    "simple": _simple, "white": _white, "gradient": _gradient, "polka_dots": _polka_dots,
    "stripes": _stripes, "hearts": _hearts,
}  # fmt: skip
