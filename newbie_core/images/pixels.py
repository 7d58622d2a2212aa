"""Pixels: their digest, decoding bytes we do not trust, and whether a picture is there.

The pixel digest is the sha256 of one header line and the raw bytes::

    newbie-pixels 1 RGB 1024 1536\\n      format, its version, Pillow's mode, width, height
    <R G B of row 0, left to right> <row 1> …

so two files have equal digests when their pixels are equal, whatever wrote the files.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import TYPE_CHECKING

from newbie_core.images.chunks import is_png
from newbie_core.images.errors import ImageError
from newbie_core.images.strict import check_png

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP")
"""The decoders we let untrusted bytes reach; EPS, for one, would start Ghostscript."""

MAX_PIXELS = 64_000_000
"""8000 x 8000: 192 MB as RGB. The engines make at most 4 megapixels."""

MIN_DEVIATION = 1.0
"""In levels of 0-255: a channel below this shows nothing a person can see."""


def pixel_digest(image: Image) -> str:
    """sha256 over mode, size and raw bytes, in the layout above; 64 lower-case hex digits."""
    header = f"newbie-pixels 1 {image.mode} {image.width} {image.height}\n".encode("ascii")
    digest = hashlib.sha256(header)
    digest.update(image.tobytes())
    return digest.hexdigest()


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, is_known: bool = False) -> Image:
    """The picture in `data`, wholly read, in its own mode; any doubt is an `ImageError`.

    Refused: other formats than `FORMATS` by content, more than `max_pixels` pixels, several frames,
    a file cut off anywhere or with bytes after a PNG's end, wrong checksums, texts that unpack to
    megabytes (`strict`).

    Args:
        is_known: the bytes were hashed and are those we wrote, so they are not gone through twice.
    """
    if not is_known:
        if is_png(data):
            check_png(data, max_pixels=max_pixels)
        _verify(data, max_pixels)
    image = _open(data)
    try:
        image.load()
    except _FAILURES as error:
        raise ImageError(f"the picture cannot be read to its end: {_said(error)}") from error
    return image


_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged bytes; "broken PNG file" is a SyntaxError there."""


def _verify(data: bytes, max_pixels: int) -> None:
    """Refuse by header and checksums, before any pixel is unpacked."""
    image = _open(data)
    if image.width * image.height > max_pixels:
        raise ImageError(
            f"the picture claims {image.width}x{image.height} pixels, more than the {max_pixels} allowed"
        )
    try:
        frames = getattr(image, "n_frames", 1)
        image.verify()
    except _FAILURES as error:
        raise ImageError(f"the file is damaged: {_said(error)}") from error
    if frames != 1:
        raise ImageError(f"the file holds {frames} frames; a still picture is expected")


def _open(data: bytes) -> Image:
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    try:
        return pillow.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        start = data[:8].hex(" ") or "nothing"
        raise ImageError(
            f"neither PNG, JPEG nor WebP: the file of {len(data)} bytes starts with {start}"
        ) from None
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise ImageError(f"the picture is too large: {error}") from error
    except _FAILURES as error:
        raise ImageError(f"the file is damaged: {_said(error)}") from error


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def has_picture(
    image: Image, *, width: int | None = None, height: int | None = None, mode: str = "RGB"
) -> str | None:
    """Why `image` is not the picture asked for, or None when nothing speaks against it.

    Refused: another mode, another size than `width` x `height` pixels, and pictures of one colour,
    as a network that overflowed to NaN makes them: every channel's standard deviation below 1 level.
    """
    from PIL import ImageStat

    if image.mode != mode:
        return f'the picture is of mode "{image.mode}", not "{mode}"'
    if (width or image.width, height or image.height) != image.size:
        return f"the picture is {image.width}x{image.height}, not {width}x{height}"
    bands = image.split()
    if mode == "RGBA" and bands[3].getextrema() == (0, 0):
        return "the picture is wholly transparent"
    colours = bands[:3]
    if not any(ImageStat.Stat(band).stddev[0] >= MIN_DEVIATION for band in colours):
        colour = tuple(round(ImageStat.Stat(band).mean[0]) for band in colours)
        return f"the picture is one colour, {colour}: nothing was drawn, or the network overflowed"
    return None
