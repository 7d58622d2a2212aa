"""A picture made square for a tagger: fitted inside, centred, the empty bands filled with its outermost pixels.

That is what DeepDanbooru saw in training; other fillings give other probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def fit_square(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """`[size, size, 3]` RGB of a picture of any mode; what is transparent lies on white.

    Sides are scaled alike, Lanczos, so that the longer one fits; an odd pixel of filling goes right or below.
    """
    flat = on_white(picture)
    scale = size / max(flat.size)
    width, height = (max(1, round(side * scale)) for side in flat.size)
    if (width, height) != flat.size:
        flat = flat.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (size - width) // 2, (size - height) // 2
    bands = ((top, size - height - top), (left, size - width - left), (0, 0))
    return np.pad(np.asarray(flat, dtype=np.uint8), bands, mode="edge")


def on_white(picture: Image.Image) -> Image.Image:
    """The picture as RGB, white showing through where it is transparent."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    clear = picture.convert("RGBA")
    ground = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(ground, clear).convert("RGB")
