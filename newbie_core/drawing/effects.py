"""Light and style over a drawn picture: tints, glows, grain, pencil and paint."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from newbie_core.drawing.canvas import Pen
from newbie_core.drawing.colours import RGB, WHITE
from newbie_core.drawing.curves import ellipse, heart, smooth

Light = tuple[float, float, float]

# place -> the light that falls on figures in it, where none is asked for
AMBIENT: dict[str, Light] = {
    "night_sky": (0.9, 0.91, 1.03), "city_night": (0.93, 0.86, 1.04), "sunset": (1.04, 0.92, 0.84),
    "fireworks": (0.93, 0.88, 1.02), "festival": (1.03, 0.92, 0.84), "stage": (0.98, 0.9, 1.04),
    "rain": (0.88, 0.93, 1.0), "snow": (0.97, 1.0, 1.05), "space": (0.9, 0.89, 1.03),
    "underwater": (0.88, 0.97, 1.05), "forest": (0.97, 1.0, 0.94), "cherry_blossoms": (1.03, 0.97, 1.0),
}  # fmt: skip
# lighting -> the factor on the place, the factor on figures
LIGHTS: dict[str, tuple[Light, Light]] = {
    "day": ((1.04, 1.04, 1.0), (1.05, 1.04, 1.0)), "warm": ((1.06, 0.9, 0.74), (1.06, 0.91, 0.77)),
    "cold": ((0.76, 0.88, 1.08), (0.8, 0.9, 1.08)), "moon": ((0.56, 0.64, 0.92), (0.74, 0.8, 1.04)),
    "dim": ((0.55, 0.52, 0.58), (0.7, 0.66, 0.72)), "back": ((1.08, 1.05, 1.0), (0.78, 0.74, 0.84)),
    "soft": ((1.02, 1.0, 1.0), (1.02, 1.0, 1.0)), "dramatic": ((0.55, 0.5, 0.6), (1.0, 0.97, 0.97)),
    "rays": ((1.0, 0.98, 0.93), (1.02, 1.0, 0.96)), "neon": ((0.7, 0.6, 0.9), (0.9, 0.82, 1.02)),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The light, style, air and border of a picture; empty where none is asked for."""

    place: str = ""
    lighting: str = ""
    style: str = ""
    air: str = ""
    border: str = ""

    @classmethod
    def of(cls, chosen: Mapping[str, str]) -> "Mood":
        """The mood that understood tags ask for."""
        return cls(
            place=chosen.get("background", ""),
            lighting=chosen.get("lighting", ""),
            style=chosen.get("style", ""),
            air=chosen.get("air", ""),
            border=chosen.get("border", ""),
        )


def _lit(image: Image.Image, light: Light) -> Image.Image:
    """The image under coloured light."""
    if light == (1.0, 1.0, 1.0):
        return image
    factors = [*light, 1.0][: len(image.getbands())]
    return image.point([min(255, round(value * factor)) for factor in factors for value in range(256)])


def light_place(image: Image.Image, mood: Mood) -> Image.Image:
    """The background under the mood's light."""
    lit = _lit(image, LIGHTS[mood.lighting][0]) if mood.lighting else image
    if mood.lighting == "back":
        width, height = lit.size
        Pen.on(lit, unit=height, x=width / 2, y=height * 0.3).glow(0, 0, 0.75, 0.75, (255, 250, 226), 0.95)
    return lit


def light_figures(layer: Image.Image, mood: Mood) -> Image.Image:
    """The figures' layer (RGBA) under the mood's light."""
    light = LIGHTS[mood.lighting][1] if mood.lighting else AMBIENT.get(mood.place, (1.0, 1.0, 1.0))
    lit = _lit(layer, light)
    rims: dict[str, tuple[RGB, RGB]] = {
        "back": ((255, 246, 214), (255, 246, 214)), "neon": ((255, 80, 190), (70, 220, 255)),
        "moon": ((190, 214, 255), (190, 214, 255)), "dramatic": ((255, 196, 130), (120, 150, 255)),
    }  # fmt: skip
    if mood.lighting in rims:
        lit = _rim(lit, *rims[mood.lighting], share=0.02 if mood.lighting == "back" else 0.014)
    return lit


