"""Copy a version out: a folder or a zip, readable names, private or public pictures."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import orjson

from newbie_core.errors import ReleaseError
from newbie_core.images import public_texts, retag
from newbie_core.releases import Entry, Release, ReleaseRef, Shelf, picture_paths

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def export_release(
    shelf: Shelf, ref: ReleaseRef, to: Path, *, profile: Literal["private", "public"], only: tuple[str, ...]
) -> int:
    """Copy the release's pictures, its contact sheet and a list; how many pictures.

    Raises:
        ReleaseError: the place exists already, or nothing matches `only`.
        DamageError: a picture is damaged; nothing is left behind.
    """
    if to.exists() or to.is_symlink():
        raise ReleaseError(
            f"{to}: exists already and nothing is overwritten; name a new place", code="E_EXPORT_EXISTS"
        )
    release = shelf.read(ref)
    entries = [
        e for e in release.content.entries if not only or any(fnmatchcase(e.id, glob) for glob in only)
    ]
    if not entries:
        raise ReleaseError(
            f"no picture of {ref.name} matches {', '.join(only) or 'anything'}", code="E_EXPORT_EMPTY"
        )
    beside = to.with_name(f".{to.name}.part")
    try:
        if to.suffix.lower() == ".zip":
            _write_zip(shelf, release, entries, beside, profile)
        else:
            _write_folder(shelf, release, entries, beside, profile)
        beside.rename(to)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        beside.unlink(missing_ok=True)
    return len(entries)


def _write_folder(shelf: Shelf, release: Release, entries: list[Entry], folder: Path, profile: str) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    for name, data in _files(shelf, release, entries, profile):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _write_zip(shelf: Shelf, release: Release, entries: list[Entry], file: Path, profile: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in _files(shelf, release, entries, profile):
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), data)


def _files(shelf: Shelf, release: Release, entries: list[Entry], profile: str) -> Iterator[tuple[str, bytes]]:
    paths = picture_paths(entry.id for entry in release.content.entries)
    for entry in entries:
        data = shelf.store.get(entry.object)
        yield f"pictures/{paths[entry.id]}", data if profile == "private" else retag(data, public_texts(data))
    if (sheet := release.manifest.pages.get("contact-sheet.png")) and len(entries) == len(
        release.content.entries
    ):
        yield "contact-sheet.png", shelf.store.get(sheet)
    yield "release.json", _listing(release, entries, paths, profile)


def _listing(release: Release, entries: list[Entry], paths: dict[str, str], profile: str) -> bytes:
    pictures = []
    for entry in entries:
        row: dict[str, object] = {
            "id": entry.id,
            "file": f"pictures/{paths[entry.id]}",
            "width": entry.width,
            "height": entry.height,
            "pixels": entry.pixels,
        }
        if profile == "private":
            row |= {"key": entry.key, "seed": entry.seed, "sha256": entry.object}
        pictures.append(row)
    value = {
        "set": release.content.set,
        "title": release.content.title,
        "release": release.ref.name,
        "digest": release.ref.digest,
        "pictures": pictures,
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"
