"""Releases in a store: numbered, never replaced, found again."""

import pytest

from newbie_core.errors import DamageError, ReleaseError
from newbie_core.releases import Manifest, Shelf, compare, sets
from newbie_core.releases.shelf import Release
from newbie_core.store import Store, object_name
from tests.releases.building import make_content, make_entry, shelf_of


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


def publish(store: Store, *ids: str, set_name: str = "cast"):
    """A release of pictures with these ids."""
    content = make_content(*(make_entry(id) for id in ids), set=set_name)
    digests = store.put_many([content.encode(), content.encode_objects(), b"{}"])
    manifest = Manifest(
        set=set_name,
        content=digests[0],
        objects=digests[1],
        explanation=digests[2],
        attestation=digests[2],
        tables={},
        pages={},
        parent=None,
    )
    return Shelf(store, set_name).publish(manifest)


def damage(store: Store, name: str) -> None:
    place = store.driver.local_path(name)
    place.chmod(0o644)
    place.write_bytes(b"damaged")


def test_a_set_without_releases_has_none(store):
    shelf = shelf_of(store)
    assert (shelf.names(), shelf.current(), shelf.latest(), list(shelf.refs())) == ([], None, None, [])
    assert sets(store) == []


def test_releases_are_numbered_from_one(store):
    assert [publish(store, f"p{number}").name for number in range(3)] == ["r000001", "r000002", "r000003"]
    assert shelf_of(store).names() == ["r000001", "r000002", "r000003"]


def test_what_is_published_reads_back(store):
    ref = publish(store, "a", "b")
    release = shelf_of(store).read(ref)
    assert [entry.id for entry in release.content.entries] == ["a", "b"]
    assert shelf_of(store).current() == ref == shelf_of(store).ref("r000001")
    assert shelf_of(store).latest().newest == "r000001"


def test_sets_do_not_share_numbers_even_with_difficult_names(store):
    names = ["cast", "Cast", "表情", "a b", "CON"]
    assert {publish(store, "a", set_name=name).name for name in names} == {"r000001"}
    assert sets(store) == sorted(names)


def test_an_unknown_release_is_named_with_those_known(store):
    publish(store, "a")
    with pytest.raises(ReleaseError, match='set "cast" has no release "r000002"; did you mean "r000001"'):
        shelf_of(store).ref("r000002")


def test_the_release_that_counts_may_be_an_older_one(store):
    first, second = publish(store, "a"), publish(store, "b")
    shelf_of(store).point(first)
    assert shelf_of(store).current() == first
    assert shelf_of(store).latest().newest == second.name


def test_after_going_back_the_next_release_has_the_next_number_and_counts(store):
    first = publish(store, "a")
    publish(store, "b")
    shelf_of(store).point(first)
    third = publish(store, "c")
    assert third.name == "r000003"
    assert shelf_of(store).current() == third


def test_a_release_that_was_cut_off_before_latest_moved_counts_and_latest_is_mended(store):
    first, second = publish(store, "a"), publish(store, "b")
    shelf = shelf_of(store)
    latest = store.driver.local_path("refs/cast/LATEST")
    publish(store, "c")
    cut_off = latest.read_bytes()
    shelf.point(second)
    third = shelf.ref("r000003")
    # As it stood before the third release was known:
    from newbie_core.digests import canonical_json
    from newbie_core.store import seal

    record = {
        "set": "cast",
        "name": first.name,
        "manifest": first.manifest,
        "digest": first.digest,
        "newest": "r000002",
    }
    store.driver.replace("refs/cast/LATEST", seal(canonical_json(record)))
    assert shelf.current() == third
    shelf.mend()
    assert latest.read_bytes() == cut_off


def test_a_damaged_latest_is_made_again_from_the_newest_release(store):
    publish(store, "a")
    second = publish(store, "b")
    damage(store, "refs/cast/LATEST")
    with pytest.raises(DamageError):
        shelf_of(store).latest()
    assert shelf_of(store).current() == second
    assert any("LATEST was damaged" in note for note in shelf_of(store).mend())
    assert shelf_of(store).latest().ref == second
    assert shelf_of(store).mend() == []


def test_a_damaged_record_of_the_release_that_counts_is_made_again_from_latest(store):
    publish(store, "a")
    second = publish(store, "b")
    damage(store, "releases/cast/r000002")
    assert any("r000002" in note for note in shelf_of(store).mend())
    assert shelf_of(store).ref("r000002") == second


def test_damaged_records_are_passed_over_when_listing(store):
    first, _ = publish(store, "a"), publish(store, "b")
    damage(store, "releases/cast/r000002")
    assert list(shelf_of(store).refs()) == [first]
    assert publish(store, "c").name == "r000003"


def test_a_release_with_a_damaged_part_cannot_be_read(store):
    ref = publish(store, "a")
    damage(store, object_name(ref.digest))
    with pytest.raises(DamageError):
        shelf_of(store).read(ref)


# Comparing


def compared(old: list, new: list):
    def release(entries) -> Release:
        return Release(ref=None, manifest=None, content=make_content(*entries))

    return compare(release(old), release(new))


def test_releases_are_compared_picture_by_picture():
    old = [make_entry("a"), make_entry("b"), make_entry("c"), make_entry("d")]
    new = [
        make_entry("a"),
        make_entry("b", key="f" * 64, prompt="f" * 64, pixels="f" * 64),
        make_entry("d", pixels="f" * 64),
        make_entry("e"),
    ]
    assert [difference.record() for difference in compared(old, new)] == [
        {"id": "b", "kind": "changed", "parts": ["prompt", "pixels"]},
        {"id": "c", "kind": "removed", "parts": []},
        {"id": "d", "kind": "changed", "parts": ["pixels"]},
        {"id": "e", "kind": "added", "parts": []},
    ]


def test_equal_pictures_in_other_files_do_not_differ():
    assert compared([make_entry(object="e" * 64)], [make_entry(size=1)]) == []
