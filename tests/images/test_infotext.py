"""webui's text: what we write, its parser reads; what it writes, ours reads."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie_core.images import infotext, parse_infotext

ITEMS = {"Steps": "20", "Sampler": "Euler a", "Seed": "965400086"}

WEBUI_PARAM = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""The expression in webui 1.10, modules/infotext_utils.py."""


def test_the_example_from_webuis_source_is_read():
    prompt, negative, parameters = parse_infotext(
        "girl with an artist's beret, ((eyeshadow)), detailed\n"
        "Negative prompt: ugly, (((deformed))), [blurry]\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Model hash: 45dee52b\n"
    )
    assert prompt == "girl with an artist's beret, ((eyeshadow)), detailed"
    assert negative == "ugly, (((deformed))), [blurry]"
    assert parameters == {
        "Steps": "20",
        "Sampler": "Euler a",
        "CFG scale": "7",
        "Seed": "965400086",
        "Size-1": "512",
        "Size-2": "512",
        "Model hash": "45dee52b",
    }


def test_several_lines_on_both_sides_are_kept():
    text = infotext("one\ntwo", "three\nfour", ITEMS)
    assert parse_infotext(text) == ("one\ntwo", "three\nfour", ITEMS)


def test_the_parameters_are_one_last_line():
    assert infotext("p", "n", ITEMS).split("\n")[-1] == "Steps: 20, Sampler: Euler a, Seed: 965400086"


@pytest.mark.parametrize(
    "value",
    [
        "a, b",
        "a: b",
        "two\nlines",
        'say "hi", twice',
        '"quoted"',
        '"',
        "back\\slash, comma",
        " blanks ",
        "角色: 🦊",
    ],
)
def test_awkward_values_come_back_exactly(value):
    parameters = {**ITEMS, "Lora hashes": value}
    assert parse_infotext(infotext("p", "n", parameters))[2] == parameters


def test_only_values_that_need_it_are_quoted():
    text = infotext("p", "", {**ITEMS, "Model": "new bie", "TI hashes": "a: b"})
    assert text.endswith('Model: new bie, TI hashes: "a: b"')


@pytest.mark.parametrize(
    "prompt",
    [
        "a\nNegative prompt: b",
        "Negative prompt: b",
        "a\n  Negative prompt:b",
        "a Negative prompt: b\nNegative prompt:",
    ],
)
def test_a_prompt_line_never_starts_the_negative(prompt):
    again, negative, parameters = parse_infotext(infotext(prompt, "real", ITEMS))
    assert (negative, parameters) == ("real", ITEMS)
    assert again == "\n".join(line.strip() for line in prompt.replace("prompt:", "prompt :").split("\n"))


def test_a_prompt_that_ends_like_parameters_stays_prompt():
    text = infotext("a\nSteps: 1, Seed: 2, Size: 3x4", "", ITEMS)
    assert parse_infotext(text) == ("a\nSteps : 1, Seed: 2, Size: 3x4", "", ITEMS)
    assert text.count("\nSteps:") == 1


def test_fewer_than_three_items_are_prompt():
    assert parse_infotext("a cat\nSteps: 20, Seed: 3") == ("a cat\nSteps: 20, Seed: 3", "", {})
    with pytest.raises(ValueError, match="2 parameters"):
        infotext("a", "", {"Steps": "1", "Seed": "2", "Model": ""})


def test_an_empty_negative_leaves_no_line():
    assert "Negative" not in infotext("p", " \n", ITEMS)


@pytest.mark.parametrize("text", ["", "\n", "Negative prompt:", "word", "a: b"])
def test_any_text_can_be_parsed(text):
    prompt, negative, parameters = parse_infotext(text)
    assert parameters == {} and (prompt + negative) == text.strip().removeprefix("Negative prompt:")


@pytest.mark.parametrize(
    "text", ["a" * 200_000, " " * 200_000 + ":", 'aa:"' * 50_000, "a b" * 70_000, '"\\' * 90_000]
)
def test_hostile_text_is_parsed_in_time(text):
    start = time.monotonic()
    parse_infotext("x\n" + text)
    assert time.monotonic() - start < 2


@given(st.text(), st.text(), st.text(min_size=1))
def test_whatever_is_written_the_parts_stay_apart(prompt, negative, value):
    text = infotext(prompt, negative, {**ITEMS, "Model": value, "Version": "v"})
    last = text.strip().split("\n")[-1]
    assert [key for key, _ in WEBUI_PARAM.findall(last)] == [*ITEMS, "Model", "Version"]
    parsed_prompt, parsed_negative, parameters = parse_infotext(text)
    assert parameters == parameters | ITEMS
    assert bool(parsed_negative) == bool(negative.strip())
    assert "Negative prompt:" not in parsed_prompt


@given(st.text(alphabet='aB1 ,:"\\\n-/x', max_size=60))
def test_our_parser_finds_the_items_webui_finds(line):
    ours = parse_infotext("p\n" + line)[2]
    last = ("p\n" + line).strip().split("\n")[-1]
    theirs = WEBUI_PARAM.findall(last)
    keys = {key for key, value in theirs if value} if len(theirs) >= 3 else set()
    assert {key.removesuffix("-1").removesuffix("-2") for key in ours} <= {
        key.removesuffix("-1").removesuffix("-2") for key in keys
    }
