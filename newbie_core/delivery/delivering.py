"""Carry out an export: choose pictures, name them, write them into a new place, and say what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from newbie_core.catalogs import Channel
from newbie_core.delivery.channels import in_channel
from newbie_core.delivery.datapackage import package_layout
from newbie_core.delivery.fields import describe
from newbie_core.delivery.layouts import RIGHTS, Commission, File, Layout, Written, folder_layout
from newbie_core.delivery.names import Pattern
from newbie_core.delivery.places import new_place, refuse_existing
from newbie_core.delivery.renpy import renpy_layout
from newbie_core.delivery.rights import licences_behind, require_commercial, rights_page
from newbie_core.delivery.signing import Signer, make_manifest
from newbie_core.delivery.sillytavern import sillytavern_layout
from newbie_core.digests import digest_bytes
from newbie_core.errors import DeliveryError, ReleaseError
from newbie_core.images import public_texts, read_record, read_texts, retag
from newbie_core.images.record import Profile
from newbie_core.releases import Entry, Release, ReleaseRef, Shelf
from newbie_core.rights import Statement

Kind = Literal["folder", "zip", "renpy", "sillytavern", "datapackage"]

_LAYOUTS: Mapping[Kind | None, Callable[[Commission], Layout]] = {
    None: folder_layout,
    "folder": folder_layout,
    "zip": folder_layout,
    "renpy": renpy_layout,
    "sillytavern": sillytavern_layout,
    "datapackage": package_layout,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be delivered, and how.

    Attributes:
        to: a place that does not exist yet.
        kind: None takes a zip file for a name that ends so, else a folder.
        only: globs on picture ids; none takes all.
        pattern: names of the files; None keeps the names of a version's view.
        channels: the forms of each picture; none leaves it as it is.
        labels: expressions of the sheet → SillyTavern's labels, before the usual ones.
        statements: what people state of licences, before what the release tells.
        is_commercial: refuse pictures that are not cleared for commercial use.
        signer: signs each picture's file, last of all.
    """

    to: Path
    kind: Kind | None = None
    profile: Profile = "private"
    only: tuple[str, ...] = ()
    pattern: Pattern | None = None
    channels: tuple[Channel, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    statements: tuple[Statement, ...] = ()
    is_commercial: bool = False
    signer: Signer | None = None


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
        DeliveryError: names that cannot be given, pictures that are not cleared or cannot be signed.
        DamageError: a picture is damaged; nothing is left behind.
        StoreError: the place cannot be written.
    """
    refuse_existing(order.to)
    release = shelf.read(ref)
    entries = _chosen(release, order.only)
    licences = licences_behind(shelf, release, entries, order.statements)
    if order.is_commercial:
        require_commercial(release, entries, licences)
    layout = _LAYOUTS[order.kind](
        Commission(
            shelf=shelf,
            release=release,
            pictures=describe(shelf, release, entries),
            profile=order.profile,
            pattern=order.pattern,
            channels=order.channels,
            labels=order.labels,
        )
    )
    _write(shelf, release, layout, order, rights_page(entries, release, licences, order.profile))
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


def _write(shelf: Shelf, release: Release, layout: Layout, order: Order, rights: bytes) -> None:
    packed = order.kind == "zip" or (order.kind != "folder" and order.to.suffix.lower() == ".zip")
    title = release.content.title or release.content.set
    with new_place(order.to, packed=packed) as place:
        written = []
        for file in layout.files:
            original = shelf.store.get(file.picture.entry.object)
            data = _bytes_of(original, file, order.profile)
            if order.signer is not None:
                data = _signed(data, original, file, title, order.signer, order.profile)
            place.write(file.name, data)
            written.append(Written(file=file, sha256=digest_bytes(data), bytes=len(data)))
        for name, data in layout.pages(written):
            place.write(name, data)
        place.write(RIGHTS, rights)


def _bytes_of(original: bytes, file: File, profile: Profile) -> bytes:
    if file.channel is not None:
        text = read_texts(original) if profile == "private" else public_texts(original)
        return in_channel(original, file.channel, text=text)
    return original if profile == "private" else retag(original, public_texts(original))


def _signed(data: bytes, original: bytes, file: File, title: str, signer: Signer, profile: Profile) -> bytes:
    picture = file.picture.entry.id
    record = read_record(original)
    if record is None:
        raise DeliveryError(
            f'picture "{picture}" carries no record of this production line, so nothing says how it was made; '
            "leave it out with --only, or leave out --sign",
            code="E_SIGN_FAILED",
        )
    manifest = make_manifest(record, title=f"{title}: {picture}", profile=profile)
    try:
        return signer.sign(data, file.format, manifest)
    except DeliveryError as error:
        raise DeliveryError(f'picture "{picture}": {error}', code=error.code) from None
