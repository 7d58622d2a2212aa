import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie_core.errors import DamageError
from newbie_core.store import decode_lines, encode_line, seal, unseal
from newbie_core.store.records import seal_named, unseal_named

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(st.binary())
def test_what_is_sealed_comes_back(payload):
    assert unseal(seal(payload), "record") == payload
    assert unseal_named(seal_named(payload, "memo/a"), "memo/a") == payload


@given(st.binary(max_size=30))
def test_any_flipped_bit_of_a_sealed_file_is_noticed(payload):
    sealed = seal(payload)
    for bit in range(len(sealed) * 8):
        with pytest.raises(DamageError, match="refs/LATEST"):
            unseal(flipped(sealed, bit), "refs/LATEST")


@given(st.binary(max_size=30), st.integers(0, 100))
def test_a_sealed_file_cut_short_or_made_longer_is_noticed(payload, end):
    sealed = seal(payload)
    for damaged in (sealed[: end % len(sealed)], sealed + b"\n", b"\n" + sealed):
        with pytest.raises(DamageError):
            unseal(damaged, "record")


def test_a_record_under_another_name_is_noticed():
    with pytest.raises(DamageError, match="actions/b: holds what belongs to actions/a"):
        unseal_named(seal_named(b"x", "actions/a"), "actions/b")


@given(st.lists(JSON, max_size=5))
def test_journal_lines_come_back(records):
    assert decode_lines(b"".join(map(encode_line, records))) == (records, [])


@given(st.lists(JSON, min_size=1, max_size=4), st.data())
def test_a_journal_cut_anywhere_keeps_its_whole_lines_and_is_not_damaged(records, data):
    lines = [encode_line(record) for record in records]
    text = b"".join(lines)
    end = data.draw(st.integers(0, len(text)))
    whole = text[:end].count(b"\n")
    assert decode_lines(text[:end]) == (records[:whole], [])


def test_any_flipped_bit_of_a_journal_is_found_and_other_lines_are_kept():
    records = [{"event": "made", "n": number} for number in range(4)]
    text = b"".join(map(encode_line, records))
    for bit in range(len(text) * 8):
        kept, damaged = decode_lines(flipped(text, bit))
        assert damaged
        assert len(kept) >= 2
        assert all(record in records for record in kept)
