"""Words, prompts and scenes: what the small model is taught, and that nothing of it is lost on the way to tokens."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import tokenizers

from newbie_core.model.conditioning import S_TEXT, S_XML
from newbie_core.nano.batches import Writer
from newbie_core.nano.captions import Wording, prompt_for, training_prompt
from newbie_core.nano.scenes import (
    ATTRIBUTES,
    HELD_OUT,
    SIZES,
    choices_of,
    draw_scene,
    labels,
    pairs_held_out,
    random_scene,
    touched_scene,
)
from newbie_core.nano.tokenizer import UNKNOWN, Vocabulary, gemma_json, jina_json, vocabulary
from newbie_core.nano.trials import KINDS, trials
from newbie_core.nano.words import aliases, canonical_words, spelled


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


@pytest.fixture(scope="module")
def writer(words: Vocabulary) -> Writer:
    return Writer(words)


def names(words: Vocabulary, writer: Writer, text: str) -> list[str]:
    return [words.tokens[row - 4] if row > UNKNOWN else "<unk>" for row in writer.rows(text)]


@pytest.mark.parametrize("word", canonical_words())
def test_every_word_is_one_token(words: Vocabulary, writer: Writer, word: str) -> None:
    assert names(words, writer, word) == [spelled(word)]
    assert names(words, writer, f"<style>{word}</style>") == ["<style>", spelled(word)]


def test_other_names_have_the_row_of_their_word(words: Vocabulary, writer: Writer) -> None:
    wrong = {name: names(words, writer, name) for name, word in aliases().items()
             if names(words, writer, name) != [spelled(word)]}  # fmt: skip
    assert not wrong
    assert len(aliases()) > 500


def test_both_tokenizers_number_words_alike(words: Vocabulary) -> None:
    gemma = tokenizers.Tokenizer.from_buffer(gemma_json(words))
    jina = tokenizers.Tokenizer.from_buffer(jina_json(words))
    rng = random.Random(1)
    for _ in range(50):
        prompt = training_prompt(random_scene(rng), rng)
        assert gemma.encode(prompt).ids == jina.encode(prompt).ids
    assert gemma.get_vocab_size() == jina.get_vocab_size() == words.rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a girl with long red hair and cat ears", ["1girl", "long hair", "red hair", "cat ears"]),
        ("红发蓝眼的少女，双马尾", ["red hair", "blue eyes", "1girl", "twintails"]),
        ("水手服，樱花", ["serafuku", "cherry blossoms"]),
        ("1girl, (smile:1.2), PINK_HAIR", ["1girl", "smile", "pink hair"]),
        ("silver_hair, blue_hair_ribbon", ["white hair", "hair bow"]),
        ("<n>Long Red Hair</n><gender>1girl</gender>", ["<gender>", "1girl"]),
        ("<position>x:0.28, y:0.6</position>", ["<position>", "left"]),
        ("<position>x:0.72, y:0.6</position>", ["<position>", "right"]),
        ("black_blazer", ["black", "<unk>"]),
        (S_XML + "<general_tags>\n</general_tags>", [S_XML, "<general_tags>"]),
        (S_TEXT, [S_TEXT]),
        ("", []),
    ],
)  # fmt: skip
def test_what_people_write(words: Vocabulary, writer: Writer, text: str, expected: list[str]) -> None:
    assert names(words, writer, text) == expected


def test_training_prompts_have_only_the_unknown_words_that_are_meant(
    words: Vocabulary, writer: Writer
) -> None:
    rng = random.Random(2)
    unknown = 0
    for _ in range(400):
        prompt = training_prompt(random_scene(rng), rng)
        found = names(words, writer, prompt).count("<unk>")
        meant = sum(word in prompt for word in ("zylk", "qorvu", "brimtal", "fenwick", "dolat"))
        assert found == meant, prompt
        unknown += found
    assert unknown


def test_words_of_captions_join(words: Vocabulary) -> None:
    more = vocabulary(["momo_chan", "Momo Chan", "red_hair", "粉色斗篷"])
    assert more.own_rows == words.own_rows + 2
    assert names(more, Writer(more), "momo_chan, red_hair") == ["momo chan", "red hair"]


def test_held_out_pairs_are_held_out() -> None:
    rng = random.Random(3)
    people = [each for _ in range(1500) for each in random_scene(rng).characters]
    assert not any(map(pairs_held_out, people))
    seen = set()
    for trial in trials("held_out", 200, seed=1):
        (character,) = trial.scene.characters
        found = [pair for pair in HELD_OUT
                 if getattr(character, pair[0]) == pair[1] and getattr(character, pair[2]) == pair[3]]  # fmt: skip
        assert len(found) == 1
        seen.add(found[0])
    assert seen == set(HELD_OUT)


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


def test_labels_say_what_is_drawn() -> None:
    rng = random.Random(5)
    touched = 0
    for _ in range(300):
        for values in labels(touched_scene(rng)):
            touched += "expression" not in values
    assert touched > 50
    for values in labels(random_scene(rng)):
        assert "expression" in values


@pytest.mark.parametrize("kind", KINDS)
def test_trials_are_the_same_each_time(kind: str) -> None:
    assert list(trials(kind, 5, seed=3)) == list(trials(kind, 5, seed=3))  # type: ignore[arg-type]
    assert list(trials(kind, 5, seed=3)) != list(trials(kind, 5, seed=4))  # type: ignore[arg-type]


def test_flat_and_xml_prompts_tell_the_same_of_the_same_scene() -> None:
    xml, ordered, shuffled = (
        next(iter(trials(kind, 1, seed=9))) for kind in ("two", "two_ordered", "two_shuffled")
    )  # type: ignore[misc]
    assert xml.scene == ordered.scene == shuffled.scene
    flat = sorted(
        tag.strip()
        for tag in ordered.prompt.split(",")
        if tag.strip() not in ("left", "right", "1girl", "1boy")
    )
    assert {*flat} == {
        tag.strip() for tag in shuffled.prompt.split(",") if tag.strip() not in ("1girl", "1boy")
    }
    for tag in flat:
        assert tag in xml.prompt


def test_a_prompt_that_drops_everything_still_says_who() -> None:
    scene = random_scene(random.Random(6), count=1)
    prompt = prompt_for(scene, Wording(form="ordered", dropped=1.0), random.Random(1))
    assert set(prompt.split(", ")) <= {"1girl", "1boy"}
