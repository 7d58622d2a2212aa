"""The releases of one set: numbered, never replaced, with LATEST pointing at one of them.

`releases/<set>/r000001` is made by link() and names the manifest; `refs/<set>/LATEST` is replaced
whole, last of all. A release newer than LATEST knows of was cut off between the two: it is whole,
and the next run moves LATEST to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from newbie_core.digests import canonical_json
from newbie_core.errors import DamageError, MissingError, ReleaseError
from newbie_core.plans import Previous, TableValues
from newbie_core.releases.manifest import Content, Manifest, decode_content, decode_manifest, decode_table
from newbie_core.spelling import nearest
from newbie_core.store import Store, safe_name, seal, unseal

_RELEASE = re.compile(r"r(\d{6,})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRef:
    """A numbered release: its manifest and its digest, unread."""

    set: str
    name: str
    manifest: str
    digest: str

    @property
    def number(self) -> int:
        """The release's number: 1 for r000001."""
        return int(self.name[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """What LATEST says: the release that counts, and the newest that was known when it was written."""

    ref: ReleaseRef
    newest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release, read."""

    ref: ReleaseRef
    manifest: Manifest
    content: Content


class Shelf:
    """Finds and reads the releases of one set."""

    def __init__(self, store: Store, set_name: str) -> None:
        self.store = store
        self.set = set_name
        self._folder = f"releases/{safe_name(set_name)}"
        self._latest = f"refs/{safe_name(set_name)}/LATEST"

    def names(self) -> list[str]:
        """The releases by name, oldest first, whole or not."""
        found = [name.rsplit("/", 1)[1] for name in self.store.driver.names(self._folder)]
        return sorted((name for name in found if _RELEASE.fullmatch(name)), key=lambda name: int(name[1:]))

    def ref(self, name: str) -> ReleaseRef:
        """The numbered release `name`.

        Raises:
            ReleaseError: there is none of that name.
            DamageError: its record is damaged.
        """
        try:
            data = self.store.driver.read(f"{self._folder}/{name}")
        except MissingError:
            known = self.names()
            near = nearest(name, known)
            hint = f'did you mean "{near}"?' if near else f"known: {', '.join(known[-10:]) or 'none'}"
            raise ReleaseError(
                f'set "{self.set}" has no release "{name}"; {hint}', code="E_RELEASE_MISSING"
            ) from None
        return self._read_ref(data, f"{self._folder}/{name}")

    def _read_ref(self, data: bytes, where: str) -> ReleaseRef:
        record = orjson.loads(unseal(data, where))
        return ReleaseRef(**{key: record[key] for key in ("set", "name", "manifest", "digest")})

    def missing(self) -> list[str]:
        """Releases there must have been, for numbers leave no gap, whose records are not there."""
        try:
            latest = self.latest()
        except DamageError:
            latest = None
        names = self.names()  # after LATEST, which a publication moves last
        newest = max(int(name[1:]) for name in (*names, latest.newest if latest else "r0"))
        return [name for name in map(_release_name, range(1, newest + 1)) if name not in set(names)]

    def refs(self) -> Iterator[ReleaseRef]:
        """Every whole release, oldest first; damaged records are passed over (`verify` names them)."""
        for name in self.names():
            try:
                yield self.ref(name)
            except DamageError:
                continue

    def latest(self) -> Latest | None:
        """What LATEST says; None when nothing is published yet.

        Raises:
            DamageError: LATEST is damaged.
        """
        try:
            data = self.store.driver.read(self._latest)
        except MissingError:
            return None
        record = orjson.loads(unseal(data, self._latest))
        ref = ReleaseRef(**{key: record[key] for key in ("set", "name", "manifest", "digest")})
        return Latest(ref=ref, newest=record["newest"])

    def current(self) -> ReleaseRef | None:
        """The release that counts: LATEST, or a newer one whose publication was cut off before LATEST moved."""
        try:
            latest = self.latest()
        except DamageError:
            latest = None
        names = self.names()
        newer = [name for name in names if latest is None or int(name[1:]) > int(latest.newest[1:])]
        for name in reversed(newer):
            try:
                return self.ref(name)
            except DamageError:
                continue
        return latest.ref if latest else None

    def point(self, ref: ReleaseRef) -> None:
        """Move LATEST to `ref`."""
        newest = self.names()[-1]
        record = {**_ref_record(ref), "newest": newest}
        self.store.driver.replace(self._latest, seal(canonical_json(record)))

    def mend(self) -> list[str]:
        """Finish a publication that was cut off; put away damaged pointers that can be made again. What was done."""
        done = []
        try:
            latest = self.latest()
        except DamageError:
            self.store.quarantine(self._latest)
            latest = None
            done.append("LATEST was damaged and has been made again from the newest release")
        done.extend(self._mend_records(latest.ref if latest else None))
        current = self.current()
        if current is not None and (latest is None or latest.ref != current):
            self.point(current)
        return done

    def _mend_records(self, latest: ReleaseRef | None) -> list[str]:
        """Make damaged and lost records of releases again, from LATEST and from what runs wrote down."""
        damaged = [name for name in self.names() if not self._is_whole(name)]
        lost = self.missing()
        if not damaged and not lost:
            return []
        known = self._journalled() | ({latest.name: latest} if latest else {})
        done = []
        for name in (*damaged, *lost):
            if name in known:
                if name in damaged:
                    self.store.quarantine(f"{self._folder}/{name}")
                self.store.driver.create(f"{self._folder}/{name}", seal_ref(known[name]))
                done.append(f"the record of {name} was damaged or lost and has been made again")
        return done

    def _is_whole(self, name: str) -> bool:
        try:
            self.ref(name)
        except (DamageError, ReleaseError):
            return False
        return True

    def _journalled(self) -> dict[str, ReleaseRef]:
        """The releases that runs of this set ended with, as their journals tell."""
        refs = {}
        for journal in self.store.journals():
            for record in journal.read()[0]:
                if record.get("set") == self.set and record.get("manifest"):
                    refs[record["release"]] = ReleaseRef(
                        set=self.set,
                        name=record["release"],
                        manifest=record["manifest"],
                        digest=record["digest"],
                    )
        return refs

    def publish(self, manifest: Manifest) -> ReleaseRef:
        """Number the release and point LATEST at it. An equal newest release is not numbered again."""
        with self.store.publishing():
            digest = self.store.put(manifest.encode())
            while True:
                names = self.names()
                number = int(names[-1][1:]) + 1 if names else 1
                ref = ReleaseRef(
                    set=self.set, name=_release_name(number), manifest=digest, digest=manifest.content
                )
                if self.store.driver.create(f"{self._folder}/{ref.name}", seal_ref(ref)):
                    break
            self.point(ref)
        return ref

    def read(self, ref: ReleaseRef) -> Release:
        """The release behind `ref`.

        Raises:
            DamageError, MissingError: a part of it is damaged or not there.
        """
        manifest = decode_manifest(self.store.get(ref.manifest))
        content = decode_content(self.store.get(manifest.content), self.store.get(manifest.objects))
        return Release(ref=ref, manifest=manifest, content=content)

    def tables(self, manifest: Manifest) -> dict[str, TableValues]:
        """The tables a release was made from; those that cannot be read are left out."""
        tables: dict[str, TableValues] = {}
        for name, digest in manifest.tables.items():
            try:
                tables[name] = decode_table(self.store.get(digest))
            except (DamageError, MissingError):
                continue
        return tables

    def previous(self, release: Release | None) -> Previous:
        """A release as planning compares with it."""
        if release is None:
            return Previous()
        content = release.content
        return Previous(
            entries={entry.id: entry for entry in content.entries},
            recipes=content.recipes,
            held=frozenset(content.held),
            engine_parts=content.engine,
            template_name=content.template,
            settings=content.settings,
            tables=lambda: self.tables(release.manifest),
        )


def sets(store: Store) -> list[str]:
    """The names of all sets that have a release, or a proposal of one."""
    folders = {name.split("/")[1] for area in ("releases", "refs") for name in store.driver.names(area)}
    found = set()
    for folder in folders:
        refs = (f"refs/{folder}/LATEST", f"refs/{folder}/PROPOSAL")
        for name in (*store.driver.names(f"releases/{folder}"), *refs):
            try:
                found.add(orjson.loads(unseal(store.driver.read(name), name))["set"])
            except (DamageError, MissingError):
                continue
            break
    return sorted(found)


def _release_name(number: int) -> str:
    return f"r{number:06d}"


def seal_ref(ref: ReleaseRef) -> bytes:
    """The bytes of a release's record."""
    return seal(canonical_json(_ref_record(ref)))


def _ref_record(ref: ReleaseRef) -> dict[str, str]:
    return {"set": ref.set, "name": ref.name, "manifest": ref.manifest, "digest": ref.digest}
