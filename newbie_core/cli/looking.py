"""The commands that only look: show, releases, diff."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from newbie_core.cli.output import print_json, result
from newbie_core.cli.places import needed_store, set_name_of
from newbie_core.errors import MissingError, NewbieError, ReleaseError
from newbie_core.images import ImageError, read_record
from newbie_core.releases import Entry, Release, ReleaseRef, Shelf, compare, picture_paths, view_folder
from newbie_core.spelling import nearest
from newbie_core.store import Store

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

_FILE_LIMIT = 256 << 20


def show(given: argparse.Namespace, _stop: StopSignals) -> int:
    """A version, one of its pictures, or a picture file."""
    path = Path(given.catalog)
    if path.is_file() and path.suffix.lower() == ".png":
        return _show_file(path, json=given.json)
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        ref = shelf.ref(given.release) if given.release else shelf.current()
        if ref is None:
            raise ReleaseError(f'set "{shelf.set}" has no release yet; `newbie run` makes one')
        release = shelf.read(ref)
        if given.id is None:
            _show_release(given, shelf, release)
        else:
            _show_picture(given, shelf, release, given.id)
    return 0


def _show_file(path: Path, *, json: bool) -> int:
    if path.stat().st_size > _FILE_LIMIT:
        raise ImageError(f"{path.name}: {path.stat().st_size} bytes; more than a picture has")
    record = read_record(path.read_bytes())
    if record is None:
        raise ImageError(f"{path.name}: carries no record of this production line")
    if json:
        print_json(record)
    else:
        for name, value in record.items():
            result(f"{name}: {value}")
    return 0


def _show_release(given: argparse.Namespace, shelf: Shelf, release: Release) -> None:
    content, ref = release.content, release.ref
    attestation = _attestation(shelf.store, release)
    record = {
        "catalog": shelf.set,
        "release": ref.name,
        "digest": ref.digest,
        "parent": release.manifest.parent,
        "title": content.title,
        "engine": dict(content.engine),
        "template": content.template,
        "pictures": len(content.entries),
        "ids": [entry.id for entry in content.entries],
        "held": dict(content.held),
        "failed": list(content.failed),
        "rejected": [dict(row) for row in content.rejected],
        "attestation": attestation,
        "explanation": _explanation(shelf.store, release),
        "view": str(view_folder(given.store, shelf.set, ref.name)),
    }
    if given.json:
        print_json(record)
        return
    result(f"{content.title or shelf.set} · {ref.name} · {len(content.entries)} pictures")
    result(f"digest   {ref.digest}")
    result(f"made     {attestation.get('started', '?')} by {attestation.get('software', '?')}")
    result("engine   " + ", ".join(f"{name} {value}" for name, value in content.engine.items()))
    made_on = ", ".join(f"{name} {value}" for name, value in attestation.get("environment", {}).items())
    result(f"on       {made_on or '?'}")
    result(f"pictures {record['view']}")
    for word, found in (("held", content.held), ("failed", content.failed), ("rejected", content.rejected)):
        if found:
            result(f"{word:8} {len(found)}")


def _show_picture(given: argparse.Namespace, shelf: Shelf, release: Release, picture_id: str) -> None:
    entry = _entry(release, picture_id)
    recipe = release.content.recipes[entry.recipe]
    record: dict[str, Any] = {
        "id": entry.id,
        "release": release.ref.name,
        "key": entry.key,
        "seed": entry.seed,
        "size": f"{entry.width}x{entry.height}",
        "steps": recipe.steps,
        "guidance": recipe.guidance,
        "negative": recipe.negative,
        "pixels": entry.pixels,
        "object": entry.object,
        "causes": _causes(_explanation(shelf.store, release), entry.id),
        "environment": _environment(shelf.store, entry),
        "history": list(_history(shelf, entry.id)),
        "file": str(
            view_folder(given.store, shelf.set, release.ref.name)
            / "pictures"
            / picture_paths(e.id for e in release.content.entries)[entry.id]
        ),
        "prompt": _prompt(shelf.store, entry),
    }
    if given.json:
        print_json(record)
        return
    for name, value in record.items():
        if name == "prompt":
            result(f"\n{value}")
        elif name == "causes":
            for cause in record["causes"]:
                result(f"because  {cause}")
        elif name == "history":
            result("history  " + ", ".join(f"{h['release']} {h['key'][:10]}" for h in record["history"]))
        elif name == "environment":
            result("made on  " + ", ".join(f"{k} {v}" for k, v in record["environment"].items()))
        else:
            result(f"{name:8} {value}")


def _entry(release: Release, picture_id: str) -> Entry:
    entries = {entry.id: entry for entry in release.content.entries}
    if picture_id not in entries:
        near = nearest(picture_id, entries)
        hint = f'did you mean "{near}"?' if near else "`newbie show CATALOG --json` lists the ids"
        raise ReleaseError(
            f'{release.ref.name} has no picture "{picture_id}"; {hint}', code="E_PICTURE_MISSING"
        )
    return entries[picture_id]


def _prompt(store: Store, entry: Entry) -> str:
    record = read_record(store.get(entry.object)) or {}
    return str(record.get("prompt", ""))


def _environment(store: Store, entry: Entry) -> dict[str, str]:
    record = store.recall(entry.key)
    if record is None:
        return {}
    try:
        found: dict[str, str] = orjson.loads(store.get(record["environment"]))
    except MissingError:
        return {}
    return found


def _attestation(store: Store, release: Release) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(store.get(release.manifest.attestation))
    return found


def _explanation(store: Store, release: Release) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(store.get(release.manifest.explanation))
    return found


def _causes(explanation: dict[str, Any], picture_id: str) -> list[str]:
    for kind in ("change", "add"):
        changes = explanation.get(kind)
        if isinstance(changes, list):
            for change in changes:
                if change["id"] == picture_id:
                    return list(change["reasons"])
    return []


def _history(shelf: Shelf, picture_id: str) -> list[dict[str, str]]:
    """The releases in which the picture changed, newest first."""
    found: list[dict[str, str]] = []
    for ref in shelf.refs():
        try:
            release = shelf.read(ref)
        except NewbieError:
            continue
        key = next((entry.key for entry in release.content.entries if entry.id == picture_id), None)
        if key is not None and (not found or found[-1]["key"] != key):
            found.append({"release": ref.name, "key": key})
    return found[::-1]


def releases(given: argparse.Namespace, _stop: StopSignals) -> int:
    """The versions of a set, newest last."""
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        current = shelf.current()
        rows = [_release_row(shelf, ref, current) for ref in shelf.refs()]
    if given.json:
        print_json({"catalog": shelf.set, "latest": current.name if current else None, "releases": rows})
        return 0
    for row in rows:
        mark = "*" if row["latest"] else " "
        counts = ", ".join(f"{row[kind]} {kind}" for kind in ("added", "changed", "removed") if row[kind])
        made = f"{row['made']}  " if row["made"] else ""
        result(f"{mark} {row['release']}  {row['digest'][:12]}  {made}{row['pictures']} pictures  {counts}")
    if not rows:
        result(f"{shelf.set}: no release yet; `newbie run` makes one")
    return 0


def _release_row(shelf: Shelf, ref: ReleaseRef, current: ReleaseRef | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "release": ref.name,
        "digest": ref.digest,
        "latest": current is not None and current.name == ref.name,
        "made": None,
        "pictures": None,
        "added": 0,
        "changed": 0,
        "removed": 0,
        "problem": None,
    }
    try:
        release = shelf.read(ref)
        explanation = _explanation(shelf.store, release)
        row["made"] = _attestation(shelf.store, release).get("started")
    except NewbieError as error:
        row["problem"] = str(error)
        return row
    row["pictures"] = len(release.content.entries)
    for name, kind in (("added", "add"), ("changed", "change"), ("removed", "remove")):
        found = explanation.get(kind, [])
        row[name] = found if isinstance(found, int) else len(found)
    return row


def diff(given: argparse.Namespace, _stop: StopSignals) -> int:
    """What differs between two versions."""
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        old, new = _two_releases(shelf, given.old, given.new)
        explanation = _explanation(store, new)
        differences = compare(old, new)
    if given.json:
        rows = [
            {**difference.record(), "reasons": _causes(explanation, difference.id)}
            for difference in differences
        ]
        print_json({"catalog": shelf.set, "old": old.ref.name, "new": new.ref.name, "differences": rows})
        return 0
    signs = {"added": "+", "changed": "~", "removed": "-"}
    for difference in differences:
        parts = f" ({', '.join(difference.parts)})" if difference.parts else ""
        result(f"{signs[difference.kind]} {difference.id}{parts}")
        if new.manifest.parent == old.ref.name:
            for cause in _causes(explanation, difference.id):
                result(f"    {cause}")
    result(f"{old.ref.name} → {new.ref.name}: {len(differences)} pictures differ")
    return 0


def _two_releases(shelf: Shelf, old: str | None, new: str | None) -> tuple[Release, Release]:
    names = shelf.names()
    current = shelf.current()
    if current is None:
        raise ReleaseError(f'set "{shelf.set}" has no release yet; `newbie run` makes one')
    if new is None:
        new = current.name if old is None or old != current.name else names[-1]
    newer = shelf.read(shelf.ref(new))
    if old is None:
        earlier = [name for name in names if int(name[1:]) < newer.ref.number]
        old = newer.manifest.parent or (earlier[-1] if earlier else None)
    if old is None:
        raise ReleaseError(f"{new} is the first release; there is nothing to compare it with")
    return shelf.read(shelf.ref(old)), newer
