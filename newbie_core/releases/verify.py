"""Check that every release is whole: each byte hashed, each damage named by release and picture."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from newbie_core.errors import DamageError, MissingError, NewbieError, ReleaseError
from newbie_core.releases.manifest import Entry
from newbie_core.releases.shelf import Release, ReleaseRef, Shelf, sets
from newbie_core.releases.views import picture_paths, view_files, view_folder, view_problems
from newbie_core.store import Store, object_name, safe_name

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One damaged thing: the release and the picture it belongs to, where it has any."""

    set: str | None
    release: str | None
    id: str | None
    object: str
    problem: str

    def record(self) -> dict[str, str | None]:
        """The damage as programs read it."""
        return {
            "set": self.set,
            "release": self.release,
            "id": self.id,
            "object": self.object,
            "problem": self.problem,
        }

    def __str__(self) -> str:
        where = " · ".join(part for part in (self.set, self.release, self.id) if part)
        return f"{where or 'store'}: {self.object} is {self.problem}"


@dataclass(slots=True, kw_only=True)
class Verification:
    """What `verify` found."""

    releases: int = 0
    pictures: int = 0
    files: int = 0
    damaged: list[Damage] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged


def verify(
    store: Store,
    root: Path,
    *,
    quick: bool = False,
    pixels: bool = False,
    only_set: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check every file of the store and every part of every release.

    Args:
        root: the store's folder, for its views.
        quick: presence and sizes of objects, records in full; else every byte.
        pixels: also decode each picture and compare its pixels with the release.
        only_set: one set's releases; unreleased files are still checked.
        progress: called with files done and files in all.
    """
    result = Verification()
    problems = _check_files(store, quick, result, progress)
    wanted = [only_set] if only_set is not None else sets(store)
    owners: dict[str, list[tuple[str, str, str]]] = {}
    for set_name in wanted:
        _check_set(store, root, set_name, problems, owners, result, pixels=pixels)
    _name_owners(problems, owners, result)
    result.damaged.sort(
        key=lambda damage: (damage.set or "", damage.release or "", damage.id or "", damage.object)
    )
    return result


def _check_files(
    store: Store, quick: bool, result: Verification, progress: Progress | None
) -> dict[str, str]:
    names = list(store.every_file())
    problems: dict[str, str] = {}
    for number, name in enumerate(names):
        digest = name.removeprefix("objects/").replace("/", "") if name.startswith("objects/") else None
        if quick and digest is not None and len(digest) == 64:
            problem: str | None = store.check(digest, quick=True)
        else:
            problem = store.check_file(name)
        if problem and problem != "missing":  # gone since it was listed: a release that needs it will tell
            problems[name] = problem
        if progress is not None and number % 64 == 0:
            progress(number, len(names))
    result.files = len(names)
    if progress is not None:
        progress(len(names), len(names))
    return problems


def _check_set(
    store: Store,
    root: Path,
    set_name: str,
    problems: dict[str, str],
    owners: dict[str, list[tuple[str, str, str]]],
    result: Verification,
    *,
    pixels: bool,
) -> None:
    shelf = Shelf(store, set_name)
    seen_pixels: set[str] = set()
    present = {object_name(digest) for digest in store.objects()}
    for name in shelf.missing():
        record = f"releases/{safe_name(set_name)}/{name}"
        lost = Damage(set=set_name, release=name, id=None, object=record, problem="missing")
        result.damaged.append(lost)
    for ref in shelf.refs():
        result.releases += 1
        release = _read(shelf, ref, problems, owners, result)
        if release is None:
            continue
        result.pictures += len(release.content.entries)
        for what, digest in _objects(release):
            name = object_name(digest)
            if name not in present and not store.has(digest):
                problems.setdefault(name, "missing")
            if name in problems:
                owners.setdefault(name, []).append((set_name, ref.name, what))
        if pixels:
            _check_pixels(store, set_name, release, seen_pixels, problems, result)
        _check_view(store, root, set_name, release, result)


def _read(
    shelf: Shelf,
    ref: ReleaseRef,
    problems: dict[str, str],
    owners: dict[str, list[tuple[str, str, str]]],
    result: Verification,
) -> Release | None:
    try:
        return shelf.read(ref)
    except MissingError:
        problem = "missing"
    except (DamageError, ReleaseError):
        problem = "changed"
    for what, digest in _named_by(shelf, ref):
        name = object_name(digest)
        if name in problems:
            owners.setdefault(name, []).append((ref.set, ref.name, what))
        elif not shelf.store.has(digest):
            problems[name] = "missing"
            owners.setdefault(name, []).append((ref.set, ref.name, what))
    if not any(owner[1] == ref.name for found in owners.values() for owner in found):
        damage = Damage(set=ref.set, release=ref.name, id=None, object=ref.manifest, problem=problem)
        result.damaged.append(damage)
    return None


def _named_by(shelf: Shelf, ref: ReleaseRef) -> Iterator[tuple[str, str]]:
    """As many parts of an unreadable release as can be told."""
    from newbie_core.releases.manifest import decode_manifest

    yield "(manifest)", ref.manifest
    try:
        manifest = decode_manifest(shelf.store.get(ref.manifest))
    except NewbieError:
        return
    for what, digest in manifest.parts().items():
        yield f"({what})", digest


def _objects(release: Release) -> Iterator[tuple[str, str]]:
    yield "(manifest)", release.ref.manifest
    for what, digest in release.manifest.parts().items():
        yield f"({what})", digest
    for entry in release.content.entries:
        yield entry.id, entry.object


def _check_pixels(
    store: Store,
    set_name: str,
    release: Release,
    seen: set[str],
    problems: dict[str, str],
    result: Verification,
) -> None:
    for entry in release.content.entries:
        if entry.object in seen or object_name(entry.object) in problems:
            continue
        seen.add(entry.object)
        if problem := _pixel_problem(store, entry):
            result.damaged.append(
                Damage(
                    set=set_name, release=release.ref.name, id=entry.id, object=entry.object, problem=problem
                )
            )


def _pixel_problem(store: Store, entry: Entry) -> str | None:
    from newbie_core.images import decode, pixel_digest

    try:
        image = decode(store.get(entry.object))
    except MissingError:
        return "missing"
    except NewbieError as error:
        return f"unreadable: {error}"
    if (image.width, image.height) != (entry.width, entry.height):
        return f"{image.width}x{image.height} instead of {entry.width}x{entry.height}"
    return None if pixel_digest(image) == entry.pixels else "of other pixels than the release says"


def _check_view(store: Store, root: Path, set_name: str, release: Release, result: Verification) -> None:
    entries = release.content.entries
    paths = picture_paths(entry.id for entry in entries)
    wanted = view_files(release)
    ids = {f"pictures/{path}": picture_id for picture_id, path in paths.items()}
    for name, problem in view_problems(root, set_name, release.ref.name, wanted, store).items():
        result.damaged.append(
            Damage(
                set=set_name,
                release=release.ref.name,
                id=ids.get(name),
                object=f"view {name}",
                problem=problem,
            )
        )


def _name_owners(
    problems: dict[str, str], owners: dict[str, list[tuple[str, str, str]]], result: Verification
) -> None:
    for name, problem in problems.items():
        found = owners.get(name, [])
        shown = name.removeprefix("objects/").replace("/", "") if name.startswith("objects/") else name
        if not found:
            set_name, release = _release_of_record(name)
            result.damaged.append(
                Damage(set=set_name, release=release, id=None, object=shown, problem=problem)
            )
        for set_name, release, what in _one_a_picture(found):
            picture_id = None if what.startswith("(") else what
            where = shown if picture_id else f"{shown} {what}"
            result.damaged.append(
                Damage(set=set_name, release=release, id=picture_id, object=where, problem=problem)
            )


def _one_a_picture(owners: Iterable[tuple[str, str, str]]) -> Iterable[tuple[str, str, str]]:
    return dict.fromkeys(owners)


def _release_of_record(name: str) -> tuple[str | None, str | None]:
    parts = name.split("/")
    if parts[0] == "releases" and len(parts) == 3:
        return parts[1], parts[2]
    return (parts[1], None) if parts[0] == "refs" and len(parts) == 3 else (None, None)


def repair(store: Store, root: Path, found: Verification) -> list[str]:
    """Put damaged files that can be made again, or missed, out of the way; the next run makes them. Their names.

    Parts of a release stay where they are: some exist nowhere else, and a run mends those it can.
    """
    moved = []
    for damage in found.damaged:
        name = damage.object.split(" ")[0]
        if name == "view":
            moved.extend(_drop_view(root, damage))
            continue
        if name == "format.json" and store.mend_format():
            moved.append(name)
            continue
        if name.startswith(("decisions/", "goldens/")):
            store.mend_decisions(name)
            moved.append(name)
            continue
        name = object_name(name) if len(name) == 64 else name
        is_part = name.startswith("objects/") and damage.release is not None and damage.id is None
        droppable = name.startswith(("objects/", "actions/", "memo/", "runs/", "trash/")) and not is_part
        droppable = droppable or name.endswith("/PROPOSAL")
        if droppable and damage.problem != "missing" and store.driver.stat(name) is not None:
            store.quarantine(name)
            moved.append(name)
    return moved


def _drop_view(root: Path, damage: Damage) -> list[str]:
    """A view is links of objects: without it nothing is lost."""
    folder = view_folder(root, damage.set or "", damage.release or "")
    if not folder.exists():
        return []
    shutil.rmtree(folder)
    return [folder.relative_to(root).as_posix()]
