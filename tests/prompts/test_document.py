"""The prompt as a value: canonical text, parsing, flat form."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie_core.errors import PromptError
from newbie_core.prompts.document import (
    CHARACTER_FIELDS,
    GENERAL_FIELDS,
    SCENE_FIELDS,
    TEXT_FIELDS,
    Prompt,
    escape_xml,
    make_block,
    position_point,
    split_tags,
)
from newbie_core.prompts.parsing import SIZE_LIMIT, parse_prompt

TWO = """\
<character_1>
<n>miku</n>
<gender>1girl</gender>
<appearance>blue_hair, long_twintails</appearance>
<position>x:0.2, y:0.7</position>
</character_1>

<character_2>
<n>$character_2$</n>
<gender>1boy</gender>
<appearance>black_hair</appearance>
<position>right</position>
</character_2>

<scene>
<background>classroom</background>
<lighting>daylight</lighting>
</scene>

<general_tags>
<count>1girl, 1boy</count>
<style>anime_style</style>
<composition>upper_body</composition>
</general_tags>

<caption>Two students, one "umbrella".</caption>
"""
AWKWARD = [
    "a & b",
    "<b>",
    "2 > 1",
    "it's",
    'say "hi"',
    "&amp",
    "&#39",
    "🎀✨",
    "長い髪",
    "شعر أزرق",
    "é̂",
    "]]>",
    "100%",
    "{{ x }}",
]


def make_prompt(**general):
    fields = {name: (text,) for name, text in general.items()} or {"style": ("anime_style",)}
    return Prompt(general=make_block("general_tags", fields, GENERAL_FIELDS))


def refusal(text: str, **options) -> PromptError:
    with pytest.raises(PromptError) as caught:
        parse_prompt(text, **options)
    return caught.value


def in_character(inner: str) -> str:
    return f"<character_1>\n{inner}\n</character_1>"


# Canonical text


def test_canonical_text_parses_to_itself():
    assert parse_prompt(TWO).to_xml() == TWO


def test_fields_come_in_one_order_whatever_order_they_were_written_in():
    swapped = "<general_tags><style>b</style><count>1girl</count></general_tags>" + in_character(
        "<appearance>blue_hair</appearance><n>miku</n>"
    )
    assert parse_prompt(swapped).to_xml() == (
        "<character_1>\n<n>miku</n>\n<appearance>blue_hair</appearance>\n</character_1>\n\n"
        "<general_tags>\n<count>1girl</count>\n<style>b</style>\n</general_tags>\n"
    )


def test_white_space_repeated_tags_and_empty_fields_leave_no_trace():
    spaced = in_character("  <n> miku\n hatsune </n><clothing></clothing>\n<pose>a ,b,\n a</pose>")
    assert parse_prompt(spaced).to_xml() == in_character("<n>miku hatsune</n>\n<pose>a, b</pose>") + "\n"


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("field", ["style", "artists"])
def test_awkward_text_survives_a_round_trip(field, text):
    prompt = make_prompt(**{field: text})
    assert parse_prompt(prompt.to_xml()) == prompt


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_names_and_captions_survive_a_round_trip(text):
    block = make_block("character", {"n": (text,)}, CHARACTER_FIELDS)
    prompt = Prompt(characters=(block,), caption=text)
    assert parse_prompt(prompt.to_xml()) == prompt


def test_quotes_are_written_as_they_are_because_the_text_encoder_reads_them():
    assert escape_xml("\"a\" 'b' & <c>") == "\"a\" 'b' &amp; &lt;c&gt;"


characters_of_xml = st.characters(
    exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff,，、;；"
).filter(lambda c: ord(c) & 0xFFFE != 0xFFFE)
tags = st.text(characters_of_xml, min_size=1, max_size=12).map(lambda t: " ".join(t.split())).filter(bool)
words = st.lists(tags, min_size=1, max_size=4, unique=True).map(tuple)


def fields_of(names):
    def one(name):
        if name == "position":
            return st.sampled_from([("left",), ("x:0.5, y:0.7",), ("x:0, y:1",)])
        return tags.map(lambda t: (t,)) if name in TEXT_FIELDS else words

    return st.sets(st.sampled_from(names), min_size=1).flatmap(
        lambda chosen: st.fixed_dictionaries({name: one(name) for name in sorted(chosen)})
    )


def blocks(kind, names):
    return fields_of(names).map(lambda fields: make_block(kind, fields, names))


prompts = st.builds(
    Prompt,
    characters=st.lists(blocks("character", CHARACTER_FIELDS), min_size=1, max_size=3).map(tuple),
    scene=st.none() | blocks("scene", SCENE_FIELDS),
    general=st.none() | blocks("general_tags", GENERAL_FIELDS),
    caption=st.just("") | tags,
)


@settings(max_examples=30, deadline=None)
@given(prompts)
def test_every_prompt_reads_back_from_its_canonical_text(prompt):
    assert parse_prompt(prompt.to_xml()) == prompt
    assert parse_prompt(prompt.to_xml()).to_xml() == prompt.to_xml()


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_prompt_or_a_prompt_error(text):
    try:
        parse_prompt(text)
    except PromptError as error:
        assert str(error)


@settings(deadline=None)
@given(st.text(st.sampled_from("<>/&;?!-[]= \"'acn1_\n"), max_size=80))
def test_any_scrap_of_markup_is_a_prompt_or_a_prompt_error(text):
    try:
        parse_prompt(text)
    except PromptError as error:
        assert str(error)


# What may stand in a prompt


@pytest.mark.parametrize(
    ("block", "field"),
    [
        *(("character_1", field) for field in CHARACTER_FIELDS),
        *(("scene", field) for field in SCENE_FIELDS),
        *(("general_tags", field) for field in GENERAL_FIELDS),
    ],
)
def test_every_element_of_the_vocabulary_is_read(block, field):
    text = f"<{block}>\n<{field}>left</{field}>\n</{block}>\n"
    assert parse_prompt(text).to_xml() == text


@pytest.mark.parametrize("root", ["prompt", "image", "img", "document"])
def test_a_known_root_element_is_tolerated(root):
    assert parse_prompt(f"<{root}>\n{TWO}</{root}>") == parse_prompt(TWO)


def test_an_xml_declaration_and_comments_are_tolerated():
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- tonight -->\n' + TWO
    assert parse_prompt(text) == parse_prompt(TWO)


@pytest.mark.parametrize("tag", ["character 1", "character-1"])
def test_loosely_written_character_tags_are_read(tag):
    assert parse_prompt(f"<{tag}><n>miku</n></{tag}>").to_xml().startswith("<character_1>")


def test_the_long_names_of_elements_are_read():
    prompt = parse_prompt(
        in_character("<name>miku</name>") + "<general_tags><artist>x</artist></general_tags>"
    )
    assert prompt.characters[0].get("n") == ("miku",)
    assert prompt.general.get("artists") == ("x",)


def test_a_style_before_everything_joins_the_general_tags():
    prompt = parse_prompt(
        "<style>flat_color</style><general_tags><style>a, flat_color</style></general_tags>"
    )
    assert prompt.general.get("style") == ("flat_color", "a")


def test_a_catalogs_further_fields_are_read_behind_the_known_ones():
    text = in_character("<mood>calm</mood>\n<n>miku</n>")
    assert parse_prompt(text, extra_fields=["mood"]).characters[0].fields == (
        ("n", ("miku",)),
        ("mood", ("calm",)),
    )
    assert "<mood> is not a known element" in str(refusal(text))


# What is refused, with its line


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("<character_1>\n<n>a</n>\n<colour>b</colour>\n</character_1>", 3, "<colour> is not a known element"),
        ("<character_1>\n<apearance>b</apearance>\n</character_1>", 2, "did you mean <appearance>"),
        (
            "<character_1>\n<n>a</n>\n</character_1>\n<character_3>\n</character_3>",
            4,
            "<character_2> was expected",
        ),
        ("<general_tags>\n<style>a</style>\n<style>b</style>\n</general_tags>", 3, "stands twice"),
        ("<scene>\n<lighting>a</lighting>\n</scene>\n<scene>\n</scene>", 4, "stands twice"),
        ("<caption>a</caption>\n<caption>b</caption>", 2, "stands twice"),
        ("<scene>\nloose words\n</scene>", 1, '"loose words" stands outside every field'),
        ("loose\n<caption>a</caption>", 1, '"loose" stands outside'),
        ("<general_tags>\n<style><b>a</b></style>\n</general_tags>", 2, "it may hold only text"),
        ('<general_tags>\n<style lang="en">a</style>\n</general_tags>', 2, "has attributes"),
        ("<general_tags>\n<?php x?>\n</general_tags>", 2, "processing instruction"),
        ("<general_tags>\n<style>a<?php x?>b</style>\n</general_tags>", 2, "processing instruction"),
        ("<?xml-stylesheet href='x'?>\n<caption>a</caption>", 1, "processing instruction"),
        ("<general_tags>\n<style>a & b</style>\n</general_tags>", 2, "not well-formed"),
        ("<general_tags>\n<style>a</general_tags>", 2, "not well-formed"),
        ("<general_tags>\n<style>&xxe;</style>\n</general_tags>", 2, "not well-formed"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>\n<caption>a</caption>', 1, "DTD or an entity"),
        ("<caption>a</caption>\n<!doctype x>", 2, "DTD or an entity"),
        ("<character_1>\n<n>a</n>\n<position>x:2, y:0.5</position>\n</character_1>", 3, "values from 0 to 1"),
    ],
)
def test_what_is_no_prompt_is_refused_with_its_line(text, line, said):
    error = refusal(text)
    assert error.line == line
    assert f"line {line}: " in str(error)
    assert said in str(error)


def test_lines_are_counted_behind_a_declaration_too():
    assert refusal('\n<?xml version="1.0"?>\n<caption>a</caption>\n<other/>').line == 4


@pytest.mark.parametrize("text", ["", "   \n", "<prompt></prompt>", "<caption> </caption>"])
def test_an_empty_prompt_is_refused(text):
    assert refusal(text).code == "E_PROMPT_EMPTY"


def test_control_characters_are_refused():
    assert refusal("<caption>a\x00b</caption>").code == "E_PROMPT_XML"
    assert refusal("<caption>a\x1bb</caption>").code == "E_PROMPT_XML"


def test_a_prompt_over_the_size_limit_is_refused():
    assert refusal("<caption>" + "x" * SIZE_LIMIT + "</caption>").code == "E_PROMPT_SIZE"


def test_deep_nesting_is_refused():
    assert refusal("<a>" * 5000 + "</a>" * 5000).code in ("E_PROMPT_XML", "E_PROMPT_ELEMENT")


def test_external_entities_are_never_opened(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    error = refusal(f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret}">]><caption>&a;</caption>')
    assert "hunter2" not in str(error)


# The flat form


def test_the_flat_form_is_count_characters_and_general_tags():
    assert parse_prompt(TWO).flatten() == (
        "1girl, 1boy, miku, blue_hair, long_twintails, on_the_left, black_hair, right, upper_body, classroom, "
        'daylight, anime_style, Two students, one "umbrella".'
    )


def test_the_prefixed_flat_form_binds_each_characters_tags():
    flat = parse_prompt(TWO).flatten(prefixed=True)
    assert "[char1]blue_hair" in flat
    assert "[char2]black_hair" in flat
    assert flat.startswith("1girl, 1boy, [char1]miku, ")


def test_a_placeholder_name_is_no_tag():
    assert "$character_2$" not in parse_prompt(TWO).flatten()


@pytest.mark.parametrize(
    ("x", "words"), [("0.1", "on_the_left"), ("0.5", "in_the_center"), ("0.9", "on_the_right")]
)
def test_a_point_becomes_words_in_the_flat_form(x, words):
    assert words in parse_prompt(in_character(f"<position>x:{x}, y:0.5</position>")).flatten()


@settings(max_examples=15, deadline=None)
@given(prompts)
def test_every_tag_stands_in_the_flat_form(prompt):
    flat = prompt.flatten()
    assert all(tag in flat for block in prompt.characters for tag in block.tags())
    assert prompt.caption in flat


def test_a_tag_of_two_fields_stands_once_in_the_flat_form():
    twice = "<scene><background>classroom</background></scene><general_tags><objects>classroom</objects></general_tags>"
    assert parse_prompt(twice).flatten() == "classroom"


# Tags and positions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a, b", ("a", "b")),
        ("长发，蓝眼、微笑；制服", ("长发", "蓝眼", "微笑", "制服")),
        ("a;b\nc", ("a", "b", "c")),
        (" a  b , , a b", ("a b",)),
        ("", ()),
        (" , ", ()),
        ("one tag", ("one tag",)),
    ],
)
def test_tags_are_split_at_western_and_cjk_separators_and_kept_once(text, expected):
    assert split_tags(text) == expected


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("x:0.5, y:0.7", (0.5, 0.7)),
        (" x : .5,y:1 ", (0.5, 1.0)),
        ("left", None),
        ("x:0.5", None),
        ("x:a, y:b", None),
    ],
)
def test_a_position_is_a_point_or_a_word(text, point):
    assert position_point(text) == point
