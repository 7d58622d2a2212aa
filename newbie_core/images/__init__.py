"""One image file, and the record it carries inside.

Importing this costs no Pillow, numpy or zlib-ng: each function asks for them when it is called.
"""

from __future__ import annotations

from newbie_core.images.chunks import retag
from newbie_core.images.errors import ImageError
from newbie_core.images.formats import encode_as, read_texts
from newbie_core.images.infotext import infotext, parse_infotext
from newbie_core.images.pixels import decode, has_picture, pixel_digest
from newbie_core.images.png import encode_png
from newbie_core.images.record import (
    DRAWN,
    TRAINED,
    PictureRecord,
    embed,
    public_texts,
    read_record,
    software,
)

__all__ = [
    "DRAWN",
    "TRAINED",
    "ImageError",
    "PictureRecord",
    "decode",
    "embed",
    "encode_as",
    "encode_png",
    "has_picture",
    "infotext",
    "parse_infotext",
    "pixel_digest",
    "public_texts",
    "read_record",
    "read_texts",
    "retag",
    "software",
]
