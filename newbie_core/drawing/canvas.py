"""A pen that draws smooth shapes in its own coordinates on a supersampled picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from newbie_core.drawing.colours import RGB, Tone
from newbie_core.drawing.curves import Points, ellipse, ribbon

LINE = 0.034  # an outline's width, in units of half a head


@lru_cache(maxsize=1)
def _radial() -> Image.Image:
    """A soft round spot, 255 in the middle and 0 at the rim."""
    axis = np.linspace(-1, 1, 96)
    falloff = np.clip(1 - np.hypot(axis[:, None], axis[None, :]), 0, 1)
    return Image.fromarray((255 * falloff * falloff * (3 - 2 * falloff)).astype(np.uint8))


class Pen:
    """Draws on one image through a turn, a scale and a shift.

    Coordinates are in units of the pen, which `moved` nests like sheets of tracing paper.
    """

    __slots__ = ("_draw", "_matrix", "_middle", "_shift", "_turned", "image", "unit")

    def __init__(self, image: Image.Image, matrix: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
        self.image = image
        self.unit = float(np.hypot(matrix[0, 0], matrix[1, 0]))  # pixels a unit
        self._matrix, self._shift = matrix, shift
        self._turned, self._middle = matrix.T * 64, shift * 64 + 32
        self._draw = ImageDraw.Draw(image)

    @classmethod
    def on(cls, image: Image.Image, *, unit: float, x: float = 0, y: float = 0) -> "Pen":
        """A pen whose origin lies at pixel x, y and whose unit is that many pixels."""
        return cls(image, np.array([[unit, 0.0], [0.0, unit]]), np.array([x, y], dtype=np.float64))

    def moved(
        self, x: float = 0, y: float = 0, *, turn: float = 0, size: float = 1, wide: float = 1
    ) -> "Pen":
        """A pen with its origin at x, y, turned clockwise by degrees, and scaled."""
        c, s = np.cos(np.radians(turn)) * size, np.sin(np.radians(turn)) * size
        matrix = self._matrix @ np.array([[c * wide, -s], [s * wide, c]])
        return Pen(self.image, matrix, self._matrix @ np.array([x, y]) + self._shift)

    def pixels(self, points: Points) -> NDArray[np.float32]:
        """Pixel positions (n, 2), rounded to pixel centres."""
        # Sixty-fourths of a pixel hide the last bits of a sum, which differ between processors.
        return (np.rint(points @ self._turned + self._middle) / 64).astype(np.float32)

    def fill(self, points: Points, colour: RGB) -> None:
        """A filled shape."""
        self._draw.polygon(_coords(self.pixels(points)), fill=colour)

    def line(self, points: Points, colour: RGB, width: float = LINE, *, closed: bool = False) -> None:
        """A line of one width with round corners and ends."""
        path = np.concatenate([points, points[:1]]) if closed else points
        pixels = max(1, round(width * self.unit))
        if pixels < 4:
            self._draw.line(_coords(self.pixels(path)), fill=colour, width=pixels)
            if pixels < 3:
                return
        step = np.diff(path, axis=0)
        step /= np.sqrt(step[:, 0] ** 2 + step[:, 1] ** 2)[:, None] + 1e-9
        turns = (step * np.roll(step, -1, axis=0)).sum(axis=1) < 0.9
        corners = np.flatnonzero(turns[:-1]) + 1
        if pixels >= 4:
            # Pillow's wide lines are ragged on dense curves, so each smooth run is one filled ribbon.
            ends = [0, *corners.tolist(), len(path) - 1]
            for start, stop in pairwise(ends):
                self.fill(ribbon(path[start : stop + 1], (width, width)), colour)
        spots = path[corners]
        if not closed or turns[-1]:
            spots = np.concatenate([spots, path[:1], path[-1:]])
        radius = (pixels - 1) / 2
        for x, y in self.pixels(spots).tolist():
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def shape(self, points: Points, fill: RGB, ink: RGB, width: float = LINE) -> None:
        """A filled shape with an outline."""
        self.fill(points, fill)
        self.line(points, ink, width, closed=True)

    def stroke(self, points: Points, colour: RGB, *widths: float) -> None:
        """A brush stroke along points, its width changing evenly through widths."""
        self.fill(ribbon(points, widths), colour)

    def wash(self, points: Points, colour: RGB, alpha: float) -> None:
        """A translucent filled shape; for use inside opaque ones."""
        xy = self.pixels(points)
        area = self._area(xy)
        if area is None:
            return
        mask = Image.new("L", (area[2] - area[0], area[3] - area[1]))
        shifted = xy - np.array(area[:2], dtype=np.float32)
        ImageDraw.Draw(mask).polygon(_coords(shifted), fill=round(255 * alpha))
        self.image.paste(colour, area, mask)

    def glow(self, x: float, y: float, rx: float, ry: float, colour: RGB, alpha: float) -> None:
        """A soft spot of light or colour, strongest at x, y."""
        (px, py), width, height = self.pixels(np.array([[x, y]]))[0], rx * self.unit, ry * self.unit
        left, top = round(float(px) - width), round(float(py) - height)
        size = (max(1, round(width * 2)), max(1, round(height * 2)))
        spot = _radial().resize(size, Image.Resampling.BILINEAR).point([round(v * alpha) for v in range(256)])
        if self.image.mode == "RGBA":
            patch = Image.new("RGBA", size, colour)
            patch.putalpha(spot)
            _composite(self.image, patch, left, top)
        else:
            self.image.paste(colour, (left, top), spot)

    def fade(self, top: float, bottom: float, colour: RGB, start: float, stop: float) -> None:
        """Colour laid over the whole image, its strength going from start at top to stop at bottom."""
        width, height = self.image.size
        ends = self.pixels(np.array([[0.0, top], [0.0, bottom]]))[:, 1]
        share = np.interp(np.arange(height), ends, [start, stop])
        column = Image.fromarray((share * 255).astype(np.uint8)[:, None])
        self.image.paste(colour, (0, 0), column.resize((width, height), Image.Resampling.NEAREST))

    @contextmanager
    def clip(self, points: Points) -> Iterator["Pen"]:
        """A pen in the same coordinates that draws only inside the shape."""
        xy = self.pixels(points)
        area = self._area(xy)
        if area is None:
            yield Pen(Image.new(self.image.mode, (1, 1)), self._matrix, self._shift - 1e6)
            return
        corner = np.array(area[:2])
        patch = self.image.crop(area)
        yield Pen(patch, self._matrix, self._shift - corner)
        mask = Image.new("L", patch.size)
        ImageDraw.Draw(mask).polygon(_coords(xy - corner.astype(np.float32)), fill=255)
        self.image.paste(patch, area, mask)

    def dot(self, x: float, y: float, radius: float, fill: RGB, ink: RGB | None = None) -> None:
        """A filled disc."""
        disc = ellipse(x, y, radius, radius, steps=18)
        self.fill(disc, fill)
        if ink is not None:
            self.line(disc, ink, closed=True)

    def solid(self, points: Points, tone: Tone, width: float = LINE) -> None:
        """A shape in a material's base colour and ink."""
        self.shape(points, tone.base, tone.ink, width)

    def _area(self, xy: NDArray[np.float32]) -> tuple[int, int, int, int] | None:
        """The pixels that positions cover, or None where they lie outside the image."""
        low, high = xy.min(axis=0), xy.max(axis=0)
        left, top = max(0, int(low[0])), max(0, int(low[1]))
        right, bottom = min(self.image.width, int(high[0]) + 2), min(self.image.height, int(high[1]) + 2)
        return (left, top, right, bottom) if left < right and top < bottom else None


def _coords(xy: NDArray[np.float32]) -> Any:
    """Positions as Pillow takes them fastest: a buffer of 32-bit floats."""
    return np.ascontiguousarray(xy)


def _composite(image: Image.Image, patch: Image.Image, left: int, top: int) -> None:
    """Lay a translucent patch over an image with an alpha channel, cut to the image."""
    right, bottom = min(image.width, left + patch.width), min(image.height, top + patch.height)
    x, y = max(0, left), max(0, top)
    if x < right and y < bottom:
        image.alpha_composite(patch, (x, y), (x - left, y - top, right - left, bottom - top))
