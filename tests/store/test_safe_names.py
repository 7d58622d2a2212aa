import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie_core.store import check_name, safe_name

AWKWARD = st.sampled_from(
    [
        "con",
        "CON.txt",
        "nul",
        "com¹",
        "..",
        ".",
        "",
        "/",
        "\\",
        "é",
        "e\u0301",
        "\u200d",
        "\x00",
        "ﬁ",
        "Ⅷ",
        " ",
        "--",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(AWKWARD).map("".join), st.text(alphabet="ab_-. /é", max_size=8))
RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}


def same_file(text):
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@given(TEXTS)
def test_a_safe_name_is_one_part_of_a_path_and_short(text):
    name = safe_name(text)
    assert check_name(name) == name
    assert "/" not in name
    assert name == name.strip(" .-")
    assert 0 < len(name.encode()) <= 120


@given(TEXTS)
def test_a_safe_name_is_never_reserved_on_windows(text):
    name = safe_name(text)
    assert name.casefold().partition(".")[0].rstrip() not in RESERVED
    assert not set(name) & set('<>:"|?*')


@given(st.lists(TEXTS, max_size=12))
def test_texts_that_differ_get_names_that_differ_even_where_case_does_not_count(texts):
    by_sense = {same_file(text): text for text in texts}
    names = {same_file(safe_name(text)) for text in by_sense.values()}
    assert len(names) == len(by_sense)


@given(TEXTS)
def test_a_safe_name_is_stable(text):
    assert safe_name(text) == safe_name(text)


@given(TEXTS)
def test_the_name_of_a_name_is_another_unless_the_text_was_safe(text):
    name = safe_name(text)
    assert (safe_name(name) == name) == (name == text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Luna", "Luna"),
        ("ルナ-01_v1.0", "ルナ-01_v1.0"),
        ("Luna / Évé?", "Luna_Évé_--fcb543b923"),
        ("con", "_con--1143da2bc5"),
        ("", "_--e3b0c44298"),
        ("../../etc/passwd", "_.._etc_passwd--3754d6cb3a"),
        ("Luna--0123456789", "Luna--0123456789--cbeaa9b42c"),
        ("\ufb01n\u200b", "fin--6c41934a56"),
        ("CON.txt", "_CON.txt--09c8cc7edc"),
        ("   ", "_--0aad7da77d"),
        ("x" * 200, "x" * 80 + "--aa20c23e32"),
    ],
)
def test_known_names(text, name):
    assert safe_name(text) == name
