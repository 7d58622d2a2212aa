"""One changed bit in any stored file is found and named, and the next run comes to the same release."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from line import (
    Ended,
    Reference,
    copy_store,
    dice,
    here,
    latest,
    make_catalog,
    payload,
    pictures_of,
    process,
    view_names,
)

NOT_STORED = ("tmp/", "locks/")


@dataclass(frozen=True)
class Pristine:
    """A store with two releases of one set and one of another, and what each file of it is."""

    store: Path
    catalogs: dict[str, Path]
    digests: dict[str, str]
    kinds: dict[str, str]


@pytest.fixture(scope="module")
def pristine(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Pristine:
    """Two releases of `cast`, the second with two more characters; one of `other`."""
    folder = tmp_path_factory.mktemp("pristine")
    store = folder / "store"
    small = make_catalog(folder / "small", characters=2, expressions=2)
    whole = make_catalog(folder / "whole", characters=3, expressions=2)
    other = make_catalog(folder / "other", name="other", characters=1, expressions=1)
    digests = {}
    for name, catalog in (("cast", small), ("cast", whole), ("other", other)):
        ended = process("run", catalog, "--store", store, "--json")
        assert ended.code == 0, ended.err
        digests[name] = ended.json["digest"]
    assert digests["cast"] != digests["other"]
    return Pristine(store, {"cast": whole, "other": other}, digests, kinds_of(store))


def kinds_of(store: Path) -> dict[str, str]:
    """What every stored file is: `picture of r000002`, `manifest of r000001`, `memo`, ..."""
    kinds = {}
    for path in sorted(store.rglob("*")):
        name = path.relative_to(store).as_posix()
        if path.is_file() and path.stat().st_size and not name.startswith(NOT_STORED):
            kinds[name] = name.split("/")[0]
    for record in sorted(store.glob("releases/*/*")):
        ref = payload(record)
        manifest = json.loads(at(store, ref["manifest"]).read_bytes())
        parts = {"manifest": ref["manifest"], **manifest["tables"], **manifest["pages"]}
        parts |= {part: manifest[part] for part in ("content", "objects", "explanation", "attestation")}
        for line in at(store, manifest["objects"]).read_bytes().splitlines():
            kinds[object_file(json.loads(line)[0])] = f"picture of {record.parent.name}"
        for part, digest in parts.items():
            kinds[object_file(digest)] = f"{part} of {record.parent.name} {record.name}"
    objects = {(store / name).stat().st_ino: kind for name, kind in kinds.items() if "objects/" in name}
    for name, kind in kinds.items():
        if kind == "views":
            kinds[name] = f"view of {objects[(store / name).stat().st_ino]}"
    return kinds


def object_file(digest: str) -> str:
    """Where an object lies in a store."""
    return f"objects/{digest[:2]}/{digest[2:]}"


def at(store: Path, digest: str) -> Path:
    """The file of an object."""
    return store / object_file(digest)


def flip(path: Path, where: float, *, bit: int = 0, keep_time: bool = False) -> None:
    """Change one bit in place, at a share of the file's length."""
    before = path.stat()
    path.chmod(0o644)
    handle = os.open(path, os.O_RDWR)
    try:
        place = min(int(where * before.st_size), before.st_size - 1)
        os.pwrite(handle, bytes([os.pread(handle, 1, place)[0] ^ (1 << bit)]), place)
    finally:
        os.close(handle)
    path.chmod(before.st_mode & 0o777)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def damaged(store: Path) -> tuple[Ended, list[dict[str, str]]]:
    """What `verify` finds."""
    ended = here("verify", "--store", store, "--json")
    return ended, ended.json["damaged"]


def names_it(found: list[dict[str, str]], name: str, kind: str) -> bool:
    """Whether verify's list names the file; a picture by its release and id, a part by its release."""
    area, _, rest = name.partition("/")
    if area == "views":  # the same file as an object, under a second name
        return any(one["release"] and rest.split("/")[1] == one["release"] for one in found)
    if area != "objects":
        return any(one["object"] == name for one in found)
    mine = [one for one in found if one["object"].split()[0] == rest.replace("/", "")]
    if kind.startswith("picture"):
        return any(one["release"] and one["id"] and one["set"] for one in mine)
    return any(one["release"] == kind[-7:] for one in mine) if " of " in kind else bool(mine)


IRREPLACEABLE = ("attestation", "explanation", "manifest", "changes.md", "contact-sheet.png")
"""Parts of a release that say how it came about: nothing but a copy of the store has them."""


def is_made_again(kind: str) -> bool:
    """Whether a run can make such a file again, or (after `verify --repair`) do without it."""
    kind = kind.removeprefix("view of ")
    return not kind.startswith(IRREPLACEABLE) and not kind.endswith(" of cast r000001")


def run_all(pristine: Pristine, store: Path, story: str) -> list[Ended]:
    """Run every catalog: exit 0, the same digests, a whole LATEST, whole pictures in the views."""
    reports = []
    for name, catalog in pristine.catalogs.items():
        ended = here("run", catalog, "--store", store, "--json")
        assert ended.code == 0, f"{story}: run: {ended.err}{ended.out}"
        assert ended.json["digest"] == latest(store, name) == pristine.digests[name], story
        assert pictures_of(view_names(store, name)) == pictures_of(view_names(pristine.store, name)), story
        reports.append(ended)
    return reports


