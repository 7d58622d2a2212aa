"""A picture in the form of a channel: scaled, cut, put on its background, in another format."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from newbie_core.catalogs import BUILT_IN, Channel
from newbie_core.errors import DeliveryError
from newbie_core.images import decode, encode_as
from newbie_core.spelling import nearest

if TYPE_CHECKING:
    from PIL.Image import Image

HEAD_TOP, HEAD_HEIGHT = 0.03, 0.62
"""Where the head is in a picture of an upper body: shares of the picture's height from its top."""

WHITE = "#ffffff"

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the picture."""


def find_channels(names: Sequence[str], own: Mapping[str, Channel]) -> tuple[Channel, ...]:
    """The channels of these names, the set's own before the built-in ones, each once.

    Raises:
        DeliveryError: a name that is none, with the nearest one.
    """
    known = {**BUILT_IN, **own}
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f'did you mean "{near}"?' if near else f"there are {', '.join(sorted(known))}"
            raise DeliveryError(
                f'--channel "{name}": is no channel; {hint} [channels.{name}] in catalog.toml makes one',
                code="E_EXPORT_CHANNEL",
            )
    return tuple(known[name] for name in dict.fromkeys(names))


def in_channel(data: bytes, channel: Channel, *, text: Mapping[str, str]) -> bytes:
    """The picture file `data` in the form of the channel, with `text` in it.

    Raises:
        ImageError: the picture is damaged, or a text does not fit.
    """
    image = fitted(in_srgb(decode(data)), channel)
    return encode_as(image, channel.format, text=text, quality=channel.quality)


def in_srgb(image: Image) -> Image:
    """The picture as "RGB" or "RGBA" in sRGB; a colour profile that cannot be used counts as sRGB."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    plain = image.convert("RGBA" if has_alpha else "RGB")
    if not profile or image.mode not in ("RGB", "RGBA"):
        return plain
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        turned = ImageCms.profileToProfile(
            plain.convert("RGB"), source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return plain
    if turned is None:
        return plain
    if has_alpha:
        turned.putalpha(plain.getchannel("A"))
    return turned


def fitted(image: Image, channel: Channel) -> Image:
    """The picture at the channel's size; transparent only where the channel's format can be."""
    from PIL import Image as pillow

    target = (channel.width, channel.height)
    if channel.crop in ("head", "cover"):
        box = head_box(image.size, target) if channel.crop == "head" else cover_box(image.size, target)
        scaled = image.resize(target, pillow.Resampling.LANCZOS, box=box)
        return _on_background(scaled, channel)
    if channel.crop == "contain":
        scale = min(target[0] / image.width, target[1] / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, pillow.Resampling.LANCZOS)
    sheet = pillow.new("RGBA", target)
    sheet.paste(image.convert("RGBA"), ((target[0] - image.width) // 2, (target[1] - image.height) // 2))
    return _on_background(sheet, channel)


def cover_box(size: tuple[int, int], target: tuple[int, int]) -> Box:
    """The largest part of the target's shape, from the picture's middle."""
    scale = min(size[0] / target[0], size[1] / target[1])
    width, height = target[0] * scale, target[1] * scale
    return _inside(size, (size[0] - width) / 2, (size[1] - height) / 2, width, height)


def head_box(size: tuple[int, int], target: tuple[int, int]) -> Box:
    """A part of the target's shape around where the head is: in the middle, just below the top."""
    height = min(size[1] * HEAD_HEIGHT, size[0] * target[1] / target[0])
    width = height * target[0] / target[1]
    return _inside(size, (size[0] - width) / 2, size[1] * HEAD_TOP, width, height)


def _inside(size: tuple[int, int], left: float, top: float, width: float, height: float) -> Box:
    """The box as far as it lies in the picture: rounding may put it a hair outside."""
    return max(0.0, left), max(0.0, top), min(size[0], left + width), min(size[1], top + height)


def _on_background(image: Image, channel: Channel) -> Image:
    """Transparent pixels on the channel's background, where it has one or the format needs one."""
    from PIL import Image as pillow

    if image.mode != "RGBA":
        return image
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    background = channel.background or (WHITE if channel.format == "jpeg" else None)
    if background is None:
        return image
    sheet = pillow.new("RGBA", image.size, background)
    sheet.alpha_composite(image)
    return sheet.convert("RGB")
