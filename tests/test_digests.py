import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie_core.digests import canonical_json, decimal_text, digest_bytes, digest_value


def test_a_digest_is_the_sha256_of_the_bytes():
    assert digest_bytes(b"newbie") == hashlib.sha256(b"newbie").hexdigest()
    assert digest_bytes(memoryview(b"newbie")) == digest_bytes(b"newbie")


def test_the_order_of_keys_does_not_change_a_digest():
    assert digest_value({"a": 1, "b": {"c": 2, "d": 3}}) == digest_value({"b": {"d": 3, "c": 2}, "a": 1})


def test_the_order_of_a_list_changes_a_digest():
    assert digest_value([1, 2]) != digest_value([2, 1])


def test_canonical_json_is_utf8_without_spaces():
    assert canonical_json({"名": ["é", 1]}) == '{"名":["é",1]}'.encode()


@pytest.mark.parametrize("value", [1.5, {"a": 1.0}, [{"a": [2.5]}], ((0.1,),)])
def test_floats_are_refused_at_any_depth(value):
    with pytest.raises(TypeError, match="decimal_text"):
        canonical_json(value)


@pytest.mark.parametrize(("number", "text"), [(4.5, "4.5"), (7.0, "7"), (7, "7"), (0.1, "0.1"), (0, "0")])
def test_decimal_text_is_short_and_exact(number, text):
    assert decimal_text(number) == text


@given(st.floats(min_value=0, max_value=100))
def test_decimal_text_reads_back_as_the_same_number(number):
    assert float(decimal_text(number)) == number
