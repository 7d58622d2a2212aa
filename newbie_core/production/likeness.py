"""How alike two pictures are to the eye: whether pixels that differ are seen to differ.

The similarity is SSIM (Wang, Bovik, Sheikh and Simoncelli 2004, equation 13) over windows of 8 x 8 pixels
side by side, with K1 = 0.01 and K2 = 0.03, the least of the three channels. A mean over the picture hides
what changes in one place, such as the colour of an eye, so the window that differs most is judged too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from PIL.Image import Image

    Windows = NDArray[numpy.float64]

WINDOW = 8
ALIKE_SIMILARITY = 0.98
ALIKE_DIFFERENCE = 6.0
"""In levels of 0-255, the mean over one window and channel: less is not seen beside the other picture."""

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike two pictures are.

    Attributes:
        similarity: SSIM, 1 for equal pictures.
        difference: mean difference in the window that differs most, in levels of 0-255.
        largest: the largest difference of any channel of any pixel, in levels.
    """

    similarity: float
    difference: float
    largest: int

    @property
    def is_alike(self) -> bool:
        """Whether a person would see no difference."""
        return self.similarity >= ALIKE_SIMILARITY and self.difference <= ALIKE_DIFFERENCE

    def record(self) -> dict[str, str | int]:
        """The figures as programs read them."""
        return {
            "similarity": f"{self.similarity:.4f}",
            "difference": f"{self.difference:.2f}",
            "largest": self.largest,
        }

    def __str__(self) -> str:
        return (
            f"similarity {self.similarity:.4f}, largest difference {self.largest} of 255 levels, "
            f"{self.difference:.1f} in the window that differs most"
        )


def likeness(one: Image, other: Image) -> Likeness:
    """Compare two pictures; other sizes are as unlike as can be."""
    import numpy

    if one.size != other.size:
        return Likeness(similarity=0.0, difference=255.0, largest=255)
    first, second = (_windows(image) for image in (one, other))
    apart = numpy.abs(first - second)
    mean_1, mean_2 = first.mean(axis=-1), second.mean(axis=-1)
    variance_1, variance_2 = first.var(axis=-1), second.var(axis=-1)
    shared = (first * second).mean(axis=-1) - mean_1 * mean_2
    ssim = ((2 * mean_1 * mean_2 + _C1) * (2 * shared + _C2)) / (
        (mean_1**2 + mean_2**2 + _C1) * (variance_1 + variance_2 + _C2)
    )
    return Likeness(
        similarity=float(ssim.mean(axis=0).min()),
        difference=float(apart.mean(axis=-1).max()),
        largest=int(apart.max()),
    )


def _windows(image: Image) -> Windows:
    """The picture as (windows, 3 channels, 64 pixels); its edge is repeated to fill the last ones."""
    import numpy

    pixels = numpy.asarray(image.convert("RGB"), dtype=numpy.float64)
    height, width = pixels.shape[:2]
    pixels = numpy.pad(pixels, ((0, -height % WINDOW), (0, -width % WINDOW), (0, 0)), mode="edge")
    rows, columns = pixels.shape[0] // WINDOW, pixels.shape[1] // WINDOW
    parts = pixels.reshape(rows, WINDOW, columns, WINDOW, 3).transpose(0, 2, 4, 1, 3)
    return parts.reshape(rows * columns, 3, WINDOW * WINDOW)
