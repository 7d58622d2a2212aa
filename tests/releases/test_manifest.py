"""What a release says, as bytes and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie_core.errors import DamageError
from newbie_core.releases.manifest import (
    Manifest,
    content_digest,
    decode_content,
    decode_manifest,
    decode_table,
    encode_table,
    sorted_entries,
)
from tests.releases.building import make_content, make_entry

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
entries = st.builds(
    make_entry,
    id=words,
    key=digests,
    pixels=digests,
    prompt=digests,
    seed=st.integers(0, 2**63 - 1),
    width=st.integers(1, 9999),
    object=digests,
    size=st.integers(0, 2**40),
)


def round_trip(content):
    return decode_content(content.encode(), content.encode_objects())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(entries, max_size=4),
    words,
    st.dictionaries(words, words, max_size=3),
    st.lists(words, max_size=3),
)
def test_every_content_reads_back_from_its_bytes(pictures, title, held, failed):
    content = make_content(*pictures, title=title, held=held, failed=failed)
    assert round_trip(content) == content


def test_an_empty_content_reads_back():
    assert round_trip(make_content()) == make_content()


@pytest.mark.parametrize(
    "change",
    [{"key": "f" * 64}, {"pixels": "f" * 64}, {"prompt": "f" * 64}, {"seed": 8}, {"width": 72}, {"id": "x"}],
)
def test_everything_about_a_picture_changes_the_digest(change):
    assert content_digest(make_content(make_entry(**change))) != content_digest(make_content(make_entry()))


@pytest.mark.parametrize("change", [{"object": "f" * 64}, {"size": 1}])
def test_how_the_pixels_were_packed_into_a_file_leaves_the_digest(change):
    assert content_digest(make_content(make_entry(**change))) == content_digest(make_content(make_entry()))


@pytest.mark.parametrize(
    "change", [{"held": {"a": "b"}}, {"failed": ["a"]}, {"title": "x"}, {"engine": {"engine": "x"}}]
)
def test_what_a_release_says_of_itself_changes_the_digest(change):
    assert content_digest(make_content(**change)) != content_digest(make_content())


def test_a_content_and_other_objects_do_not_fit_together():
    two = make_content(make_entry("a"), make_entry("b"))
    with pytest.raises(DamageError, match="2 pictures and 1 objects"):
        decode_content(two.encode(), make_content(make_entry("a")).encode_objects())


def test_an_unknown_format_is_refused():
    data = make_content().encode().replace(b'"format":1', b'"format":9')
    with pytest.raises(DamageError, match="format 9; this version knows 1"):
        decode_content(data, b"")


def test_a_manifest_reads_back_and_names_its_parts():
    manifest = Manifest(
        set="cast",
        content="a" * 64,
        objects="b" * 64,
        tables={"characters": "c" * 64},
        explanation="d" * 64,
        attestation="e" * 64,
        pages={"changes.md": "f" * 64},
        parent="r000001",
    )
    assert decode_manifest(manifest.encode()) == manifest
    assert set(manifest.parts().values()) == {letter * 64 for letter in "abcdef"}
    with pytest.raises(DamageError):
        decode_manifest(b'{"format":2}')


@given(st.dictionaries(words, st.dictionaries(words, words, max_size=3), max_size=3))
@settings(max_examples=30, deadline=None)
def test_tables_read_back(table):
    assert decode_table(encode_table(table)) == table


def test_entries_are_sorted_by_code_point():
    ids = ["b", "a/2", "a#2", "a", "é", "A", "表"]
    assert [entry.id for entry in sorted_entries(make_entry(id) for id in ids)] == [
        "A",
        "a",
        "a#2",
        "a/2",
        "b",
        "é",
        "表",
    ]
