"""Write a picture as PNG, WebP or JPEG with our texts in the place where each format keeps them.

============ ========================= ==========================================
text         PNG                       WebP and JPEG
============ ========================= ==========================================
parameters   tEXt or iTXt              EXIF UserComment, UTF-16 as webui writes it
XMP          iTXt                      XMP chunk or segment
our record   tEXt or iTXt              not carried
============ ========================= ==========================================
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from newbie_core.images.chunks import XMP_KEYWORD, is_png, read_text
from newbie_core.images.errors import ImageError
from newbie_core.images.pixels import FORMATS
from newbie_core.images.png import encode_png
from newbie_core.images.record import INFOTEXT_KEYWORD

if TYPE_CHECKING:
    from PIL.Image import Image

_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_UNICODE = b"UNICODE\0"
_LARGEST_SEGMENT = 65_000
"""Bytes of EXIF that fit into one JPEG segment."""

_SHARP = 90
"""From this quality on colours are kept at full size."""


def encode_as(
    image: Image, kind: Literal["png", "webp", "jpeg"], *, text: Mapping[str, str], quality: int = 90
) -> bytes:
    """`image` as a file of a format, without colour profile (sRGB) and with `text` by PNG keyword.

    Args:
        image: mode "L", "RGB" or "RGBA"; JPEG takes no transparency.
        quality: 1 to 100, of WebP and JPEG; WebP at 100 loses nothing.

    Raises:
        ImageError: the mode cannot be written, or a text does not fit.
    """
    if kind == "png":
        return encode_png(image, text=text)
    if kind == "jpeg" and image.mode == "RGBA":
        raise ImageError("a JPEG has no transparency; put the picture on a background first")
    extra: dict[str, bytes] = {}
    if xmp := text.get(XMP_KEYWORD):
        extra["xmp"] = xmp.encode()
    if comment := text.get(INFOTEXT_KEYWORD):
        extra["exif"] = _exif(comment)
    out = io.BytesIO()
    if kind == "webp":
        image.save(out, "WEBP", quality=quality, lossless=quality == 100, method=4, exact=True, **extra)
    else:
        if len(extra.get("exif", b"")) > _LARGEST_SEGMENT:
            raise ImageError(
                f"a prompt of {len(comment or '')} characters does not fit into a JPEG; "
                "deliver WebP, PNG or the public profile"
            )
        image.save(
            out, "JPEG", quality=quality, subsampling=0 if quality >= _SHARP else 2, optimize=True, **extra
        )
    return out.getvalue()


def _exif(comment: str) -> bytes:
    from PIL import Image as pillow

    exif = pillow.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _UNICODE + comment.encode("utf-16-be", "replace")
    return exif.tobytes()


def read_texts(data: bytes) -> dict[str, str]:
    """The texts of a PNG, WebP or JPEG by PNG keyword: "parameters" and "XML:com.adobe.xmp", of a PNG all.

    Raises:
        ImageError: neither of these formats, or a damaged PNG.
    """
    if is_png(data):
        return read_text(data)
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    try:
        image = pillow.open(io.BytesIO(data), formats=FORMATS)
        comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
        xmp = image.info.get("xmp")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"the texts cannot be read: {error}") from None
    found = {}
    if isinstance(comment, bytes) and comment.startswith(_UNICODE):
        found[INFOTEXT_KEYWORD] = comment[len(_UNICODE) :].decode("utf-16-be", "replace")
    if isinstance(xmp, bytes):
        found[XMP_KEYWORD] = xmp.decode("utf-8", "replace")
    return found
