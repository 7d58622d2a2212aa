"""From a prompt to tokens, and through an ordinary checkpoint: unknown words and sizes are named there."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import tokenizers
import torch
from PIL import Image

from newbie_core.engines import load_engine
from newbie_core.engines.newbie import NewbieEngine
from newbie_core.errors import PictureError
from newbie_core.model import NewBieImagePipeline
from newbie_core.model.autoencoder import build_autoencoder
from newbie_core.model.conditioning import S_TEXT, S_XML
from newbie_core.nano.batches import Writer
from newbie_core.nano.captions import training_prompt
from newbie_core.nano.export import export_model
from newbie_core.nano.network import AUTOENCODER, Network
from newbie_core.nano.scenes import SIZES, random_scene
from newbie_core.nano.tokenizer import (
    GEMMA_SPECIAL,
    JINA_SPECIAL,
    UNKNOWN,
    Vocabulary,
    gemma_json,
    jina_json,
    vocabulary,
)
from newbie_core.nano.words import aliases, canonical_words, spelled
from newbie_core.plans import Job


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


@pytest.fixture(scope="module")
def writer(words: Vocabulary) -> Writer:
    return Writer(words)


@pytest.fixture(scope="module")
def model(words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of weights that nobody trained."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("exported") / "model"
    export_model(folder, Network(words), build_autoencoder(AUTOENCODER), words, sizes=SIZES)
    return folder


@pytest.fixture
def engine(model: Path) -> Iterator[NewbieEngine]:
    engine = load_engine("newbie", {"model": str(model), "device": "cpu"})
    assert isinstance(engine, NewbieEngine)
    yield engine
    engine.close()


def names(words: Vocabulary, writer: Writer, text: str) -> list[str]:
    return [words.tokens[row - 4] if row > UNKNOWN else "<unk>" for row in writer.rows(text)]


def make_job(prompt: str, *, name: str = "p", negative: str = "", width: int = 192, height: int = 192) -> Job:
    return Job(
        id=name, key="0" * 64, prompt=prompt, negative=negative, seed=1, width=width, height=height,
        steps=1, guidance="3",
    )  # fmt: skip


@pytest.mark.parametrize("make", [gemma_json, jina_json])
def test_ids_go_up_without_a_gap_and_texts_are_told_apart(words: Vocabulary, make: object) -> None:
    table = json.loads(make(words))  # type: ignore[operator]
    added = table["added_tokens"]
    assert [each["id"] for each in added] == list(range(words.rows))
    assert len({each["content"] for each in added}) == words.rows
    assert make(words) == make(vocabulary())  # type: ignore[operator]


def test_special_tokens_stand_where_each_encoder_looks_for_them() -> None:
    assert GEMMA_SPECIAL.index("<bos>") == 2
    assert (JINA_SPECIAL.index("<s>"), JINA_SPECIAL.index("</s>")) == (0, 2)
    assert GEMMA_SPECIAL[UNKNOWN] == JINA_SPECIAL[UNKNOWN] == "<unk>"


def test_rows_of_other_names_are_trained_ones(words: Vocabulary) -> None:
    rows = words.row_of()
    assert len(rows) == words.rows
    assert rows[: words.own_rows] == list(range(words.own_rows))
    assert all(UNKNOWN < row < words.own_rows for row in rows[words.own_rows :])


@pytest.mark.parametrize("written", ["<bos>", "<eos>", "<pad>", "<unk>"])
def test_a_special_token_in_a_prompt_is_an_unknown_word(
    words: Vocabulary, writer: Writer, written: str
) -> None:
    assert names(words, writer, f"1girl {written} smile") == ["1girl", "<unk>", "smile"]


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
    ("text", "found"),
    [
        ("红发蓝眼的少女,双马尾,水手服,樱花",
         ["red hair", "blue eyes", "1girl", "twintails", "serafuku", "cherry blossoms"]),
        ("红色头发的女孩", ["red hair", "1girl"]),
        ("蓝色连衣裙", ["blue", "dress"]),
        ("1girl，smile。", ["1girl", "smile"]),
        ("a boy with short black hair and glasses", ["1boy", "short hair", "black hair", "glasses"]),
        ("a girl in a blue dress, waving in the snow", ["1girl", "blue", "dress", "waving", "snow"]),
        ("(red hair, blue eyes:1.1), ((smile)), [v]", ["red hair", "blue eyes", "smile", "v"]),
        ("<n>Red Hair &amp; Blue</n><n></n>smile", ["smile"]),
        ("x:0.5, y:0.6", ["center"]),
        ("x: 0.35", ["left"]),
        ("x:.9", ["right"]),
        ("<position>x:0.25,y:0.6</position>", ["<position>", "left"]),
        ("TWINTAILS!  \t\n'smile'|@_@", ["twintails", "smile", "@ @"]),
        ("her hair is red and her eyes are blue", ["red hair", "blue eyes"]),
        ("a girl with long red hair and cat ears", ["1girl", "long hair", "red hair", "cat ears"]),
        ("1girl, (smile:1.2), PINK_HAIR", ["1girl", "smile", "pink hair"]),
        ("silver_hair, blue_hair_ribbon", ["white hair", "hair bow"]),
        ("<n>Long Red Hair</n><gender>1girl</gender>", ["<gender>", "1girl"]),
        ("<position>x:0.72, y:0.6</position>", ["<position>", "right"]),
        ("black_blazer", ["black", "<unk>"]),
        (S_XML + "<general_tags>\n</general_tags>", [S_XML, "<general_tags>"]),
        (S_TEXT, [S_TEXT]),
        ("", []),
        ("the the the", []),
        ("scatter", ["<unk>"]),
        ("10girls", ["<unk>"]),
    ],
)  # fmt: skip
def test_what_people_write(words: Vocabulary, writer: Writer, text: str, found: list[str]) -> None:
    assert names(words, writer, text) == found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("her hair is red and her eyes are blue", "red eyes"),
        ("a girl in red with her eyes closed", "red eyes"),
        ("(fox:0.8)", "right"),
        ("<lora:x:0.8>", "right"),
        ("red-haired girl", "red"),
    ],
)
def test_nothing_is_read_that_was_not_written(
    words: Vocabulary, writer: Writer, text: str, wrong: str
) -> None:
    assert wrong not in names(words, writer, text)


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


def test_a_long_prompt_takes_no_long_time(words: Vocabulary, writer: Writer) -> None:
    # Backtracking patterns would make this minutes.
    assert set(names(words, writer, "x: 0.4" + " <n>" * 5_000 + "(" * 20_000 + ":1." * 5_000)) <= {
        "center", "<unk>",
    }  # fmt: skip


def test_the_written_tokenizer_is_the_one_that_trains(model: Path, words: Vocabulary, writer: Writer) -> None:
    pipeline = NewBieImagePipeline.from_pretrained(str(model), device="cpu", dtype="float32", progress=False)
    texts = pipeline.stages.texts
    row = words.row_of()
    rng = random.Random(1)
    for _ in range(20):
        prompt = training_prompt(random_scene(rng), rng)
        ids = [row[each] for each in texts.gemma_tokenizer.encode(prompt).ids]
        assert ids == [2, *writer.rows(prompt)]
        ids = [row[each] for each in texts.jina_tokenizer.encode(prompt).ids]
        assert ids == [0, *writer.rows(prompt), 2]


def test_other_names_are_the_same_to_the_network(engine: NewbieEngine) -> None:
    texts = engine.pipeline.stages.texts
    one, other = texts.encode("1girl, red_hair, blue_eyes"), texts.encode("少女，红发，蓝眼")
    assert torch.equal(one.features, other.features)
    assert torch.equal(one.pooled, other.pooled)
    assert not torch.equal(one.pooled, texts.encode("1girl, red_hair, green_eyes").pooled)


def test_unknown_words_are_named_once_with_the_nearest(engine: NewbieEngine) -> None:
    prompts = ("1girl, pnik_hair, smile", "<n>Zork</n><gender>1girl</gender>, qqqqqq", "pnik_hair, 斗篷")
    jobs = [make_job(prompt, name=f"p{number}") for number, prompt in enumerate(prompts, 1)]
    assert all(isinstance(each, Image.Image) for each in engine.pictures(jobs))
    assert list(engine.remarks()) == [
        'the model does not know "pnik_hair" and passed over it (p1 and 1 more); did you mean "pink_hair"?',
        'the model does not know "qqqqqq" and passed over it (p2)',
        'the model does not know "斗篷" and passed over it (p3)',
    ]


def test_known_words_and_negative_prompts_need_no_remark(engine: NewbieEngine) -> None:
    jobs = [make_job("1girl, (smile:1.2), 樱花", negative="zork, lowres"), make_job("")]
    assert all(isinstance(each, Image.Image) for each in engine.pictures(jobs))
    assert list(engine.remarks()) == []


@pytest.mark.parametrize("size", SIZES)
def test_sizes_of_training_are_made(engine: NewbieEngine, size: tuple[int, int]) -> None:
    assert engine.capabilities().size_problem(*size) is None
    (made,) = engine.pictures([make_job("1girl", width=size[0], height=size[1])])
    assert isinstance(made, Image.Image)
    assert made.size == size


@pytest.mark.parametrize(
    ("size", "nearest"),
    [((1024, 1024), "192x192"), ((384, 512), "192x256"), ((300, 200), "288x192"), ((192, 176), "192x192")],
)
def test_another_size_is_refused_with_the_nearest(
    engine: NewbieEngine, size: tuple[int, int], nearest: str
) -> None:
    problem = engine.capabilities().size_problem(*size)
    assert problem is not None
    assert f"the nearest is {nearest}" in problem
    refused, made = engine.pictures([make_job("1girl", width=size[0], height=size[1]), make_job("1girl")])
    assert isinstance(refused, PictureError)
    assert refused.code == "E_PICTURE_SIZE"
    assert str(refused) == problem
    assert isinstance(made, Image.Image)