def require_flip_is_found_and_mended(pristine: Pristine, store: Path, name: str, where: float) -> list[str]:
    """The whole story of one flipped bit; what verify still names at its end."""
    kind = pristine.kinds[name]
    story = f"{kind}: {name} at {where:.2f}"
    copy_store(pristine.store, store)
    run_all(pristine, store, story)  # the copies are new files: a run that has come to trust them is harder
    flip(store / name, where, bit=dice(name, where).randrange(8), keep_time=where > 0.5)
    ended, found = damaged(store)
    assert ended.code == 1, f"{story}: verify did not see it"
    assert names_it(found, name, kind), f"{story}: verify does not name it: {found}"
    if kind == "format.json":
        refused = here("run", pristine.catalogs["cast"], "--store", store, "--json")
        assert refused.code == 1, story
        assert "format.json is damaged" in refused.err, story
        assert "format.json" in here("verify", "--store", store, "--repair", "--json").json["repaired"]
    for report in run_all(pristine, store, story):
        assert not report.json["new"] or kind.startswith("manifest"), story
    if damaged(store)[0].code:
        here("verify", "--store", store, "--repair", "--json")
        run_all(pristine, store, story)
    ended, left = damaged(store)
    assert ended.code == 0 or not is_made_again(kind), f"{story}: still damaged: {left}"
    for one in left:
        assert one["release"] == kind[-7:] or one["object"].startswith(name[8:10] + name[11:]), (
            f"{story}: {one}"
        )
    return [one["object"] for one in left]


def one_of_each_kind(pristine: Pristine) -> list[str]:
    """One file of every kind; of one set, and of the views, which are second names of objects, a picture."""
    kinds = {kind: name for name, kind in pristine.kinds.items() if not kind.endswith(" of other r000001")}
    return sorted(name for kind, name in kinds.items() if not kind.startswith("view of") or "picture" in kind)


def test_a_flipped_bit_in_any_kind_of_file_is_found_and_mended(pristine: Pristine, tmp_path: Path) -> None:
    for name in one_of_each_kind(pristine):
        require_flip_is_found_and_mended(pristine, tmp_path / "store", name, dice(name).random())


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_flipped_bit_anywhere_in_every_file_is_found_and_mended(pristine: Pristine, tmp_path: Path) -> None:
    cases = [(name, where) for name in pristine.kinds for where in (0.0, dice(name, 1).random(), 1.0)]
    left = [
        name
        for name, where in cases
        if require_flip_is_found_and_mended(pristine, tmp_path / "store", name, where)
    ]
    print(f"{len(cases)} bits in {len(pristine.kinds)} files: all named; {len(left)} in irreplaceable parts")


def test_a_format_of_another_version_is_named_and_never_overwritten(
    pristine: Pristine, tmp_path: Path
) -> None:
    store = copy_store(pristine.store, tmp_path / "store")
    other = b'{"format":3,"hash":"sha256"}\n'
    (store / "format.json").chmod(0o644)
    (store / "format.json").write_bytes(other)
    for command in (["verify"], ["verify", "--repair"], ["run", pristine.catalogs["cast"]]):
        ended = here(*command, "--store", store, "--json")
        assert ended.code == 1
        assert "format.json" in ended.json["error"]["message"]
    assert (store / "format.json").read_bytes() == other


def test_a_lost_record_of_a_release_is_named_and_made_again(pristine: Pristine, tmp_path: Path) -> None:
    store = copy_store(pristine.store, tmp_path / "store")
    for name in ("r000001", "r000002"):
        (store / "releases/cast" / name).unlink()
        ended, found = damaged(store)
        assert (ended.code, [one["release"] for one in found]) == (1, [name])
        refused = here("gc", "--store", store, "--apply", "--json")
        assert refused.json["error"]["code"] == "E_GC_UNREADABLE"
        run_all(pristine, store, name)
        assert damaged(store)[0].code == 0


OTHER_ENCODER = """
import sys
from newbie_core import generation
encode = generation.encode_png
generation.encode_png = lambda image, *, text: encode(image, text={**text, "Software": "another encoder"})
from newbie_core.cli import main
sys.exit(main())
"""
"""The command with a PNG encoder that gives the same pixels in other bytes."""


def test_a_damaged_picture_made_again_with_other_bytes_gives_a_new_number_of_the_same_digest(
    pristine: Pristine, tmp_path: Path
) -> None:
    store = copy_store(pristine.store, tmp_path / "store")
    name = next(name for name, kind in pristine.kinds.items() if kind == "picture of cast")
    flip(store / name, 0.5)
    command = (sys.executable, "-c", OTHER_ENCODER)
    ended = process("run", pristine.catalogs["cast"], "--store", store, "--json", command=command)
    assert ended.code == 0, ended.err
    assert ended.json["digest"] == latest(store) == pristine.digests["cast"]
    assert (ended.json["release"], ended.json["generated"]) == ("r000003", 1)
    again = here("run", pristine.catalogs["cast"], "--store", store, "--json").json
    assert (again["release"], again["generated"]) == ("r000003", 0)
