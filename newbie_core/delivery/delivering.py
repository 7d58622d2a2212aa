"""Carry out an export: choose pictures, name them, write them into a new place, and say what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

from newbie_core.delivery.fields import describe
from newbie_core.delivery.layouts import File, Layout, Written, folder_layout
from newbie_core.delivery.names import Pattern
from newbie_core.delivery.places import new_place, refuse_existing
from newbie_core.digests import digest_bytes
from newbie_core.errors import ReleaseError
from newbie_core.images import public_texts, retag
from newbie_core.images.record import Profile
from newbie_core.releases import Entry, Release, ReleaseRef, Shelf

Kind = Literal["folder", "zip"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be delivered, and how.

    Attributes:
        to: a place that does not exist yet.
        kind: None takes a zip file for a name that ends so, else a folder.
        only: globs on picture ids; none takes all.
        pattern: names of the files; None keeps the names of a version's view.
    """

    to: Path
    kind: Kind | None = None
    profile: Profile = "private"
    only: tuple[str, ...] = ()
    pattern: Pattern | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What was delivered: how many pictures, in how many files, and what people should know of it."""

    pictures: int
    files: int
    details: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()


def deliver(shelf: Shelf, ref: ReleaseRef, order: Order) -> Delivered:
    """Copy a release out.

    Raises:
        ReleaseError: the place exists already, or nothing matches `only`.
        DeliveryError: names that cannot be given.
        DamageError: a picture is damaged; nothing is left behind.
        StoreError: the place cannot be written.
    """
    refuse_existing(order.to)
    release = shelf.read(ref)
    pictures = describe(shelf, release, _chosen(release, order.only))
    layout = folder_layout(shelf, release, pictures, profile=order.profile, pattern=order.pattern)
    _write(shelf, layout, order)
    return Delivered(
        pictures=len({file.picture.entry.id for file in layout.files}),
        files=len(layout.files),
        details=layout.details,
        notes=layout.notes,
    )


def _chosen(release: Release, only: Sequence[str]) -> list[Entry]:
    entries = release.content.entries
    chosen = [entry for entry in entries if not only or any(fnmatchcase(entry.id, glob) for glob in only)]
    if not chosen:
        raise ReleaseError(
            f"no picture of {release.ref.name} matches {', '.join(only) or 'anything'}",
            code="E_EXPORT_EMPTY",
        )
    return chosen


def _write(shelf: Shelf, layout: Layout, order: Order) -> None:
    packed = order.kind == "zip" or (order.kind != "folder" and order.to.suffix.lower() == ".zip")
    with new_place(order.to, packed=packed) as place:
        written = []
        for file in layout.files:
            data = _bytes_of(shelf, file, order.profile)
            place.write(file.name, data)
            written.append(Written(file=file, sha256=digest_bytes(data), bytes=len(data)))
        for name, data in layout.pages(written):
            place.write(name, data)


def _bytes_of(shelf: Shelf, file: File, profile: Profile) -> bytes:
    data = shelf.store.get(file.picture.entry.object)
    return data if profile == "private" else retag(data, public_texts(data))
