"""Thumbnails and prompts of pictures, made once and kept in the store's droppable caches.

One costs about 5 ms of one core for a picture of 512x768, four of them to unpack the PNG: it is reduced by a
whole number, and written as JPEG, which takes a tenth of WebP's time. Pillow lets other threads run meanwhile,
so all cores work. A set's pack is sixteen memos, `memo/page/<set>/<first digit of the objects' digests>`, each::

    [["9b…", 4120, 1024, 1536, "<image>…"], …]     digest, bytes of the file, width, height, prompt
    <the files, one after the other: JPEG, or WebP where a picture is transparent>

It holds what the last page of the set showed, so it grows no larger than that.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from newbie_core.errors import NewbieError
from newbie_core.images import decode, read_record
from newbie_core.store import Store, safe_name

if TYPE_CHECKING:
    from PIL.Image import Image

THUMB_WIDTH, THUMB_HEIGHT = 176, 264
"""Pixels a picture is made to fit, about: between 0.74 and 1.75 times as large."""
_ROUND_UP = 0.35
"""The scale's fraction from which on the picture is rather too small than too large for its place."""
_JPEG_START = b"\xff\xd8"
_JPEG_QUALITY, _WEBP_QUALITY = 82, 76
_FORM = "2"
"""Goes up when thumbnails are made in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """What a page needs of one picture file; `width` and `height` are the thumbnail's."""

    data: bytes
    width: int
    height: int
    prompt: str

    @property
    def suffix(self) -> str:
        """What its file's name ends with."""
        return "jpg" if self.data.startswith(_JPEG_START) else "webp"


@dataclass(slots=True, kw_only=True)
class Thumbnails:
    """The thumbnails by their originals' digests.

    Attributes:
        problems: why a picture has none, by digest; the others are there.
        made: how many were made anew.
    """

    found: dict[str, Thumbnail] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    made: int = 0


def thumbnails_of(
    store: Store, set_name: str, digests: Iterable[str], *, progress: Callable[[int], None] = lambda _: None
) -> Thumbnails:
    """The thumbnails of these objects: from the cache, else made in as many threads as there are cores."""
    wanted = dict.fromkeys(digests)
    found = Thumbnails()
    packs = {digit: _load(store, set_name, digit) for digit in sorted({digest[0] for digest in wanted})}
    missing = []
    for digest in wanted:
        known = packs[digest[0]].get(digest)
        if known is None:
            missing.append(digest)
        else:
            found.found[digest] = known
            progress(len(wanted))
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="thumbnail")
    try:
        for digest, made in zip(missing, pool.map(lambda one: _made(store, one), missing), strict=True):
            if isinstance(made, Thumbnail):
                found.found[digest] = made
                found.made += 1
            else:
                found.problems[digest] = str(made)
            progress(len(wanted))
    finally:
        pool.shutdown(cancel_futures=True)
    for digit in {digest[0] for digest in missing if digest in found.found}:
        kept = {digest: one for digest, one in found.found.items() if digest[0] == digit}
        store.memo_save(_name(set_name, digit), encode_pack(kept))
    return found


def make_thumbnail(data: bytes) -> Thumbnail:
    """The thumbnail of an object's bytes, transparent where it is; the store hashed them.

    Raises:
        ImageError: they are no picture.
    """
    record = read_record(data) or {}
    image: Image = decode(data, is_known=True)
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    scale = max(image.width / THUMB_WIDTH, image.height / THUMB_HEIGHT)
    if (factor := int(scale + _ROUND_UP)) > 1:
        image = image.reduce(factor)
    out = io.BytesIO()
    if image.mode == "RGB":
        image.save(out, "JPEG", quality=_JPEG_QUALITY)
    else:
        image.save(out, "WEBP", quality=_WEBP_QUALITY, method=0)
    return Thumbnail(
        data=out.getvalue(), width=image.width, height=image.height, prompt=str(record.get("prompt", ""))
    )


def encode_pack(thumbnails: Mapping[str, Thumbnail]) -> bytes:
    """The bytes of a pack, in the layout above."""
    index = [[key, len(one.data), one.width, one.height, one.prompt] for key, one in thumbnails.items()]
    return b"".join([orjson.dumps(index), b"\n", *(one.data for one in thumbnails.values())])


def decode_pack(pack: bytes) -> dict[str, Thumbnail]:
    """The thumbnails that `encode_pack` wrote."""
    head, _, rest = pack.partition(b"\n")
    found, at = {}, 0
    for digest, size, width, height, prompt in orjson.loads(head):
        found[digest] = Thumbnail(data=rest[at : at + size], width=width, height=height, prompt=prompt)
        at += size
    return found


def _load(store: Store, set_name: str, digit: str) -> dict[str, Thumbnail]:
    pack = store.memo_load(_name(set_name, digit))
    return decode_pack(pack) if pack else {}


def _name(set_name: str, digit: str) -> str:
    return f"page/{safe_name(set_name)}/{_FORM}{digit}"


def _made(store: Store, digest: str) -> Thumbnail | NewbieError:
    """The thumbnail of one object, or why there is none: that spoils one picture, not the page."""
    try:
        return make_thumbnail(store.get(digest))
    except NewbieError as error:
        return error
