"""Which files an export has: the pictures under their names, and pages that list them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from newbie_core.catalogs import Channel
from newbie_core.catalogs.outlets import Format
from newbie_core.delivery.fields import Described
from newbie_core.delivery.names import Pattern, check_names, pattern_names, with_ending
from newbie_core.errors import DeliveryError
from newbie_core.images.record import Profile
from newbie_core.releases import Release, Shelf, picture_paths

LISTING = "release.json"
CONTACT_SHEET = "contact-sheet.png"
RIGHTS = "rights.json"
OWN_FILES = (LISTING, CONTACT_SHEET, RIGHTS, "datapackage.json", "pictures.csv")
"""Names no picture may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One picture file of an export; `name` is relative, with "/" between its parts."""

    name: str
    picture: Described
    channel: Channel | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        form = self.channel or self.picture.entry
        return form.width, form.height

    @property
    def format(self) -> Format:
        """The file's format."""
        return self.channel.format if self.channel else "png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file as it was written: the sha256 and the number of its bytes."""

    file: File
    sha256: str
    bytes: int


Pages = Callable[[Sequence[Written]], Iterable[tuple[str, bytes]]]
"""Further files of an export, made when its pictures are written: names and bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All files of an export, and what people and programs should know of it."""

    files: Sequence[File]
    pages: Pages
    details: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What a layout is made from: the chosen pictures of a release, and how they are wanted.

    Attributes:
        labels: expressions of the sheet → SillyTavern's labels, before the usual ones.
    """

    shelf: Shelf
    release: Release
    pictures: Sequence[Described]
    profile: Profile
    pattern: Pattern | None
    channels: Sequence[Channel]
    labels: Mapping[str, str]


def folder_layout(work: Commission) -> Layout:
    """Pictures under readable names, the contact sheet of a whole release, and a list.

    Raises:
        DeliveryError: the pattern gives names that cannot be used.
    """
    is_whole = len(work.pictures) == len(work.release.content.entries)

    def pages(written: Sequence[Written]) -> Iterator[tuple[str, bytes]]:
        if (sheet := work.release.manifest.pages.get(CONTACT_SHEET)) and is_whole:
            yield CONTACT_SHEET, work.shelf.store.get(sheet)
        yield LISTING, listing(work, written)

    return Layout(files=name_files(work), pages=pages)


def name_files(work: Commission) -> list[File]:
    """The files of the pictures, a folder a channel: names of the view, or names by the pattern.

    A pattern that names {channel} puts it where it wants; without channels pictures stay as they are.
    """
    wanted = [(picture, channel) for channel in (work.channels or (None,)) for picture in work.pictures]
    if work.pattern is None:
        paths = picture_paths(entry.id for entry in work.release.content.entries)
        names = [
            f"{channel.name if channel else 'pictures'}/"
            + with_ending(paths[picture.entry.id], channel.format if channel else "png")
            for picture, channel in wanted
        ]
    else:
        names = _names_by(work.pattern, wanted)
        check(work, names, [picture for picture, _ in wanted])
    return [
        File(name=name, picture=picture, channel=channel)
        for name, (picture, channel) in zip(names, wanted, strict=True)
    ]


def _names_by(pattern: Pattern, wanted: Sequence[tuple[Described, Channel | None]]) -> list[str]:
    fields = [
        {**picture.fields, "channel": channel.name} if channel else picture.fields
        for picture, channel in wanted
    ]
    formats = [channel.format if channel else "png" for _, channel in wanted]
    names = pattern_names(pattern, fields, formats)
    if "channel" in pattern.fields:
        return names
    return [
        f"{channel.name}/{name}" if channel else name
        for name, (_, channel) in zip(names, wanted, strict=True)
    ]


def check(work: Commission, names: Sequence[str], pictures: Sequence[Described]) -> None:
    """Refuse names that are unsafe, that fall together, or that the export's own pages have.

    Raises:
        DeliveryError: naming each of them.
    """
    where = f"{work.release.content.set} {work.release.ref.name}"
    check_names(names, [picture.entry.id for picture in pictures], where=where, taken=OWN_FILES)


def only_channel(work: Commission, kind: str) -> Channel | None:
    """The one channel of a format that has one form a picture and names of its own.

    Raises:
        DeliveryError: there are more, or a pattern.
    """
    if work.pattern is not None:
        raise DeliveryError(
            f"--pattern: {kind} names its files itself; leave it out", code="E_EXPORT_PATTERN"
        )
    if len(work.channels) > 1:
        names = ", ".join(channel.name for channel in work.channels)
        raise DeliveryError(
            f"--channel: {kind} takes one form of each picture, not {names}; name one",
            code="E_EXPORT_CHANNEL",
        )
    return next(iter(work.channels), None)


def listing(work: Commission, written: Sequence[Written]) -> bytes:
    """The list of an export as JSON; a public one tells no key, seed or prompt."""
    value = {
        "set": work.release.content.set,
        "title": work.release.content.title,
        "release": work.release.ref.name,
        "digest": work.release.ref.digest,
        "pictures": [_row(each, work.profile) for each in written],
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def _row(written: Written, profile: Profile) -> dict[str, object]:
    file, entry = written.file, written.file.picture.entry
    width, height = file.size
    row: dict[str, object] = {"id": entry.id, "file": file.name, "width": width, "height": height}
    row |= {"channel": file.channel.name} if file.channel else {"pixels": entry.pixels}
    if profile == "private":
        row |= {"key": entry.key, "seed": entry.seed, "sha256": written.sha256}
    return row