def _rim(layer: Image.Image, left: RGB, right: RGB, *, share: float) -> Image.Image:
    """Light along the edges of the figures, from the left and from the right."""
    shift = max(1, round(min(layer.size) * share))
    alpha = layer.getchannel("A")
    for colour, offset in ((left, shift), (right, -shift)):
        moved = Image.new("L", alpha.size)
        moved.paste(alpha, (offset, shift // 2))
        edge = ImageChops.subtract(alpha, moved).filter(ImageFilter.GaussianBlur(shift * 0.35))
        lit = Image.new("RGBA", layer.size, (*colour, 255))
        lit.putalpha(alpha)
        layer = Image.composite(lit, layer, edge.point([round(v * 0.85) for v in range(256)]))
    return layer


def finish(image: Image.Image, mood: Mood, *, seed: int) -> Image.Image:
    """The last touches: air, light over everything, style and border."""
    if mood.air:
        image = _air(image, mood.air, random.Random(f"{seed}:air"))
    if mood.lighting == "day":
        pen = Pen.on(image, unit=max(image.size), x=image.width * 0.12)
        pen.glow(0, 0, 0.95, 0.95, (255, 240, 176), 0.62)
    if mood.lighting == "rays":
        image = _rays(image, random.Random(f"{seed}:rays"))
    if mood.lighting == "soft":
        image = Image.blend(
            image, ImageChops.screen(image, image.filter(ImageFilter.GaussianBlur(max(image.size) / 40))), 0.5
        )
    if mood.lighting == "dramatic" or mood.border == "vignette":
        image = _vignette(image, 0.8)
    if mood.style:
        image = STYLES[mood.style](image, seed)
    if mood.border == "border":
        line = max(2, min(image.size) // 22)
        image = ImageOps.expand(
            image.crop((line, line, image.width - line, image.height - line)), line, (252, 251, 250)
        )
    return image


@lru_cache(maxsize=8)
def _corner_shade(width: int, height: int) -> Image.Image:
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    dark = np.clip((x * x + y * y - 0.35) / 1.3, 0, 1)
    return Image.fromarray((dark * 255).astype(np.uint8))


def _vignette(image: Image.Image, strength: float) -> Image.Image:
    mask = _corner_shade(*image.size).point([round(v * strength) for v in range(256)])
    image.paste((14, 8, 26), (0, 0), mask)
    return image


def _rays(image: Image.Image, dice: random.Random) -> Image.Image:
    width, height = image.size
    light = Image.new("L", image.size)
    draw = ImageDraw.Draw(light)
    for _ in range(5):
        start, thick, lean = (
            dice.uniform(-0.3, 0.7) * width,
            dice.uniform(0.05, 0.14) * width,
            dice.uniform(0.5, 0.7) * height,
        )
        draw.polygon(
            [(start, 0), (start + thick, 0), (start + thick * 2 + lean, height), (start + lean, height)],
            fill=80,
        )
    light = light.filter(ImageFilter.GaussianBlur(max(1, width / 90)))
    image.paste((255, 246, 206), (0, 0), light)
    return image


# --- air ---------------------------------------------------------------------------------------


def _air(image: Image.Image, kind: str, dice: random.Random) -> Image.Image:
    """Small things between the viewer and the figures."""
    width, height = image.size
    fine = 2
    layer = Image.new("RGBA", (width * fine, height * fine))
    side = min(width, height) * fine
    pen = Pen.on(layer, unit=side)
    wide, high = width * fine / side, height * fine / side
    if kind == "fog":
        fog = image.copy()
        Pen.on(fog, unit=height).fade(0.25, 1.0, (232, 236, 244), 0.1, 0.72)
        return fog
    for index in range({"bokeh": 16, "bubbles": 16, "rain": 60, "snow": 46}.get(kind, 30)):
        x, y = dice.uniform(0, wide), dice.uniform(0, high)
        # Few things cross the middle, where the faces are.
        if (
            abs(x / wide - 0.5) < 0.2
            and 0.25 < y / high < 0.75
            and kind not in ("rain", "snow")
            and index % 4
        ):
            x = x + wide * 0.35 if x > wide / 2 else x - wide * 0.35
        AIR[kind](
            pen.moved(
                x,
                y,
                turn=dice.uniform(0, 360) if kind in ("petals", "leaves", "confetti") else 0,
                size=dice.uniform(0.7, 1.3),
            ),
            dice,
        )
    small = layer.reduce(fine)
    image.paste(small, (0, 0), small)
    return image


def _petal(pen: Pen, dice: random.Random) -> None:
    pen.fill(
        smooth(
            [
                (0, -0.022, 1),
                (0.016, -0.004),
                (0.008, 0.022),
                (0, 0.016, 1),
                (-0.008, 0.022),
                (-0.016, -0.004),
            ]
        ),
        dice.choice(((255, 188, 208), (255, 214, 226), (250, 160, 190))),
    )


def _flake(pen: Pen, dice: random.Random) -> None:
    radius = dice.uniform(0.004, 0.013)
    pen.fill(ellipse(0, 0, radius, radius, steps=12), WHITE)


def _streak(pen: Pen, dice: random.Random) -> None:
    pen.line(smooth([(0, 0), (-0.012, 0.075)], closed=False), (206, 226, 246), 0.0045)


def _particle(pen: Pen, dice: random.Random) -> None:
    size = dice.uniform(0.012, 0.03)
    pen.glow(0, 0, size * 1.6, size * 1.6, (255, 236, 170), 0.9)
    pen.fill(ellipse(0, 0, size * 0.24, size * 0.24, steps=10), (255, 252, 230))


def _firefly(pen: Pen, dice: random.Random) -> None:
    size = dice.uniform(0.02, 0.04)
    pen.glow(0, 0, size, size, (190, 255, 120), 1.0)
    pen.fill(ellipse(0, 0, size * 0.18, size * 0.18, steps=10), (246, 255, 200))


def _bubble(pen: Pen, dice: random.Random) -> None:
    radius = dice.uniform(0.015, 0.045)
    pen.line(ellipse(0, 0, radius, radius, steps=28), (226, 244, 255), 0.006, closed=True)
    pen.fill(ellipse(-radius * 0.35, -radius * 0.4, radius * 0.24, radius * 0.18, steps=12), WHITE)


def _leaf(pen: Pen, dice: random.Random) -> None:
    colour = dice.choice(((226, 120, 50), (204, 70, 50), (240, 178, 66)))
    pen.shape(
        smooth([(0, -0.034, 1), (0.02, -0.004), (0, 0.03, 1), (-0.02, -0.004)]), colour, (140, 66, 40), 0.004
    )


def _confetto(pen: Pen, dice: random.Random) -> None:
    colour = dice.choice(((255, 96, 120), (255, 206, 70), (90, 200, 250), (140, 220, 120), (190, 130, 240)))
    pen.fill(np.array([(-0.012, -0.007), (0.012, -0.007), (0.012, 0.007), (-0.012, 0.007)]), colour)


def _bokeh(pen: Pen, dice: random.Random) -> None:
    radius = dice.uniform(0.03, 0.08)
    colour = dice.choice(((255, 236, 190), (255, 200, 220), (200, 226, 255)))
    pen.glow(0, 0, radius * 1.5, radius * 1.5, colour, 0.75)


def _small_heart(pen: Pen, dice: random.Random) -> None:
    pen.shape(heart(0, 0, dice.uniform(0.014, 0.028)), (255, 130, 170), (226, 70, 126), 0.004)


AIR: dict[str, Callable[[Pen, random.Random], None]] = {
    "petals": _petal, "snow": _flake, "rain": _streak, "particles": _particle, "bubbles": _bubble,
    "leaves": _leaf, "confetti": _confetto, "bokeh": _bokeh, "fireflies": _firefly,
    "hearts": _small_heart,
}  # fmt: skip


# --- style -------------------------------------------------------------------------------------


def _edges(image: Image.Image, *, gain: float) -> Image.Image:
    """Dark lines on white where the brightness changes."""
    grey = image.convert("L").filter(ImageFilter.GaussianBlur(max(0.6, min(image.size) / 420)))
    blurred = grey.filter(ImageFilter.GaussianBlur(max(1.0, min(image.size) / 110)))
    difference = ImageChops.subtract(blurred, grey)
    return difference.point([max(0, 255 - round(v * gain)) for v in range(256)])


def _noise(image: Image.Image, seed: int, name: str, *, cell: float) -> NDArray[np.float64]:
    """Smooth noise in -1..1 of the image's size; cell is in parts of the shorter side."""
    number = random.Random(f"{seed}:{name}").getrandbits(63)
    rows, columns = (
        max(2, round(image.height / (cell * min(image.size)))),
        max(2, round(image.width / (cell * min(image.size)))),
    )
    small = np.random.default_rng(number).uniform(0, 255, (rows, columns)).astype(np.uint8)
    wide = Image.fromarray(small).resize(image.size, Image.Resampling.BICUBIC)
    return np.asarray(wide, dtype=np.float64) / 127.5 - 1


def _ink(image: Image.Image, dark: RGB, light: RGB) -> Image.Image:
    return ImageOps.colorize(image.convert("L"), dark, light)


def _flat(image: Image.Image, seed: int) -> Image.Image:
    # Figures are drawn without shading already; this leaves the place few colours.
    few = image.quantize(28, kmeans=1, dither=Image.Dither.NONE).convert("RGB")
    return ImageEnhance.Color(few).enhance(1.15)


def _sketch(image: Image.Image, seed: int) -> Image.Image:
    lines = _edges(image, gain=5.5)
    tone = image.convert("L").point([round(150 + v * 0.41) for v in range(256)])
    drawn = (
        np.asarray(ImageChops.multiply(lines, tone), dtype=np.float64)
        + _noise(image, seed, "pencil", cell=0.008) * 9
    )
    return _ink(Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8)), (62, 58, 66), (253, 250, 243))


def _lineart(image: Image.Image, seed: int) -> Image.Image:
    return _ink(_edges(image, gain=8.0), (34, 28, 40), (255, 255, 255))


def _monochrome(image: Image.Image, seed: int) -> Image.Image:
    return _ink(image, (30, 34, 74), (238, 242, 255))


def _greyscale(image: Image.Image, seed: int) -> Image.Image:
    return ImageOps.grayscale(image).convert("RGB")


def _sepia(image: Image.Image, seed: int) -> Image.Image:
    return _ink(image, (52, 30, 18), (255, 238, 206))


def _pastel(image: Image.Image, seed: int) -> Image.Image:
    return Image.blend(
        ImageEnhance.Color(image).enhance(0.8), Image.new("RGB", image.size, (255, 242, 248)), 0.4
    )


def _vivid(image: Image.Image, seed: int) -> Image.Image:
    return ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(1.55)).enhance(1.12)


