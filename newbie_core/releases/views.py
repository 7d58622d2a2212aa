"""A release as a folder people can open: `views/<set>/r000001/pictures/aria/happy.png`.

Names come from the row keys; each file is a hard link of its object (a copy where links are
impossible), so a view costs no space. Views are disposable: `verify` never needs them.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from newbie_core.digests import digest_bytes
from newbie_core.errors import Fault
from newbie_core.releases.manifest import Entry
from newbie_core.store import Store, object_name, safe_name

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
    """Make the view, whole or not there, in place of what was there."""
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    beside.mkdir(parents=True)
    try:
        places = [(digest, beside / name) for name, digest in pages.items()]
        paths = picture_paths(entry.id for entry in entries)
        places.extend((entry.object, beside / "pictures" / paths[entry.id]) for entry in entries)
        for parent in {place.parent for _, place in places}:
            parent.mkdir(parents=True, exist_ok=True)
        store.link_views(places)
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def sweep_views(root: Path, set_name: str) -> None:
    """Remove views that a killed run left half made; only the holder of the set's lock may."""
    parent = view_folder(root, set_name, "x").parent
    if parent.is_dir():
        for left in parent.iterdir():
            if left.name.startswith("."):
                shutil.rmtree(left, ignore_errors=True)


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
