"""Small pictures for cells: at most `SIDE` pixels wide and high, JPEG, about 3 kB each, remembered by their picture."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import orjson

from newbie_core.delivery.channels import in_srgb
from newbie_core.errors import DamageError, MissingError
from newbie_core.images import decode, encode_as
from newbie_core.images.errors import ImageError
from newbie_core.plans import Memo
from newbie_core.releases import Entry
from newbie_core.store import Store

SIDE = 96
_QUALITY = 80
_CHUNK = 64
_REMEMBERED = 20_000
_MEMO = f"thumbnails-{SIDE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A thumbnail: JPEG bytes, width and height in pixels."""

    data: bytes
    width: int
    height: int


def thumbnails(
    store: Store, entries: Iterable[Entry], memo: Memo | None
) -> tuple[Mapping[str, Small], Sequence[str]]:
    """Thumbnails by the digest of their picture, and notes on pictures that cannot be shown."""
    wanted = {entry.object: entry for entry in entries}
    remembered = _load(memo) if wanted else {}
    found = {digest: small for digest, small in remembered.items() if digest in wanted}
    is_new = len(found) < len(wanted)
    notes: list[str] = []
    waiting = iter([entry for digest, entry in wanted.items() if digest not in found])
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while chunk := list(islice(waiting, _CHUNK)):
            made = []
            for entry in chunk:
                try:
                    made.append((entry, pool.submit(_small, store.get(entry.object))))
                except (DamageError, MissingError) as error:
                    notes.append(f"{entry.id} is not shown: {error}; `newbie verify` says more")
            for entry, future in made:
                try:
                    found[entry.object] = future.result()
                except ImageError as error:
                    notes.append(f"{entry.id} is not shown: {error}")
    if is_new:
        _save(memo, {**remembered, **found} if len(remembered) < _REMEMBERED else found)
    return found, notes


def _small(data: bytes) -> Small:
    from PIL import Image

    image = in_srgb(decode(data))
    if image.mode == "RGBA":
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return Small(
        data=encode_as(image, "jpeg", text={}, quality=_QUALITY), width=image.width, height=image.height
    )


def _load(memo: Memo | None) -> dict[str, Small]:
    data = memo.load(_MEMO) if memo else None
    if not data:
        return {}
    return {
        digest: Small(data=base64.b64decode(text), width=width, height=height)
        for digest, (width, height, text) in orjson.loads(data).items()
    }


def _save(memo: Memo | None, found: Mapping[str, Small]) -> None:
    if memo is not None:
        rows = {
            digest: [one.width, one.height, base64.b64encode(one.data).decode()]
            for digest, one in found.items()
        }
        memo.save(_MEMO, orjson.dumps(rows))
