"""Where an image set goes and what may be done with it: `[channels]`, `[sillytavern]` and `[rights]`.

::

    [channels.avatar]
    size = "256x256"
    crop = "head"                                 # head, center, cover or contain
    format = "webp"                               # png, webp or jpeg
    quality = 90

    [sillytavern]
    smug = "pride"                                # expression of the sheet = one of the 28 labels

    [rights."transformer/*"]                      # a part/name, with * and ?, or a sha256
    licence = "LicenseRef-Studio-2026"
    commercial = "yes"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, get_args

from newbie_core.rights import COMMERCIAL, Commercial, Statement
from newbie_core.spelling import nearest

Crop = Literal["head", "center", "cover", "contain"]
Format = Literal["png", "webp", "jpeg"]
LARGEST_SIDE = 8192

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SIZE = re.compile(r"(\d{1,5})\s*[x×X*]\s*(\d{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A form in which pictures are delivered: size in pixels, what is cut off, file format.

    Attributes:
        crop: `head` takes the upper middle, `center` the middle without scaling, `cover` the most that fills
            the size, `contain` everything, with `background` around it.
        quality: 1 to 100, of WebP and JPEG; WebP at 100 loses nothing.
        background: "#rrggbb"; None is transparent, and white where the format has no transparency.
    """

    name: str
    width: int
    height: int
    crop: Crop = "cover"
    format: Format = "png"
    quality: int = 90
    background: str | None = None


BUILT_IN: Mapping[str, Channel] = {
    channel.name: channel
    for channel in (
        Channel(name="avatar", width=256, height=256, crop="head", format="webp"),
        Channel(name="poster", width=1080, height=1620, crop="cover", format="jpeg", quality=92),
        Channel(name="merch", width=2048, height=2048, crop="contain", format="png"),
    )
}
"""Channels every set has; one of the same name in catalog.toml takes its place."""

LABELS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "neutral", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise",
)  # fmt: skip
"""The 28 labels of GoEmotions (Demszky et al. 2020), by which SillyTavern names expressions."""


class TomlReader(Protocol):
    """Takes values out of a TOML table, gathering what is wrong with it."""

    def fault(self, code: str, key: str, message: str, fix: str = "") -> None:
        """Note a fault at a key."""

    def known(self, table: Mapping[str, Any], names: tuple[str, ...], prefix: str = "") -> None:
        """Note keys that are none of `names`."""

    def table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """The table below `key`."""

    def text(self, table: Mapping[str, Any], key: str, default: str, prefix: str = "") -> str:
        """The text at `key`."""

    def whole(
        self, table: Mapping[str, Any], key: str, default: int, low: int, high: int, prefix: str = ""
    ) -> int:
        """The whole number at `key`."""


def read_channels(reader: TomlReader, table: Mapping[str, Any]) -> dict[str, Channel]:
    """`[channels.NAME]`, by name."""
    found = {}
    for name, value in reader.table(table, "channels").items():
        if not isinstance(value, Mapping):
            reader.fault(
                "E_TOML_VALUE", f"channels.{name}", f"{value!r} is no table", f"write [channels.{name}]"
            )
        elif not _NAME.fullmatch(name):
            fix = "use a-z, 0-9, - and _: it names a folder"
            reader.fault("E_TOML_VALUE", f"channels.{name}", "cannot name a channel", fix)
        else:
            found[name] = _read_channel(reader, name, value)
    return found


def _read_channel(reader: TomlReader, name: str, table: Mapping[str, Any]) -> Channel:
    prefix = f"channels.{name}."
    usual = BUILT_IN.get(name, Channel(name=name, width=512, height=512))
    reader.known(table, ("size", "crop", "format", "quality", "background"), prefix)
    width, height = usual.width, usual.height
    if "size" in table or name not in BUILT_IN:
        match = _SIZE.fullmatch(reader.text(table, "size", "", prefix).strip())
        width, height = (int(match[1]), int(match[2])) if match else (0, 0)
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            found = repr(table["size"]) if "size" in table else "nothing"
            fix = f'write size = "256x256"; sides go to {LARGEST_SIDE}'
            reader.fault("E_TOML_VALUE", f"{prefix}size", f"{found} is not a size", fix)
            width, height = usual.width, usual.height
    background = reader.text(table, "background", "", prefix)
    if background and not _COLOUR.fullmatch(background):
        fix = 'write background = "#ffffff"'
        reader.fault("E_TOML_VALUE", f"{prefix}background", f'"{background}" is not a colour', fix)
    return Channel(
        name=name,
        width=width,
        height=height,
        crop=cast(Crop, _choice(reader, table, "crop", usual.crop, get_args(Crop), prefix)),
        format=cast(Format, _choice(reader, table, "format", usual.format, get_args(Format), prefix)),
        quality=reader.whole(table, "quality", usual.quality, 1, 100, prefix),
        background=background or usual.background,
    )


def _choice(
    reader: TomlReader, table: Mapping[str, Any], key: str, usual: str, known: tuple[str, ...], prefix: str
) -> str:
    value = reader.text(table, key, usual, prefix)
    if value in known:
        return value
    near = nearest(value, known)
    fix = f'did you mean "{near}"?' if near else f"write one of {', '.join(known)}"
    reader.fault("E_TOML_VALUE", prefix + key, f'"{value}" is not known', fix)
    return usual


def read_labels(reader: TomlReader, table: Mapping[str, Any]) -> dict[str, str]:
    """`[sillytavern]`: expressions of the sheet and their labels; an empty label leaves one out."""
    found = {}
    given = reader.table(table, "sillytavern")
    for name in given:
        label = reader.text(given, name, "", "sillytavern.")
        if label and label not in LABELS:
            near = nearest(label, LABELS)
            fix = f'did you mean "{near}"?' if near else f"labels are {', '.join(LABELS)}"
            reader.fault("E_TOML_VALUE", f"sillytavern.{name}", f'"{label}" is not a label', fix)
        else:
            found[name] = label
    return found


def read_rights(reader: TomlReader, table: Mapping[str, Any]) -> tuple[Statement, ...]:
    """`[rights."PART/NAME"]`: what the set's owner states of weights, in the file's order."""
    found = []
    for about, value in reader.table(table, "rights").items():
        key, prefix = f"rights.{about}", f"rights.{about}."
        if not isinstance(value, Mapping):
            fix = f'write [rights."{about}"] with licence and commercial below it'
            reader.fault("E_TOML_VALUE", key, f"{value!r} is no table", fix)
            continue
        reader.known(value, ("licence", "commercial", "source"), prefix)
        licence = reader.text(value, "licence", "", prefix).strip()
        if not licence:
            fix = 'write licence = "…", an SPDX id such as "CC0-1.0" or "LicenseRef-…"'
            reader.fault("E_TOML_VALUE", f"{prefix}licence", "is not given", fix)
        commercial = _choice(reader, value, "commercial", "unknown", COMMERCIAL, prefix)
        source = reader.text(value, "source", "", prefix)
        found.append(
            Statement(about=about, licence=licence, commercial=cast(Commercial, commercial), source=source)
        )
    return tuple(found)
