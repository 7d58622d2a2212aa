import pytest

from newbie_core.spelling import Speller, nearest


@pytest.mark.parametrize(
    ("word", "meant"), [("expresion", "expression"), ("EXPRESSION", "expression"), ("clothng", "clothing")]
)
def test_the_nearest_known_word_is_found(word, meant):
    assert nearest(word, ["expression", "clothing", "pose"]) == meant


def test_nothing_is_near_a_quite_different_word():
    assert nearest("zebra", ["expression", "clothing"]) is None


def test_the_nearest_word_keeps_its_own_spelling():
    assert nearest("aria/HAPPY", ["Aria/Happy"]) == "Aria/Happy"


@pytest.mark.parametrize(
    "slip", ["blue_hari", "blue_hai", "blue_hairr", "blue_heir", "lbue_hair"], ids=lambda slip: slip
)
def test_one_slip_is_corrected(slip):
    assert Speller(["blue_hair", "red_hair"]).correct(slip) == "blue_hair"


@pytest.mark.parametrize("word", ["blue_hair", "bleu_hiar", "holographic", "hat", ""])
def test_known_words_two_slips_other_words_and_short_words_are_left_alone(word):
    assert Speller(["blue_hair", "cat"]).correct(word) is None


def test_a_speller_knows_its_words():
    speller = Speller(["blue_hair"])
    assert "blue_hair" in speller
    assert "blue_hari" not in speller


def test_a_speller_answers_quickly_for_a_large_vocabulary():
    known = [f"word_{number:05d}_{number * 7919 % 100003}" for number in range(5000)]
    speller = Speller(known)
    assert all(speller.correct(word + "x") is not None for word in known[::50])
