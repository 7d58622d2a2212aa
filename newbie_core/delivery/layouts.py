"""Which files an export has: the pictures under their names, and pages that list them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from newbie_core.delivery.fields import Described
from newbie_core.delivery.names import Pattern, check_names, pattern_names
from newbie_core.images.record import Profile
from newbie_core.releases import Release, Shelf, picture_paths

LISTING = "release.json"
CONTACT_SHEET = "contact-sheet.png"
OWN_FILES = (LISTING, CONTACT_SHEET)
"""Names no picture may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One picture file of an export; `name` is relative, with "/" between its parts."""

    name: str
    picture: Described

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.picture.entry.width, self.picture.entry.height


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


def folder_layout(
    shelf: Shelf,
    release: Release,
    pictures: Sequence[Described],
    *,
    profile: Profile,
    pattern: Pattern | None,
) -> Layout:
    """Pictures under readable names, the contact sheet of a whole release, and a list.

    Raises:
        DeliveryError: the pattern gives names that cannot be used.
    """
    files = name_files(release, pictures, pattern=pattern)
    is_whole = len(pictures) == len(release.content.entries)

    def pages(written: Sequence[Written]) -> Iterator[tuple[str, bytes]]:
        if (sheet := release.manifest.pages.get(CONTACT_SHEET)) and is_whole:
            yield CONTACT_SHEET, shelf.store.get(sheet)
        yield LISTING, listing(release, written, profile=profile)

    return Layout(files=files, pages=pages)


def name_files(release: Release, pictures: Sequence[Described], *, pattern: Pattern | None) -> list[File]:
    """The files of the pictures: names of the view in `pictures/`, or names by the pattern."""
    if pattern is None:
        paths = picture_paths(entry.id for entry in release.content.entries)
        return [File(name=f"pictures/{paths[picture.entry.id]}", picture=picture) for picture in pictures]
    names = pattern_names(pattern, [picture.fields for picture in pictures], ["png"] * len(pictures))
    checked(release, names, pictures)
    return [File(name=name, picture=picture) for name, picture in zip(names, pictures, strict=True)]


def checked(release: Release, names: Sequence[str], pictures: Sequence[Described]) -> None:
    """Refuse names that are unsafe, that fall together, or that the export's own pages have.

    Raises:
        DeliveryError: naming each of them.
    """
    where = f"{release.content.set} {release.ref.name}"
    check_names(names, [picture.entry.id for picture in pictures], where=where, taken=OWN_FILES)


def listing(release: Release, written: Sequence[Written], *, profile: Profile) -> bytes:
    """The list of an export as JSON; a public one tells no key, seed or prompt."""
    value = {
        "set": release.content.set,
        "title": release.content.title,
        "release": release.ref.name,
        "digest": release.ref.digest,
        "pictures": [_row(each, profile) for each in written],
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def _row(written: Written, profile: Profile) -> dict[str, object]:
    entry = written.file.picture.entry
    width, height = written.file.size
    row: dict[str, object] = {
        "id": entry.id,
        "file": written.file.name,
        "width": width,
        "height": height,
        "pixels": entry.pixels,
    }
    if profile == "private":
        row |= {"key": entry.key, "seed": entry.seed, "sha256": written.sha256}
    return row
