"""Words: nothing that is drawn lacks one, and every other name leads to a single one."""

from __future__ import annotations

from itertools import pairwise

import pytest

from newbie_core.drawing import understand
from newbie_core.nano.scenes import (
    ACCESSORIES,
    ARMS,
    BACKGROUNDS,
    EXPRESSIONS,
    EYE_COLOURS,
    FRAMING,
    GARMENT_COLOURS,
    GARMENTS,
    HAIR_COLOURS,
    HAIR_STYLES,
    POSITIONS,
)
from newbie_core.nano.words import FILLERS, TOUCHES, aliases, canonical_words, spelled

VALUES = (
    *(f"{colour}_hair" for colour in HAIR_COLOURS),
    *(tag for tags in HAIR_STYLES.values() for tag in tags),
    *(f"{colour}_eyes" for colour in EYE_COLOURS),
    *EXPRESSIONS,
    *GARMENTS,
    *GARMENT_COLOURS,
    *ACCESSORIES[1:],
    *ARMS,
    *BACKGROUNDS,
    FRAMING,
    *POSITIONS,
)


def test_every_value_of_a_scene_has_a_word() -> None:
    assert set(VALUES) <= set(canonical_words())


def test_words_differ_as_the_tokenizer_spells_them() -> None:
    words = [spelled(word) for word in canonical_words()]
    assert len(set(words)) == len(words)


def test_the_order_of_words_is_fixed() -> None:
    # Ids of the shipped weights follow it.
    assert canonical_words()[:3] == ("1girl", "1boy", "2girls")
    assert canonical_words() == canonical_words()


def test_other_names_lead_to_words_in_one_step() -> None:
    words = set(canonical_words())
    assert set(aliases().values()) <= words
    assert not set(aliases()) & words


def test_words_still_differ_when_ordinary_english_is_left_out() -> None:
    kept = [
        tuple(part for part in spelled(word).split() if part not in FILLERS)
        for word in (*canonical_words(), *aliases())
    ]
    assert all(kept)
    assert len(set(kept)) == len(kept)


def test_every_expression_has_touches_and_every_touch_a_word() -> None:
    assert set(TOUCHES) == set(EXPRESSIONS)
    assert {touch for touches in TOUCHES.values() for touch in touches} <= set(canonical_words())


def test_a_touch_that_stands_for_its_expression_stands_for_no_other() -> None:
    alone = sorted(
        touches[0] for name, touches in TOUCHES.items() if name not in ("neutral", "smile", "happy")
    )
    assert all(one != other for one, other in pairwise(alone))


@pytest.mark.parametrize("word", [word for word in VALUES if word not in POSITIONS and word != FRAMING])
def test_what_is_drawn_is_what_the_word_says(word: str) -> None:
    if word in GARMENT_COLOURS:
        word = f"{word}_shirt"
    assert understand((word,)).unknown == ()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("银发", "white_hair"),
        ("金发", "blonde_hair"),
        ("红色头发", "red_hair"),
        ("蓝眼", "blue_eyes"),
        ("紫色眼睛", "purple_eyes"),
        ("黄瞳", "yellow_eyes"),
        ("黑色", "black"),
        ("silver_hair", "white_hair"),
        ("golden_eyes", "yellow_eyes"),
        ("navy", "blue"),
        ("red_hair_ribbon", "hair_bow"),
        ("樱花", "cherry_blossoms"),
    ],
)
def test_colours_have_their_chinese_and_their_other_names(name: str, word: str) -> None:
    assert aliases()[name] == word


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Long_Hair", "long hair"),
        ("  a\t_b ", "a b"),
        ("v", "v"),
        ("@_@", "@ @"),
        ("_", ""),
        ("水手服", "水手服"),
    ],
)
def test_spelling(text: str, found: str) -> None:
    assert spelled(text) == found
    assert spelled(found) == found
