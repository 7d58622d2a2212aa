"""Write PNG files: numpy row filters and ISA-L deflate, an order of magnitude faster than Pillow's default.

Any choice of row filter and window gives the same pixels; only time and size differ. Which pair
suits a picture is measured on a sample of its rows (`_best_plan`). Flat drawings do best
unfiltered with the whole 32 kB window. Noisy pictures do best predicted from their neighbours
with the smallest window, because far matches in noise are a few bytes long and cost more bits
than they save: on diffusion-like pictures 512 bytes instead of 32 kB saves 8 % (benchmarks/png.py).

On flat drawings ISA-L finds longer distances than zlib does in the same runs: their files are 1.1 to
1.8 times Pillow's, which is 15 to 90 kB at 1024 x 1024. Generated pictures come out at 0.96 to 1.04.

The bytes are the same for the same pixels on one machine. They may differ between ISA-L versions
and processors, therefore identity is `pixel_digest`, never these bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from newbie_core.images.chunks import SIGNATURE, chunk_bytes, text_chunks
from newbie_core.images.errors import ImageError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from PIL.Image import Image

    Bytes: TypeAlias = NDArray[numpy.uint8]

Filter = Literal[0, 1, 2, 3]
NONE: Filter = 0
SUB: Filter = 1
UP: Filter = 2
AVERAGE: Filter = 3
"""The filter types by their numbers in the file (PNG 9.2)."""

NO_TEXT: Mapping[str, str] = MappingProxyType({})

COLOUR_TYPES = {"L": (0, 1), "RGB": (2, 3), "RGBA": (6, 4)}
"""Pillow mode → (PNG colour type, bytes a pixel)."""

LEVEL = 1
"""ISA-L's level; 2 and 3 are no smaller on filtered rows, 3 is slower on flat ones."""

BLOCK_BYTES = 192 * 1024
"""Rows are filtered and deflated in blocks of about this size, which stay in the L2 cache."""

SAMPLE_BANDS = 3
SAMPLE_ROWS = 24
"""The sample: so many bands of so many neighbouring rows; a 32 kB window sees about 10 rows at 1024 px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How to deflate one picture: its row filter and log2 of the window in bytes (9 to 15)."""

    filter: Filter
    window: int


FAR_PLANS = tuple(_Plan(filter=kind, window=15) for kind in (NONE, SUB, UP))
NEAR_PLANS = tuple(_Plan(filter=kind, window=9) for kind in (SUB, UP, AVERAGE))
"""What is tried, for flat pictures and for noisy ones.

Paeth is left out: 25 ms in numpy, and never the smallest in benchmarks/png.py.
"""

FLAT = 7
"""A sample packed to less than one part in so many is a flat drawing's: the near plans are not tried."""


def encode_png(image: Image, *, text: Mapping[str, str] = NO_TEXT) -> bytes:
    """`image` as a PNG file with `text` in it, in that order, before the pixels; no time, no other chunk.

    Args:
        image: mode "L", "RGB" or "RGBA", at least one pixel.
        text: keyword → text; see `chunks.text_chunks` for what is allowed.
    """
    if image.mode not in COLOUR_TYPES:
        raise ImageError(
            f'a picture of mode "{image.mode}" cannot be written; convert it to "RGB", "RGBA" or "L"'
        )
    if 0 in image.size:
        raise ImageError(f"a picture of {image.width}x{image.height} has no pixels to write")
    colour_type, pixel_bytes = COLOUR_TYPES[image.mode]
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, colour_type, 0, 0, 0)
    return b"".join(
        (
            SIGNATURE,
            chunk_bytes(b"IHDR", header),
            text_chunks(text),
            chunk_bytes(b"IDAT", _pixel_stream(_rows(image), pixel_bytes)),
            chunk_bytes(b"IEND", b""),
        )
    )


