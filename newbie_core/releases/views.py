"""A release as a folder people can open: `views/<set>/r000001/pictures/aria/happy.png`.

Names come from the row keys; each file is a hard link of its object (a copy where links are
impossible), so a view costs no space. Views are disposable: `verify` never needs them.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from newbie_core.digests import digest_bytes
from newbie_core.errors import DamageError, Fault, MissingError, StoreError
from newbie_core.releases.manifest import Entry
from newbie_core.releases.shelf import Release, ReleaseRef, Shelf
from newbie_core.store import Store, object_name, safe_name

CANDIDATES = "candidates"
"""The folder beside the versions that shows candidates."""
_HALF_MADE = re.compile(r"\.(?:r[0-9]+|proposal|candidates)\.[0-9a-f]{12}")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def picture_path(picture_id: str) -> str:
    """The file of a picture inside a view: `aria/happy` → "aria/happy.png", a second one "aria/happy--2.png"."""
    base, _, copy = picture_id.partition("#")
    name = "/".join(safe_name(part) for part in base.split("/"))
    return f"{name}--{copy}.png" if copy else f"{name}.png"


def picture_paths(ids: Iterable[str]) -> dict[str, str]:
    """Each picture's file, no two alike on file systems that ignore case."""
    paths: dict[str, str] = {}
    used: set[str] = set()
    for picture_id in ids:
        path = picture_path(picture_id)
        if path.casefold() in used:
            path = f"{path[:-4]}--{digest_bytes(picture_id.encode())[:10]}.png"
        used.add(path.casefold())
        paths[picture_id] = path
    return paths


def view_folder(root: Path, set_name: str, release: str) -> Path:
    """Where the view of a release stands in the store at `root`."""
    return root / "views" / safe_name(set_name) / release


def build_view(store: Store, folder: Path, entries: Sequence[Entry], pages: Mapping[str, str]) -> None:
    """Make the view, whole or not there, in place of what was there.

    Raises:
        StoreError: a link stands where the set's views belong.
    """
    _refuse_link(folder.parent)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    beside.mkdir(parents=True)
    try:
        places = [(digest, beside / name) for name, digest in pages.items()]
        paths = picture_paths(entry.id for entry in entries)
        places.extend((entry.object, beside / "pictures" / paths[entry.id]) for entry in entries)
        for parent in {place.parent for _, place in places}:
            parent.mkdir(parents=True, exist_ok=True)
        store.link_views(places)
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def rebuild_view(shelf: Shelf, root: Path, ref: ReleaseRef) -> None:
    """Make the view of a release again, of those of its files that are whole."""
    release = shelf.read(ref)
    entries, pages = release.content.entries, release.manifest.pages
    broken = shelf.store.check_changed([*pages.values(), *(entry.object for entry in entries)])
    build_view(
        shelf.store,
        view_folder(root, shelf.set, ref.name),
        [entry for entry in entries if entry.object not in broken],
        {name: digest for name, digest in pages.items() if digest not in broken},
    )


def mend_views(shelf: Shelf, root: Path) -> None:
    """Make those views of a set again that show damaged files."""
    for ref in shelf.refs():
        if not view_folder(root, shelf.set, ref.name).is_dir():
            continue
        try:
            release = shelf.read(ref)
        except (DamageError, MissingError):
            continue
        if view_problems(root, shelf.set, ref.name, view_files(release), shelf.store):
            rebuild_view(shelf, root, ref)


def view_files(release: Release) -> dict[str, str]:
    """Every file of a release's view, with the digest it should have."""
    entries = release.content.entries
    paths = picture_paths(entry.id for entry in entries)
    return {f"pictures/{paths[entry.id]}": entry.object for entry in entries} | dict(release.manifest.pages)


def sweep_views(root: Path, set_name: str) -> None:
    """Remove views that a killed run left half made; only the holder of the set's lock may.

    Raises:
        StoreError: a link stands where the set's views belong.
    """
    parent = view_folder(root, set_name, "x").parent
    _refuse_link(parent)
    if parent.is_dir():
        for left in parent.iterdir():
            if _HALF_MADE.fullmatch(left.name):
                shutil.rmtree(left, ignore_errors=True)


def _refuse_link(views: Path) -> None:
    """A link planted in the store would have us write, or delete, somewhere else."""
    for place in (views.parent, views):
        if place.is_symlink():
            raise StoreError(
                f"{place}: is a symbolic link, and views are never written through one; remove the link"
            )


def view_problems(
    root: Path, set_name: str, release: str, wanted: Mapping[str, str], store: Store
) -> dict[str, str]:
    """What is wrong with a view: file → "changed"; absent files and views are no damage.

    Args:
        wanted: the digest each file of the view should have.
    """
    folder = view_folder(root, set_name, release)
    problems = {}
    for name, digest in wanted.items():
        place = folder / name
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = os.lstat(place)
            source = store.driver.local_path(object_name(digest))
            if source is not None and source.exists() and os.path.samestat(found, source.lstat()):
                continue
            if place.is_symlink() or digest_bytes(place.read_bytes()) != digest:
                problems[name] = "changed"
    return problems


def rejects_csv(faults: Iterable[Fault]) -> bytes:
    """The rejected rows as a table for a spreadsheet; a cell that looks like a formula stays text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    names = ("file", "sheet", "row", "column", "header", "code", "message", "fix")
    writer.writerow(names)
    for fault in faults:
        record = fault.record()
        writer.writerow([_as_text(record[name]) for name in names])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "backslashreplace")


def _as_text(value: str | int | None) -> str | int:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value
