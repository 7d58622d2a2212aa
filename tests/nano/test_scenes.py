"""Scenes: who is in them, what is held back from training, and where everybody stands."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageChops

from newbie_core.drawing import understand
from newbie_core.nano.dataset import scene_of
from newbie_core.nano.scenes import (
    ASIDE,
    ATTRIBUTES,
    BEHIND,
    BOY_GARMENTS,
    BOY_STYLES,
    EXPECTED_STYLE,
    EYES,
    FACE,
    FACE_PARTS,
    HANDS,
    HARD_SHARE,
    HEAD,
    HELD_OUT,
    LOOSE_TOUCHES,
    ON_HEAD,
    PLACES,
    PLAIN_SHARE,
    SIZES,
    VIEWS,
    Character,
    Scene,
    character_boxes,
    choices_of,
    draw_scene,
    importance,
    is_hard,
    labels,
    pairs_held_out,
    plain,
    random_scene,
    random_size,
    touched_scene,
    training_scene,
    with_pair,
)
from newbie_core.nano.trials import trials


def make_scene(number: int = 1, *, count: int | None = None) -> Scene:
    return random_scene(random.Random(number), count=count)


def pairs_of(character: Character) -> list[tuple[str, str, str, str]]:
    return [pair for pair in HELD_OUT
            if getattr(character, pair[0]) == pair[1] and getattr(character, pair[2]) == pair[3]]  # fmt: skip


def test_two_thousand_training_scenes_hold_no_held_out_pair() -> None:
    people = [each for number in range(2_000) for each in scene_of(1, number).characters]
    assert not any(pairs_of(each) for each in people)
    # Each half of a pair is learnt alone.
    for one, first, other, second in HELD_OUT:
        assert any(getattr(each, one) == first for each in people)
        assert any(getattr(each, other) == second for each in people)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_held_out_scene_has_one_pair_and_its_first_character_has_it(count: int) -> None:
    rng = random.Random(2)
    for _ in range(300):
        first, *others = random_scene(rng, count=count, held_out=True).characters
        assert len(pairs_of(first)) == 1
        assert pairs_held_out(first)
        assert not any(map(pairs_held_out, others))


@pytest.mark.parametrize("pair", HELD_OUT)
def test_any_character_can_be_given_a_pair(pair: tuple[str, str, str, str]) -> None:
    rng = random.Random(3)
    for number in range(40):
        before = make_scene(number).characters[0]
        made = with_pair(rng, before, pair)
        assert pairs_of(made) == [pair]
        assert (made.x, made.position, made.unseen) == (before.x, before.position, before.unseen)


def test_held_out_pairs_are_of_values_that_exist() -> None:
    for one, first, other, second in HELD_OUT:
        assert first in choices_of(one)
        assert second in choices_of(other)


def test_scenes_keep_to_what_can_be_told_apart() -> None:
    rng = random.Random(4)
    for _ in range(500):
        scene = random_scene(rng)
        people = scene.characters
        assert len({each.hair_colour for each in people}) == len(people)
        assert [each.x for each in people] == sorted(each.x for each in people)
        for each in people:
            if each.gender == "1boy":
                assert each.hair_style in BOY_STYLES
                assert each.garment in BOY_GARMENTS
        if len(people) > 1:
            assert [each.position for each in people] == [["left", "right"], ["left", "center", "right"]][
                len(people) - 2
            ]


def test_three_people_get_a_wide_picture() -> None:
    rng = random.Random(5)
    assert {random_size(rng, 3) for _ in range(300)} == {SIZES[2]}
    assert {random_size(rng, 1) for _ in range(300)} == set(SIZES)


def test_hard_scenes_come_more_often_in_training() -> None:
    asked, bare, learnt = (
        [is_hard(make(random.Random(number))) for number in range(1500)]
        for make in (random_scene, lambda rng: plain(random_scene(rng)), training_scene)
    )
    usual, of_plain, more = (sum(each) / len(each) for each in (asked, bare, learnt))
    assert usual > 0.1
    assert abs(more - (HARD_SHARE + PLAIN_SHARE * of_plain + (1 - HARD_SHARE - PLAIN_SHARE) * usual)) < 0.04


def test_plain_scenes_show_only_what_is_expected_and_come_more_often_in_training() -> None:
    scene = random_scene(random.Random(3), count=2)
    made = plain(scene)
    assert {each.hair_style for each in made.characters} <= {*EXPECTED_STYLE.values()}
    assert {(each.accessory, each.arms) for each in made.characters} == {("none", "arms_at_sides")}
    assert made.background == "simple_background"
    kept = ("gender", "hair_colour", "eye_colour", "expression", "garment", "garment_colour", "x", "hand")
    for before, after in zip(scene.characters, made.characters, strict=True):
        assert [getattr(before, name) for name in kept] == [getattr(after, name) for name in kept]
    learnt = [training_scene(random.Random(number)) for number in range(1500)]
    share = sum(each == plain(each) for each in learnt) / len(learnt)
    assert abs(share - PLAIN_SHARE) < 0.04


def test_hard_scenes_are_dark_ones_and_wide_ones_of_few() -> None:
    scenes = [random_scene(random.Random(number)) for number in range(600)]
    hard = {
        (each.background in ("night_sky", "city_night"), each.width, len(each.characters))
        for each in scenes
        if is_hard(each)
    }
    assert {width for dark, width, _ in hard if not dark} == {288}
    assert {count for dark, _, count in hard if not dark} == {1, 2}
    assert {dark for dark, *_ in hard} == {True, False}


def test_the_asked_number_of_people_comes() -> None:
    assert [len(make_scene(count=count).characters) for count in (1, 2, 3)] == [1, 2, 3]
    assert make_scene(7) == make_scene(7) != make_scene(8)


def test_every_tag_of_a_scene_can_be_drawn() -> None:
    rng = random.Random(6)
    for _ in range(200):
        for each in touched_scene(rng).characters:
            assert understand(each.tags()).unknown == ()


def test_a_scene_is_drawn_at_its_size() -> None:
    scene = make_scene()
    assert draw_scene(scene).size == (scene.width, scene.height)
    assert draw_scene(scene).mode == "RGB"


@pytest.mark.parametrize("name", ["hair_colour", "eye_colour", "expression", "garment", "arms"])
def test_another_value_is_another_picture(name: str) -> None:
    scene = replace(make_scene(9, count=1), background="simple_background")
    drawn = set()
    for value in choices_of(name):
        character = replace(scene.characters[0], accessory="none", **{name: value})  # type: ignore[arg-type]
        if name == "eye_colour":
            character = replace(character, expression="neutral")
        drawn.add(draw_scene(replace(scene, characters=(character,))).tobytes())
    assert len(drawn) == len(choices_of(name))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_hair_and_eyes_are_inside_the_box_of_their_character(count: int) -> None:
    for number in range(6):
        scene = make_scene(number, count=count)
        for index, (character, box) in enumerate(zip(scene.characters, character_boxes(scene), strict=True)):
            bare = replace(
                character, accessory="none"
            )  # animal ears have the colour of hair and reach higher
            other = {"red": "blue"}.get(character.hair_colour, "red")
            people = list(scene.characters)
            people[index] = replace(bare, hair_colour=other, eye_colour="green", hair_style="short_hair")
            base = list(scene.characters)
            base[index] = replace(bare, eye_colour="brown", hair_style="short_hair")
            one, two = (draw_scene(replace(scene, characters=tuple(each))) for each in (base, people))
            changed = (
                ImageChops.difference(one, two).convert("L").point(lambda value: 255 * (value > 24)).getbbox()
            )
            assert changed is not None
            left, top, right, bottom = box
            # A few pixels beside: heads tilt.
            assert left - 4 <= changed[0] < changed[2] <= right + 4
            assert top - 4 <= changed[1] < changed[3] <= bottom + 4


def test_faces_count_most_and_what_is_behind_everybody_least() -> None:
    scene = make_scene(count=2)
    table = importance(scene, 8)
    assert table.shape == (scene.height // 8, scene.width // 8)
    assert set(np.unique(table)) == {np.float32(each) for each in (BEHIND, 1.0, ON_HEAD, FACE, EYES)}
    for each in scene.characters:
        assert (
            table[(HEAD + 12) // 8, (each.x - 17) // 8] == table[(HEAD + 12) // 8, (each.x + 17) // 8] == EYES
        )
        assert table[(HEAD + 32) // 8, each.x // 8] == FACE
        assert table[(HEAD - 60) // 8, each.x // 8] == ON_HEAD
        assert table[(HEAD + 90) // 8, each.x // 8] == 1.0
    assert table[0, scene.width // 16] == BEHIND


def test_hands_and_views_change_what_no_prompt_tells() -> None:
    scene = make_scene(3, count=1)
    character = scene.characters[0]
    drawn = {
        draw_scene(replace(scene, characters=(replace(character, hand=str(hand), unseen=unseen),))).tobytes()
        for hand, unseen in enumerate(HANDS)
    }
    assert len(drawn) == len(HANDS)
    night = replace(scene, background="night_sky")
    assert len({draw_scene(replace(night, seed=view)).tobytes() for view in range(VIEWS)}) == VIEWS


def test_heads_stand_whole_cells_apart() -> None:
    assert all((x - PLACES[192, 1][0]) % 16 == 0 for places in PLACES.values() for x in places)
    assert all(step % 16 == 0 for step in ASIDE.values())
    assert all((width, count) in PLACES for width, _ in SIZES for count in (1, 2))


def test_labels_name_no_expression_where_a_touch_changed_the_face() -> None:
    scene = make_scene(count=1)
    plain = replace(scene.characters[0], expression="smile", unseen=())
    touched = replace(plain, unseen=("v-shaped_eyebrows",))
    before, after = (labels(replace(scene, characters=(each,)))[0] for each in (plain, touched))
    assert before["expression"] == "smile"
    assert "expression" not in after
    assert before["brows"] != after["brows"]
    assert {part: before[part] for part in FACE_PARTS[1:]} == {part: after[part] for part in FACE_PARTS[1:]}


@pytest.mark.parametrize("part", LOOSE_TOUCHES)
def test_loose_touches_change_the_part_they_are_listed_under(part: str) -> None:
    for touch in LOOSE_TOUCHES[part]:
        assert part in understand((touch,)).attributes, touch


def test_scenes_cover_every_value_and_draw_alike() -> None:
    rng = random.Random(4)
    scenes = [random_scene(rng) for _ in range(600)]
    for name in ATTRIBUTES:
        assert {getattr(each, name) for scene in scenes for each in scene.characters} == set(choices_of(name))
    assert {(scene.width, scene.height) for scene in scenes} == set(SIZES)
    assert {len(scene.characters) for scene in scenes} == {1, 2, 3}
    assert draw_scene(scenes[0]).tobytes() == draw_scene(scenes[0]).tobytes()
    assert (
        draw_scene(scenes[0]).tobytes() != draw_scene(replace(scenes[0], seed=scenes[0].seed + 1)).tobytes()
    )


def test_every_held_out_pair_is_tried() -> None:
    seen: set[tuple[str, str, str, str]] = set()
    for trial in trials("held_out", 200, seed=1):
        (found,) = pairs_of(trial.scene.characters[0])
        seen.add(found)
    assert seen == set(HELD_OUT)
