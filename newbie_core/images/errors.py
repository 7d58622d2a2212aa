"""What can be wrong with an image file."""

from __future__ import annotations

from newbie_core.errors import InputError


class ImageError(InputError):
    """Bytes that are not a whole, harmless picture of a kind we read, or cannot be written as one."""

    code = "E_IMAGE"
