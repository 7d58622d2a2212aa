"""Judging drawn characters component by component."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from newbie_core.errors import ModelError
from newbie_core.nano.judging import (
    CELL,
    OF_CHARACTERS,
    OF_PICTURES,
    Judge,
    Seen,
    components,
    cut_character,
    hair_colour_probe,
    seams,
    sureness,
    tag_list,
)
from newbie_core.nano.scenes import HAIR_COLOURS, character_boxes, draw_scene, random_scene
from newbie_core.taggers.deepdanbooru import Architecture, DeepDanbooru, Tagger


def make_tagger(tags):
    """A tagger nobody trained: its answers are any, but always the same."""
    torch.manual_seed(3)
    sizes = Architecture(stem=4, widths=(16, 32), blocks=(1, 1), tags=len(tags))
    return Tagger(DeepDanbooru(sizes), tags, side=64)


def make_scene(**changes):
    return random_scene(random.Random(5), **changes)


def test_each_character_gets_one_known_value_of_each_component():
    scene = make_scene(count=2)
    answers = Judge(make_tagger(tag_list())).characters(draw_scene(scene), character_boxes(scene))
    assert len(answers) == 2
    for answer in answers:
        assert list(answer) == list(OF_CHARACTERS)
        assert all(seen.value in components()[name] for name, seen in answer.items())


def test_the_value_is_the_likeliest_tag_of_its_component():
    scene = make_scene(count=1)
    tagger = make_tagger(tag_list())
    picture = draw_scene(scene)
    seen = Judge(tagger).picture(picture)["background"]
    values = components()["background"]
    found = dict(zip(tagger.tags, tagger.probabilities([picture])[0].tolist(), strict=True))
    assert values[seen.value] == max(values.values(), key=lambda tag: found[tag])
    assert seen.probability == pytest.approx(found[values[seen.value]])


def test_a_picture_is_judged_by_components_of_its_own():
    answer = Judge(make_tagger(tag_list())).picture(draw_scene(make_scene()))
    assert list(answer) == list(OF_PICTURES)


def test_the_order_of_a_taggers_tags_does_not_matter():
    scene = make_scene(count=1)
    tagger = make_tagger(tag_list())
    turned = make_tagger(tag_list()[::-1])
    head = f"n_Conv_{tagger.module.architecture.last}"
    turned.module.load_state_dict(tagger.module.state_dict())
    getattr(turned.module, head).weight.data = getattr(tagger.module, head).weight.data.flip(0)
    pictures = draw_scene(scene), character_boxes(scene)
    ((one,), (other,)) = (Judge(each).characters(*pictures) for each in (turned, tagger))
    # Products of matrices round otherwise when their rows stand otherwise.
    assert {
        name: (seen.value, pytest.approx(seen.probability, abs=1e-5)) for name, seen in other.items()
    } == {name: (seen.value, seen.probability) for name, seen in one.items()}


def test_a_tagger_of_other_things_is_refused_with_a_tag_it_lacks():
    with pytest.raises(ModelError, match='has no tag "female_focus"') as caught:
        Judge(make_tagger(["cat", "dog"]))
    assert caught.value.code == "E_TAGGER_TAGS"


def test_no_boxes_give_no_answers():
    assert Judge(make_tagger(tag_list())).characters(draw_scene(make_scene()), []) == []


def test_the_probe_reads_the_hair_colours_of_drawings():
    rng = random.Random("probe")
    right = total = 0
    for number in range(44):
        scene = random_scene(rng, count=1 + number % 2)
        picture = draw_scene(scene)
        for character, box in zip(scene.characters, character_boxes(scene), strict=True):
            total += 1
            right += hair_colour_probe(picture, box) == character.hair_colour
    assert right >= 0.95 * total


def test_the_probe_answers_for_a_box_outside_of_the_picture():
    assert hair_colour_probe(draw_scene(make_scene()), (-90, -90, -20, -10)) in HAIR_COLOURS


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((10.4, 20.6, 50.4, 60.4), (40, 39)),
        ((-30, -30, 20, 40), (20, 40)),
        ((-90, -90, -20, -10), (1, 1)),
        ((900, 900, 950, 950), (1, 1)),
    ],
)
def test_a_character_is_cut_at_the_pictures_edge(box, size):
    picture = draw_scene(make_scene()).resize((96, 128))
    assert cut_character(picture, box).size == size


def test_patches_of_two_pictures_show_seams():
    whole, other = (np.array(draw_scene(make_scene(count=2))) for make_scene in (one_night, one_beach))
    mixed = whole.copy()
    rng = np.random.default_rng(1)
    for top in range(0, whole.shape[0], CELL):
        for left in range(0, whole.shape[1], CELL):
            if rng.random() < 0.3:
                cell = np.s_[top : top + CELL, left : left + CELL]
                mixed[cell] = other[cell]
    assert 0.7 < seams(Image.fromarray(whole)) < 1.25
    assert seams(Image.fromarray(mixed)) > 1.5 * seams(Image.fromarray(whole))


def one_night(count):
    return replace(random_scene(random.Random(8), count=count), background="night_sky", width=192, height=192)


def one_beach(count):
    return replace(random_scene(random.Random(9), count=count), background="beach", width=192, height=192)


def test_closed_eyes_have_no_colour_to_be_sure_of():
    answers = {"eyes": Seen(value="heart", probability=0.8), "eye_colour": Seen(value="red", probability=0.1)}
    assert sureness(answers) == 0.8
    assert sureness({**answers, "eyes": Seen(value="open", probability=0.8)}) == 0.1