def _rows(image: Image) -> Bytes:
    """The picture's bytes, one row of the array a row of the picture."""
    import numpy as np

    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, -1)


def _pixel_stream(rows: Bytes, pixel_bytes: int) -> bytes:
    """The zlib stream of all `rows`, each behind its filter's number."""
    return _deflated(rows, [slice(0, len(rows))], pixel_bytes, _best_plan(rows, pixel_bytes))


def _best_plan(rows: Bytes, pixel_bytes: int) -> _Plan:
    """The plan that packs a sample of `rows` smallest; the first of equals."""
    bands = _sample_bands(len(rows))
    sizes = {plan: len(_deflated(rows, bands, pixel_bytes, plan)) for plan in FAR_PLANS}
    if FLAT * min(sizes.values()) > sum(band.stop - band.start for band in bands) * rows.shape[1]:
        sizes |= {plan: len(_deflated(rows, bands, pixel_bytes, plan)) for plan in NEAR_PLANS}
    return min(sizes, key=lambda plan: sizes[plan])


def _sample_bands(height: int) -> list[slice]:
    """Bands of neighbouring rows spread evenly over the height, or all rows of a low picture."""
    if height <= 2 * SAMPLE_BANDS * SAMPLE_ROWS:
        return [slice(0, height)]
    step = height // SAMPLE_BANDS
    first = (step - SAMPLE_ROWS) // 2
    return [slice(top, top + SAMPLE_ROWS) for top in range(first, height - SAMPLE_ROWS, step)]


def _deflated(rows: Bytes, bands: Sequence[slice], pixel_bytes: int, plan: _Plan) -> bytes:
    """The zlib stream of the bands of `rows`, filtered block by block in one small buffer."""
    import numpy as np
    from isal import isal_zlib

    stride = rows.shape[1]
    step = max(1, min(BLOCK_BYTES // stride, max(band.stop - band.start for band in bands)))
    buffer = np.empty((step, stride + 1), np.uint8)
    buffer[:, 0] = plan.filter
    packer = isal_zlib.compressobj(LEVEL, wbits=plan.window)
    packed: list[bytes] = []
    for band in bands:
        for top in range(band.start, band.stop, step):
            block = slice(top, min(top + step, band.stop))
            filtered = buffer[: block.stop - block.start]
            _filter_block(rows, block, pixel_bytes, plan.filter, filtered[:, 1:])
            packed.append(packer.compress(filtered.data))
    return b"".join((*packed, packer.flush()))


def _filter_block(rows: Bytes, block: slice, pixel_bytes: int, kind: Filter, out: Bytes) -> None:
    """Filter neighbouring rows into `out`; what lies outside the picture counts as 0 (PNG 9.2)."""
    import numpy as np

    here = rows[block]
    if kind == NONE:
        out[:] = here
    elif kind == SUB:
        np.subtract(here, _left(here, pixel_bytes), out=out)
    elif kind == UP:
        np.subtract(here, _above(rows, block), out=out)
    else:
        np.subtract(here, _mean(_left(here, pixel_bytes), _above(rows, block)), out=out)


def _left(rows: Bytes, pixel_bytes: int) -> Bytes:
    """For each byte the byte of the pixel to its left; zeros at the left edge."""
    import numpy as np

    out = np.empty_like(rows)
    out[:, :pixel_bytes] = 0
    out[:, pixel_bytes:] = rows[:, :-pixel_bytes]
    return out


def _above(rows: Bytes, block: slice) -> Bytes:
    """For each row of the block the row above it; zeros above the first."""
    import numpy as np

    if block.start > 0:
        return rows[block.start - 1 : block.stop - 1]
    return np.concatenate([np.zeros((1, rows.shape[1]), np.uint8), rows[: block.stop - 1]])


def _mean(left: Bytes, above: Bytes) -> Bytes:
    """floor((left + above) / 2) without leaving eight bits."""
    return (left & above) + ((left ^ above) >> 1)
