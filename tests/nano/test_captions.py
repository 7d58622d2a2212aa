"""Prompts: each form says what the scene shows, no more than asked for, and nothing of what stays unseen."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from lxml import etree

from newbie_core.nano.captions import (
    EMPTY,
    FORMS,
    SPARSE,
    Form,
    Wording,
    count_tag,
    prompt_for,
    training_prompt,
)
from newbie_core.nano.scenes import (
    EXPECTED,
    EXPECTED_BACKGROUND,
    EXPECTED_STYLE,
    FRAMING,
    HAIR_STYLES,
    Character,
    Scene,
    random_scene,
    training_scene,
)
from newbie_core.nano.words import FIELDS, MOST_CHARACTERS, NEGATIVE

EVERY_FORM: tuple[Form, ...] = tuple(form for form, _ in FORMS)


def make_scenes(number: int = 60, *, count: int | None = None) -> list[Scene]:
    rng = random.Random(11)
    return [random_scene(rng, count=count) for _ in range(number)]


def make_scene(**changes: object) -> Scene:
    return replace(make_scenes(1, count=2)[0], **changes)  # type: ignore[arg-type]


def tags_of(character: Character) -> list[str]:
    worn = [] if character.accessory == "none" else [character.accessory]
    return [
        f"{character.hair_colour}_hair", *HAIR_STYLES[character.hair_style], f"{character.eye_colour}_eyes",
        f"{character.garment_colour}_{character.garment}", *worn, character.expression, character.arms,
    ]  # fmt: skip


def parsed(prompt: str) -> etree._Element:
    return etree.fromstring(f"<prompt>{prompt}</prompt>")


def listed(text: str | None) -> list[str]:
    return [tag.strip() for tag in (text or "").split(",") if tag.strip()]


def test_xml_tells_everything_of_each_character_in_its_own_block() -> None:
    for scene in make_scenes():
        root = parsed(prompt_for(scene, Wording(), random.Random(1)))
        for number, character in enumerate(scene.characters, 1):
            block = root.find(f"character_{number}")
            assert block is not None
            told = [tag for field in block for tag in listed(field.text)]
            where = [character.position] if len(scene.characters) > 1 else []
            assert sorted(told) == sorted([character.gender, *tags_of(character), *where])
        said = [tag for field in root.iter() if field.tag in ("background", "composition") for tag in
                listed(field.text)]  # fmt: skip
        alone = scene.characters[0].position if len(scene.characters) == 1 else "center"
        assert sorted(said) == sorted([scene.background, FRAMING, *([alone] if alone != "center" else [])])
        count = root.find("general_tags/count")
        assert count is not None
        assert count.text == count_tag(scene)


def test_xml_has_only_elements_that_have_tokens() -> None:
    known = {*FIELDS, "prompt", *(f"character_{number}" for number in range(1, MOST_CHARACTERS + 1))}
    rng = random.Random(2)
    for scene in make_scenes(200):
        prompt = training_prompt(scene, rng)
        if prompt.startswith("<"):
            assert {str(element.tag) for element in parsed(prompt).iter()} <= known


def test_tags_in_order_keep_each_characters_together() -> None:
    for scene in make_scenes(count=2):
        told = listed(prompt_for(scene, Wording(form="ordered"), random.Random(1)))
        left, right = scene.characters
        middle = told.index("left")
        head = listed(count_tag(scene))
        assert sorted(told[len(head) : middle]) == sorted([left.gender, *tags_of(left)])
        behind = told[middle + 1 : told.index("right", middle)]
        assert sorted(behind) == sorted([right.gender, *tags_of(right)])


def test_shuffled_tags_tell_all_and_nothing_twice() -> None:
    for scene in make_scenes():
        prompt = prompt_for(scene, Wording(form="shuffled"), random.Random(1))
        told = listed(prompt)
        assert len(set(told)) == len(told)
        assert {tag for each in scene.characters for tag in tags_of(each)} <= set(told)


def test_characters_told_from_right_to_left_say_where_they_stand() -> None:
    scene = make_scene()
    root = parsed(prompt_for(scene, Wording(reverse=True), random.Random(1)))
    assert [field.text for field in root.iter("position")] == ["right", "left"]
    # Without positions the order is all there is, and stays.
    silent = parsed(prompt_for(scene, Wording(reverse=True, positions=False), random.Random(1)))
    assert silent.find("character_1//position") is None
    first = silent.find("character_1/appearance")
    assert first is not None
    assert f"{scene.characters[0].hair_colour}_hair" in listed(first.text)


@pytest.mark.parametrize("form", EVERY_FORM)
def test_a_share_of_one_leaves_only_what_is_not_expected(form: Form) -> None:
    for scene in make_scenes(40):
        prompt = prompt_for(scene, Wording(form=form, dropped=1.0, positions=False), random.Random(1))
        told = set(listed(re.sub(r"<[^>]*>", ",", prompt)))
        assert told - {"1girl", "2girls", "3girls", "1boy", "2boys", "3boys"} == unexpected(scene)


def unexpected(scene: Scene, styles: Mapping[str, Sequence[str]] = HAIR_STYLES) -> set[str]:
    """Tags of what nobody would think of without a word of it; `styles` are those that a style of hair is told by."""
    found = {scene.background} - {EXPECTED_BACKGROUND}
    for each in scene.characters:
        found |= {each.accessory, each.arms} - {*EXPECTED.values()}
        if each.hair_style != EXPECTED_STYLE[each.gender]:
            found |= {*styles[each.hair_style]}
    if len(scene.characters) == 1:
        found |= {scene.characters[0].position} - {"center"}
    return found


def test_of_what_no_prompt_of_training_names_nothing_is_drawn() -> None:
    rng = random.Random(8)
    short = 0
    for _ in range(2_000):
        scene = training_scene(rng)
        prompt = training_prompt(scene, rng)
        told = {*listed(re.sub(r"<[^>]*>", ",", prompt))}
        if not told or told <= {*NEGATIVE}:  # of no prompt at all everything may be drawn
            continue
        # The shortest way to tell a style is its own tag alone.
        assert unexpected(scene, {name: (name,) for name in HAIR_STYLES}) <= told, prompt
        short += len(scene.characters) == 1 and not unexpected(scene) and len(told) <= 6
    assert short > 25  # such as people type who try a model out


@pytest.mark.parametrize("form", EVERY_FORM)
def test_what_is_unseen_is_never_told(form: Form) -> None:
    rng = random.Random(3)
    for scene in make_scenes():
        prompt = prompt_for(scene, Wording(form=form, extras=True), rng)
        unseen = {tag for each in scene.characters for tag in each.unseen}
        assert not any(tag in prompt for tag in unseen)


def test_extras_never_tell_another_value_of_what_is_shown() -> None:
    rng = random.Random(4)
    for scene in make_scenes(200, count=1):
        (character,) = scene.characters
        prompt = prompt_for(scene, Wording(form="ordered", extras=True), rng)
        hair = [
            tag
            for tag in listed(prompt)
            if tag.endswith("_hair") and tag.split("_")[0] not in ("short", "long")
        ]
        assert set(hair) <= {f"{character.hair_colour}_hair", character.hair_style}
        assert [tag for tag in listed(prompt) if tag.endswith("_eyes") and tag != "closed_eyes"] in (
            [f"{character.eye_colour}_eyes"],
            [f"{character.eye_colour}_eyes", "half-closed_eyes"],
            ["half-closed_eyes", f"{character.eye_colour}_eyes"],
        )


@pytest.mark.parametrize(
    ("genders", "found"),
    [
        (("1girl",), "1girl"),
        (("1boy",), "1boy"),
        (("1girl", "1girl"), "2girls"),
        (("1boy", "1girl", "1boy"), "1girl, 2boys"),
        (("1boy", "1boy", "1boy"), "3boys"),
    ],
)
def test_people_are_counted_as_tags_count_them(genders: tuple[str, ...], found: str) -> None:
    someone = make_scene().characters[0]
    people = tuple(replace(someone, gender=gender) for gender in genders)
    assert count_tag(make_scene(characters=people)) == found


def test_training_sees_every_kind_of_prompt_in_its_share() -> None:
    rng, scene = random.Random(5), make_scene()
    kinds: Counter[str] = Counter()
    for _ in range(4_000):
        prompt = training_prompt(scene, rng)
        only_negative = prompt and {*listed(prompt)} <= {*NEGATIVE}
        kinds[
            "empty" if not prompt else "negative" if only_negative else "xml" if "<" in prompt else "tags"
        ] += 1
    # Four standard deviations of a binomial share are at most 3 points.
    assert kinds["empty"] / 4_000 == pytest.approx(EMPTY, abs=0.016)
    assert kinds["negative"] / 4_000 == pytest.approx(0.03, abs=0.011)
    assert kinds["xml"] / 4_000 == pytest.approx(0.91 * (0.72 - SPARSE * (0.72 - 0.28)), abs=0.03)


def test_many_prompts_of_training_tell_little() -> None:
    """As people type who try a model out: who, and a thing or two."""
    rng, scenes = random.Random(5), make_scenes(100, count=1)
    little = 0
    for scene in scenes * 20:
        prompt = training_prompt(scene, rng)
        little += sum(tag in prompt for tag in tags_of(scene.characters[0])) <= 4
    assert little / 2_000 == pytest.approx(EMPTY + 0.03 + 0.91 * SPARSE, abs=0.08)


def test_the_dice_alone_decide_a_prompt() -> None:
    scene = make_scene()
    first, again, other = (
        [training_prompt(scene, rng) for _ in range(9)] for rng in map(random.Random, (6, 6, 7))
    )
    assert first == again != other
    assert len(set(first)) > 4
