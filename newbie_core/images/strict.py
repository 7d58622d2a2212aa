"""What Pillow forgives in a PNG and we do not.

Pillow loads, without a word, a PNG that has no IEND chunk, bytes after it, or fewer rows than its
header says (the rest is black). `check_png` finds all three, and unpacks nothing larger than it has to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from newbie_core.images.chunks import TEXT_TYPES, read_chunks, read_text
from newbie_core.images.errors import ImageError

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type → samples a pixel (PNG 11.2.1)."""

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes of an interlaced PNG: first column, first row, column step, row step (PNG 8.2)."""

PIECE = 16 * 1024
"""Bytes unpacked at a time: deflate makes at most 1032 of one, so a piece needs at most 17 MB."""


def check_png(data: bytes, *, max_pixels: int) -> None:
    """Raise `ImageError` unless `data` is a whole PNG with all its rows and no bomb in it."""
    header: bytes = b""
    pixels: list[memoryview] = []
    has_text = False
    for chunk in read_chunks(data):
        if not header and chunk.type != b"IHDR":
            raise ImageError("the PNG does not start with an IHDR chunk")
        if chunk.type == b"IHDR":
            header = bytes(chunk.data)
        elif chunk.type == b"IDAT":
            pixels.append(chunk.data)
        has_text = has_text or chunk.type in TEXT_TYPES
    if has_text:
        read_text(data)
    _check_rows(pixels, _stream_length(header, max_pixels))


def _stream_length(header: bytes, max_pixels: int) -> int:
    """How many bytes the rows and their filter numbers have, unpacked."""
    if len(header) != 13:
        raise ImageError(f"the PNG's IHDR chunk has {len(header)} bytes, not 13")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if colour not in SAMPLES or depth not in (1, 2, 4, 8, 16):
        raise ImageError(f"PNG colour type {colour} with {depth} bits does not exist")
    if width * height > max_pixels:
        raise ImageError(f"the picture claims {width}x{height} pixels, more than the {max_pixels} allowed")
    return sum(
        rows * (1 + (columns * SAMPLES[colour] * depth + 7) // 8)
        for columns, rows in _passes(width, height, interlace)
    )


def _passes(width: int, height: int, interlace: int) -> Iterator[tuple[int, int]]:
    """Columns and rows of each pass that has any."""
    if not interlace:
        yield width, height
        return
    for left, top, across, down in ADAM7:
        columns, rows = (width - left + across - 1) // across, (height - top + down - 1) // down
        if columns > 0 and rows > 0:
            yield columns, rows


def _check_rows(pixels: list[memoryview], expected: int) -> None:
    """Refuse an IDAT stream that unpacks to another length than `expected` bytes, or does not end."""
    from zlib_ng import zlib_ng

    unpacker, found = zlib_ng.decompressobj(), 0
    try:
        for part in pixels:
            for at in range(0, len(part), PIECE):
                found += len(unpacker.decompress(part[at : at + PIECE]))
                if found > expected:
                    raise ImageError(
                        f"the PNG's rows unpack to more than the {expected} bytes its header asks for"
                    )
    except zlib_ng.error as error:  # type: ignore[misc]  # its stub calls the class an instance
        raise ImageError(f"the PNG's rows cannot be unpacked: {error}") from None
    if found < expected or not unpacker.eof:
        raise ImageError(f"the PNG's rows unpack to {found} of {expected} bytes; the picture is not whole")
