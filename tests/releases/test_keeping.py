"""Verifying and collecting a store that real runs wrote."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from newbie_core.engines import load_engine
from newbie_core.errors import LockedError, StoreError
from newbie_core.generation import generate
from newbie_core.releases import collect, picture_paths, verify, view_folder
from newbie_core.store import Store, object_name
from tests.catalogs.building import CHARACTERS, EXPRESSIONS, make_catalog, set_cell
from tests.generation.building import make_job
from tests.releases.building import root_of, run, shelf_of


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


@pytest.fixture(scope="session")
def pattern(tmp_path_factory):
    """The folder of a catalog and a store; the set's second release changed aria's two pictures."""
    folder = tmp_path_factory.mktemp("pattern")
    catalog = make_catalog(folder / "cast")
    with Store.open(folder / "store", durable=False) as store:
        run(catalog, store)
        set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
        run(catalog, store)
    return folder


@pytest.fixture
def two_releases(pattern, tmp_path):
    """A store with two releases that a test may damage; its catalog stands beside it."""
    for name in ("cast", "store"):
        shutil.copytree(pattern / name, tmp_path / name)
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


def overwrite(store: Store, name: str, data: bytes = b"not what it was") -> None:
    place = store.driver.local_path(name)
    place.chmod(0o644)
    place.write_bytes(data)


def entry_of(store: Store, picture_id: str, release: str = "r000001"):
    shelf = shelf_of(store)
    entries = shelf.read(shelf.ref(release)).content.entries
    return next(entry for entry in entries if entry.id == picture_id)


def damage_found(store: Store, **options) -> list[tuple]:
    found = verify(store, root_of(store), **options)
    assert found.ok == (not found.damaged)
    return [(damage.set, damage.release, damage.id, damage.problem) for damage in found.damaged]


# Verify


def test_a_whole_store_has_no_damage(two_releases):
    found = verify(two_releases, root_of(two_releases), pixels=True)
    assert found.ok
    assert (found.releases, found.pictures) == (2, 8)
    assert found.files > 8


def test_a_changed_picture_is_named_in_every_release_that_holds_it(two_releases):
    overwrite(two_releases, object_name(entry_of(two_releases, "ren/sad").object))
    assert damage_found(two_releases) == [
        ("cast", "r000001", "ren/sad", "changed"),
        ("cast", "r000002", "ren/sad", "changed"),
    ]


def test_a_lost_picture_is_named(two_releases):
    two_releases.driver.remove(object_name(entry_of(two_releases, "aria/sad").object))
    assert ("cast", "r000001", "aria/sad", "missing") in damage_found(two_releases)


def test_an_emptied_picture_is_truncated(two_releases):
    overwrite(two_releases, object_name(entry_of(two_releases, "aria/sad").object), b"")
    assert ("cast", "r000001", "aria/sad", "truncated") in damage_found(two_releases)


@pytest.mark.parametrize(
    "part", ["content", "objects", "explanation", "attestation", "table characters", "contact-sheet.png"]
)
def test_damage_to_any_part_of_a_release_names_the_release(two_releases, part):
    shelf = shelf_of(two_releases)
    overwrite(two_releases, object_name(shelf.read(shelf.ref("r000002")).manifest.parts()[part]))
    assert ("cast", "r000002", None, "changed") in damage_found(two_releases)


def test_a_damaged_manifest_names_its_release(two_releases):
    overwrite(two_releases, object_name(shelf_of(two_releases).ref("r000001").manifest))
    assert {(release, problem) for _, release, _, problem in damage_found(two_releases)} == {
        ("r000001", "changed")
    }


@pytest.mark.parametrize(
    ("name", "release"), [("releases/cast/r000001", "r000001"), ("refs/cast/LATEST", None)]
)
def test_damaged_records_are_named(two_releases, name, release):
    overwrite(two_releases, name)
    assert ("cast", release, None, "changed") in damage_found(two_releases)


def test_a_quick_look_finds_what_is_missing_or_of_another_size(two_releases):
    overwrite(two_releases, object_name(entry_of(two_releases, "aria/sad").object), b"short")
    two_releases.driver.remove(object_name(entry_of(two_releases, "aria/happy").object))
    found = {
        (picture, problem)
        for _, release, picture, problem in damage_found(two_releases, quick=True)
        if release == "r000001"
    }
    assert found == {("aria/sad", "truncated"), ("aria/happy", "missing")}


def test_a_view_that_shows_other_bytes_is_damage_a_missing_one_is_not(two_releases):
    view = view_folder(root_of(two_releases), "cast", "r000002")
    (view / "pictures" / "ren" / "sad.png").unlink()
    assert damage_found(two_releases) == []
    (view / "pictures" / "ren" / "happy.png").unlink()
    (view / "pictures" / "ren" / "happy.png").write_bytes(b"other")
    assert damage_found(two_releases) == [("cast", "r000002", "ren/happy", "changed")]


def test_one_set_may_be_verified_alone(two_releases, tmp_path):
    run(make_catalog(tmp_path / "other"), two_releases)
    assert verify(two_releases, root_of(two_releases), only_set="other").pictures == 4


def test_progress_ends_at_the_number_of_files(two_releases):
    told = []
    found = verify(
        two_releases, root_of(two_releases), progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (found.files, found.files)


# Views


def test_the_view_holds_every_picture_under_its_name(two_releases):
    view = view_folder(root_of(two_releases), "cast", "r000001")
    release = shelf_of(two_releases).read(shelf_of(two_releases).ref("r000001"))
    paths = picture_paths(entry.id for entry in release.content.entries)
    for entry in release.content.entries:
        assert (view / "pictures" / paths[entry.id]).read_bytes() == two_releases.get(entry.object)
    assert {file.name for file in view.iterdir()} == {"pictures", "changes.md", "contact-sheet.png"}


def test_a_view_that_was_deleted_is_made_again(tmp_path, two_releases):
    view = view_folder(root_of(two_releases), "cast", "r000002")
    shutil.rmtree(view)
    run(tmp_path / "cast", two_releases)
    assert (view / "pictures" / "aria" / "happy.png").is_file()


# Collect


def age(store: Store, days: int) -> None:
    """Let every action record look `days` old."""
    made = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    for name in store.driver.names("actions"):
        key = name.rsplit("/", 1)[1]
        record = store.recall(key)
        store.remember(key, record | {"made": made})


def unreleased(store: Store) -> str:
    (outcome,) = generate([make_job("extra", seed=99)], engine=load_engine("sketch"), store=store)
    return outcome.object


def test_what_releases_need_is_never_collected(two_releases):
    age(two_releases, 400)
    collect(two_releases, root_of(two_releases), apply=True)
    assert damage_found(two_releases) == []


def test_a_dry_run_touches_nothing(two_releases):
    digest = unreleased(two_releases)
    age(two_releases, 8)
    before = sorted(two_releases.every_file())
    found = collect(two_releases, root_of(two_releases))
    assert digest in found.objects
    assert found.bytes >= len(two_releases.get(digest))
    assert sorted(two_releases.every_file()) == before


def test_old_unreleased_pictures_go_to_the_trash(two_releases):
    digest = unreleased(two_releases)
    age(two_releases, 8)
    found = collect(two_releases, root_of(two_releases), apply=True)
    assert digest in found.objects
    assert not two_releases.has(digest)
    assert any(name.endswith(object_name(digest)) for name in two_releases.driver.names("trash"))


def test_young_unreleased_pictures_are_kept(two_releases):
    digest = unreleased(two_releases)
    assert digest not in collect(two_releases, root_of(two_releases), apply=True).objects
    assert two_releases.has(digest)
    assert digest in collect(two_releases, root_of(two_releases), keep_days=0).objects


def test_old_trash_is_emptied(two_releases):
    two_releases.driver.put_many([("trash/20200101T000000Z/objects/ab/" + "c" * 62, b"old")])
    collect(two_releases, root_of(two_releases), apply=True)
    assert not list(two_releases.driver.names("trash/20200101T000000Z"))


def test_only_the_newest_views_and_the_one_that_counts_are_kept(tmp_path, store):
    catalog = make_catalog(tmp_path / "cast")
    for number in range(7):
        set_cell(catalog, "characters", "aria", "appearance", f"hair_{number}")
        run(catalog, store, limit=1)
    shelf = shelf_of(store)
    shelf.point(shelf.ref("r000001"))
    found = collect(store, root_of(store), apply=True)
    assert found.views == ["cast/r000002"]
    assert not view_folder(root_of(store), "cast", "r000002").exists()
    assert view_folder(root_of(store), "cast", "r000001").exists()


def test_a_stray_file_among_the_views_does_not_stop_the_collection(two_releases):
    stray = view_folder(root_of(two_releases), "cast", ".DS_Store")
    stray.write_bytes(b"Finder was here")
    collect(two_releases, root_of(two_releases), apply=True)
    assert stray.exists()


def test_nothing_is_collected_while_a_release_cannot_be_read(two_releases):
    overwrite(two_releases, object_name(shelf_of(two_releases).ref("r000001").digest))
    before = sorted(two_releases.every_file())
    with pytest.raises(StoreError, match=r"release r000001 .* cannot be read .*nothing was collected"):
        collect(two_releases, root_of(two_releases), apply=True)
    assert sorted(two_releases.every_file()) == before


def test_nothing_is_collected_while_a_release_record_is_damaged(two_releases):
    overwrite(two_releases, "releases/cast/r000001")
    with pytest.raises(StoreError) as caught:
        collect(two_releases, root_of(two_releases), apply=True)
    assert caught.value.code == "E_GC_UNREADABLE"


def test_nothing_is_collected_while_somebody_writes(two_releases):
    with two_releases.writing("cast"), pytest.raises(LockedError):
        collect(two_releases, root_of(two_releases), apply=True)


def test_a_store_without_releases_can_be_collected(store):
    assert collect(store, root_of(store), apply=True).live == 0


def test_pictures_of_other_sets_are_kept(two_releases, tmp_path):
    other = make_catalog(tmp_path / "other", characters=CHARACTERS, expressions=EXPRESSIONS)
    run(other, two_releases)
    age(two_releases, 400)
    collect(two_releases, root_of(two_releases), apply=True)
    assert verify(two_releases, root_of(two_releases)).ok