def _watercolor(image: Image.Image, seed: int) -> Image.Image:
    soft = image.filter(ImageFilter.GaussianBlur(min(image.size) / 190)).filter(
        ImageFilter.ModeFilter(3 if min(image.size) < 300 else 5)
    )
    paper = (
        1 + 0.03 * _noise(image, seed, "paper", cell=0.014) + 0.12 * _noise(image, seed, "pools", cell=0.16)
    )
    pixels = np.asarray(
        Image.blend(soft, Image.new("RGB", image.size, (255, 252, 244)), 0.2), dtype=np.float64
    )
    edge = np.asarray(_edges(image, gain=1.8), dtype=np.float64)[:, :, None] / 255
    return Image.fromarray(np.clip(pixels * paper[:, :, None] * edge, 0, 255).astype(np.uint8))


def _grain(image: Image.Image, seed: int) -> Image.Image:
    number = random.Random(f"{seed}:grain").getrandbits(63)
    noise = np.random.default_rng(number).normal(0, 13, (image.height, image.width, 1))
    pixels = np.asarray(_lit(image, (1.04, 0.98, 0.9)), dtype=np.float64)
    return Image.fromarray(np.clip(pixels * 0.92 + 14 + noise, 0, 255).astype(np.uint8))


def _halftone(image: Image.Image, seed: int) -> Image.Image:
    step = max(4, min(image.size) // 42)
    y, x = np.mgrid[0 : image.height, 0 : image.width]
    screen = (np.sin((x + y) * np.pi / step) * np.sin((x - y) * np.pi / step) + 1) / 2
    grey = np.asarray(image.convert("L"), dtype=np.float64)[:, :, None] / 255
    dots = (screen[:, :, None] > grey * 1.15 - 0.05).astype(np.float64)
    pixels = np.asarray(image, dtype=np.float64)
    return Image.fromarray(np.clip(pixels * (1 - 0.45 * dots) + 12, 0, 255).astype(np.uint8))


def _pixel(image: Image.Image, seed: int) -> Image.Image:
    step = max(2, min(image.size) // 64)
    small = image.resize((max(1, image.width // step), max(1, image.height // step)), Image.Resampling.BOX)
    return (
        small.quantize(32, dither=Image.Dither.NONE)
        .convert("RGB")
        .resize(image.size, Image.Resampling.NEAREST)
    )


def _oil(image: Image.Image, seed: int) -> Image.Image:
    size = 3 if min(image.size) < 200 else 5 if min(image.size) < 700 else 7
    thick = image.filter(ImageFilter.ModeFilter(size)).filter(ImageFilter.SMOOTH)
    strokes = 1 + 0.12 * _noise(image, seed, "strokes", cell=0.02)
    pixels = np.asarray(ImageEnhance.Color(thick).enhance(1.2), dtype=np.float64)
    return Image.fromarray(np.clip(pixels * strokes[:, :, None], 0, 255).astype(np.uint8))


def _comic(image: Image.Image, seed: int) -> Image.Image:
    bold = ImageOps.posterize(ImageEnhance.Contrast(image).enhance(1.25), 3)
    return ImageChops.multiply(_halftone(bold, seed), _edges(image, gain=6.0).convert("RGB"))


STYLES: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "flat": _flat, "sketch": _sketch, "lineart": _lineart, "monochrome": _monochrome,
    "greyscale": _greyscale, "sepia": _sepia, "pastel": _pastel, "vivid": _vivid,
    "watercolor": _watercolor, "grain": _grain, "halftone": _halftone, "pixel": _pixel, "oil": _oil,
    "comic": _comic,
}  # fmt: skip
