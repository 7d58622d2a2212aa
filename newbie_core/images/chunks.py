"""The chunks a PNG is made of: read them strictly, write them, replace the text among them.

A PNG is a signature and a row of chunks, each `length · type · data · CRC`
(W3C PNG, third edition, section 5)::

    89 50 4E 47 0D 0A 1A 0A
    0000000D IHDR …          width, height, depth, colour type
    00000A31 tEXt …          keyword NUL Latin-1 text
    000000F2 iTXt …          keyword NUL 0 0 NUL NUL UTF-8 text
    0012F3C1 IDAT …          the deflated rows
    00000000 IEND AE426082
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from newbie_core.images.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_TYPES = (b"tEXt", b"zTXt", b"iTXt")
PIXEL_TYPES = (b"IHDR", b"PLTE", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"pHYs")
"""What decides how a picture looks; `retag` keeps these and the IDATs, and nothing else."""

XMP_KEYWORD = "XML:com.adobe.xmp"
"""The XMP specification, part 3, wants this one in an iTXt chunk whatever its characters are."""

MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Bytes of text, unpacked, that one file may carry; the longest honest record is some 20 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One chunk of a PNG, its length and CRC already checked."""

    type: bytes
    data: memoryview


def is_png(data: bytes) -> bool:
    """Whether `data` starts as every PNG does."""
    return data.startswith(SIGNATURE)


def chunk_bytes(kind: bytes, data: bytes | memoryview) -> bytes:
    """One chunk as it stands in a file."""
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", _crc(kind, data))))


def read_chunks(data: bytes) -> Iterator[Chunk]:
    """Every chunk of a whole PNG in order.

    Raises `ImageError` for a wrong CRC, for a file that stops before IEND, and for bytes after it:
    Pillow lets the last two pass.
    """
    if not is_png(data):
        raise ImageError("not a PNG: the signature is missing")
    view, at, kind = memoryview(data), len(SIGNATURE), b""
    while kind != b"IEND":
        chunk, at = _read_chunk(view, at)
        kind = chunk.type
        yield chunk
    if at != len(data):
        raise ImageError(
            f"{len(data) - at} bytes after the end of the PNG (IEND); the file was tampered with or joined"
        )


def _read_chunk(view: memoryview, at: int) -> tuple[Chunk, int]:
    """The chunk at byte `at`, and where the next one starts."""
    if at + 12 > len(view):
        raise ImageError(f"PNG ends at byte {len(view)} without an IEND chunk; the file is cut off")
    length = int.from_bytes(view[at : at + 4], "big")
    kind = bytes(view[at + 4 : at + 8])
    end = at + 8 + length
    if end + 4 > len(view):
        left = len(view) - at - 12
        raise ImageError(
            f"PNG chunk {_name(kind)} at byte {at} claims {length} bytes, {left} are left; it is cut off"
        )
    body = view[at + 8 : end]
    found, expected = int.from_bytes(view[end : end + 4], "big"), _crc(kind, body)
    if found != expected:
        raise ImageError(
            f"PNG chunk {_name(kind)} at byte {at} is damaged: CRC {found:08x}, its bytes give {expected:08x}"
        )
    return Chunk(type=kind, data=body), end + 4


def text_chunks(text: Mapping[str, str]) -> bytes:
    """The chunks for `text`, in its order: tEXt where Latin-1 can say it, otherwise uncompressed iTXt."""
    return b"".join(_text_chunk(keyword, value) for keyword, value in text.items())


def _text_chunk(keyword: str, value: str) -> bytes:
    head = _keyword_bytes(keyword)
    if "\0" in value:
        raise ImageError(f'PNG text "{keyword}" holds a NUL character, which no PNG text may; remove it')
    if keyword != XMP_KEYWORD:
        try:
            return chunk_bytes(b"tEXt", head + b"\0" + value.encode("latin-1"))
        except UnicodeEncodeError:
            pass
    try:
        body = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ImageError(
            f'PNG text "{keyword}" is not Unicode text: {error.reason} at {error.start}'
        ) from None
    return chunk_bytes(b"iTXt", head + b"\0\0\0\0\0" + body)


def _keyword_bytes(keyword: str) -> bytes:
    """1 to 79 printable Latin-1 bytes, no blanks at the ends or doubled (PNG 11.3.3.2)."""
    head = keyword.encode("latin-1", "replace")
    printable = keyword.isprintable() and head.decode("latin-1") == keyword
    if not 1 <= len(head) <= 79 or not printable or "  " in keyword or keyword != keyword.strip():
        raise ImageError(
            f"{keyword!r} cannot be a PNG keyword: 1 to 79 Latin-1 characters, single blanks inside"
        )
    return head


def read_text(data: bytes) -> dict[str, str]:
    """Every text a PNG carries, by keyword; the first of two with one keyword wins.

    Raises `ImageError` when the texts unpack to more than `MAX_TEXT_BYTES` together.
    """
    found: dict[str, str] = {}
    left = MAX_TEXT_BYTES
    for chunk in read_chunks(data):
        if chunk.type in TEXT_TYPES:
            keyword, body = _unpack_text(chunk, left)
            left -= len(body)
            encoding = "utf-8" if chunk.type == b"iTXt" else "latin-1"
            found.setdefault(keyword, body.decode(encoding, "replace"))
    return found


def _unpack_text(chunk: Chunk, limit: int) -> tuple[str, bytes]:
    """Keyword and text bytes of one text chunk, at most `limit` bytes of it."""
    keyword, nul, rest = bytes(chunk.data).partition(b"\0")
    name = keyword.decode("latin-1")
    packed = chunk.type == b"zTXt"
    if not nul:
        raise ImageError(f"PNG chunk {_name(chunk.type)} has no keyword")
    if packed:
        rest = rest[1:]
    elif chunk.type == b"iTXt":
        flags, parts = rest[:2], rest[2:].split(b"\0", 2)
        if len(flags) < 2 or len(parts) < 3:
            raise ImageError(f'PNG chunk iTXt "{name}" is not complete')
        packed, rest = flags[0] == 1, parts[2]
    if packed:
        rest = _inflate(name, rest, limit)
    if len(rest) > limit:
        raise ImageError(
            f'PNG text "{name}" brings the text over {MAX_TEXT_BYTES} bytes; the file is refused'
        )
    return name, rest


def _inflate(name: str, packed: bytes, limit: int) -> bytes:
    """Unpacked text, never more than `limit` + 1 bytes of it."""
    try:
        return zlib.decompressobj().decompress(packed, limit + 1)
    except zlib.error as error:
        raise ImageError(f'PNG text "{name}" cannot be unpacked: {error}') from None


def retag(data: bytes, text: Mapping[str, str]) -> bytes:
    """The same PNG with only `text` as its text; the pixel chunks keep their bytes.

    Everything that is neither pixels nor their colour space is dropped: EXIF, times, private chunks.
    """
    head: list[bytes] = []
    pixels: list[bytes] = []
    for chunk in read_chunks(data):
        if chunk.type in PIXEL_TYPES:
            head.append(chunk_bytes(chunk.type, chunk.data))
        elif chunk.type == b"IDAT":
            pixels.append(chunk_bytes(chunk.type, chunk.data))
    return b"".join((SIGNATURE, *head, text_chunks(text), *pixels, chunk_bytes(b"IEND", b"")))


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")


def _crc(kind: bytes, data: bytes | memoryview) -> int:
    """CRC-32 of type and data; zlib-ng's, some 20 times zlib's speed."""
    from zlib_ng import zlib_ng

    return zlib_ng.crc32(data, zlib_ng.crc32(kind))
