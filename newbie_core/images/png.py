"""Write PNG files: numpy row filters and zlib-ng, an order of magnitude faster than Pillow's default.

Any choice of row filter and deflate settings gives the same pixels; only time and size differ.
Three plans cover what is made here (`_best_plan` picks by a sample of rows, benchmarks/png.py
measures). Flat drawings repeat the row above: its difference is nearly all zeros, and a quick search
for matches packs them. Smooth pictures repay a longer search. Noisy ones are predicted from their
neighbours and only Huffman coded, because the few matches in noise cost more bits than they save.

The bytes are the same for the same pixels on one machine. They may differ between zlib-ng versions
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

Filter = Literal[2, 3]
UP: Filter = 2
AVERAGE: Filter = 3
"""The filter types by their numbers in the file (PNG 9.2).

Sub is never the smallest of them in benchmarks/png.py; Paeth takes 25 ms in numpy.
"""

Strategy = Literal[0, 2]
SEARCH: Strategy = 0
HUFFMAN_ONLY: Strategy = 2
"""zlib's strategies by their numbers: look for matches, or for none at all."""

NO_TEXT: Mapping[str, str] = MappingProxyType({})

COLOUR_TYPES = {"L": (0, 1), "RGB": (2, 3), "RGBA": (6, 4)}
"""Pillow mode → (PNG colour type, bytes a pixel)."""

BLOCK_BYTES = 192 * 1024
"""Rows are filtered and deflated in blocks of about this size, which stay in the L2 cache."""

SMALL_BYTES = 32 * 1024
"""For less than so many bytes of pixels, choosing a plan costs more than it saves."""

SAMPLE_BANDS = 3
SAMPLE_ROWS = 24
"""The sample: so many bands of so many neighbouring rows; a 32 kB window sees about 10 rows at 1024 px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How to deflate one picture: its row filter, zlib-ng's level and strategy."""

    filter: Filter
    level: int
    strategy: Strategy = SEARCH


FLAT_PLAN = _Plan(filter=UP, level=2)
SMOOTH_PLAN = _Plan(filter=UP, level=3)
NOISY_PLAN = _Plan(filter=AVERAGE, level=1, strategy=HUFFMAN_ONLY)

FLAT_SHARE = 0.7
"""A picture with so many bytes equal to the one above is flat; drawings have 0.77 to 0.99, others up to 0.5."""


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
    """The plan for what a sample of `rows` shows; of the slower two the one that packs it smaller."""
    if rows.size < SMALL_BYTES:
        return SMOOTH_PLAN
    bands = _sample_bands(len(rows))
    if _is_flat([rows[band] for band in bands]):
        return FLAT_PLAN
    smooth, noisy = (len(_deflated(rows, bands, pixel_bytes, plan)) for plan in (SMOOTH_PLAN, NOISY_PLAN))
    return SMOOTH_PLAN if smooth < noisy else NOISY_PLAN


def _is_flat(bands: Sequence[Bytes]) -> bool:
    """Whether most bytes repeat the one above; a single row counts as flat."""
    import numpy as np

    equal = sum(int(np.count_nonzero(band[1:] == band[:-1])) for band in bands)
    return equal >= FLAT_SHARE * sum(band[1:].size for band in bands)


def _sample_bands(height: int) -> list[slice]:
    """Bands of neighbouring rows spread evenly over the height, or the middle third of a low picture."""
    if height <= 2 * SAMPLE_BANDS * SAMPLE_ROWS:
        return [slice(height // 3, height - height // 3)]
    step = height // SAMPLE_BANDS
    first = (step - SAMPLE_ROWS) // 2
    return [slice(top, top + SAMPLE_ROWS) for top in range(first, height - SAMPLE_ROWS, step)]


def _deflated(rows: Bytes, bands: Sequence[slice], pixel_bytes: int, plan: _Plan) -> bytes:
    """The zlib stream of the bands of `rows`, filtered block by block in one small buffer."""
    import numpy as np
    from zlib_ng import zlib_ng

    stride = rows.shape[1]
    step = max(1, min(BLOCK_BYTES // stride, max(band.stop - band.start for band in bands)))
    buffer = np.empty((step, stride + 1), np.uint8)
    buffer[:, 0] = plan.filter
    packer = zlib_ng.compressobj(plan.level, strategy=plan.strategy)
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

    here, above = rows[block], _above(rows, block)
    predicted = above if kind == UP else _mean(_left(here, pixel_bytes), above)
    np.subtract(here, predicted, out=out)


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
