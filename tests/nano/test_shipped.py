"""The weights that come with the package: an ordinary checkpoint that does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from newbie_core.engines import load_engine
from newbie_core.engines.newbie import NANO_FOLDER, NewbieEngine, default_model
from newbie_core.errors import PictureError
from newbie_core.images import pixel_digest
from newbie_core.nano.evaluation import validate_judge
from newbie_core.nano.judging import SIDE, Judge, hair_colour_probe
from newbie_core.nano.scenes import SIZES, character_boxes, labels
from newbie_core.nano.trials import trials
from newbie_core.plans import Job
from newbie_core.taggers.deepdanbooru import load_tagger

MOST_BYTES = 30_000_000


@pytest.fixture(scope="module")
def engine() -> Iterator[NewbieEngine]:
    engine = load_engine("newbie", {"model": "nano"})
    assert isinstance(engine, NewbieEngine)
    yield engine
    engine.close()


def job(prompt: str, *, seed: int = 1, size: tuple[int, int] = (192, 192), steps: int = 12) -> Job:
    return Job(
        id="p", key="0" * 64, prompt=prompt, negative="", seed=seed, width=size[0], height=size[1],
        steps=steps, guidance="3",
    )  # fmt: skip


def make(engine: NewbieEngine, *jobs: Job) -> list[Image.Image]:
    made = list(engine.pictures(jobs))
    for each in made:
        assert isinstance(each, Image.Image), each
    return made  # type: ignore[return-value]


def test_it_is_small_and_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert sum(file.stat().st_size for file in NANO_FOLDER.rglob("*") if file.is_file()) <= MOST_BYTES
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEWBIE_MODEL", raising=False)
    assert default_model() == default_model("nano") == str(NANO_FOLDER)
    monkeypatch.setenv("NEWBIE_MODEL", "elsewhere")
    assert default_model() == "elsewhere"
    assert default_model("nano") == str(NANO_FOLDER)


def test_most_hair_is_as_told(engine: NewbieEngine) -> None:
    chosen = [
        each for each in trials("one", 60, seed=77) if (each.scene.width, each.scene.height) == SIZES[0]
    ][:16]
    right = 0
    for trial in chosen:
        picture = make(engine, job(trial.prompt, seed=trial.seed))[0]
        (box,) = character_boxes(trial.scene)
        right += hair_colour_probe(picture, box) == labels(trial.scene)[0]["hair_colour"]
    assert right >= len(chosen) - 2


def test_same_seed_same_picture_in_any_company_and_another_seed_another(engine: NewbieEngine) -> None:
    one = job("1girl, red_hair, happy, beach", seed=5)
    others = [job("1boy, black_hair, sad"), job("1girl, red_hair, happy, beach", seed=6)]
    first, _, other = make(engine, one, *others)
    *_, again = make(engine, *reversed(others), one)
    assert pixel_digest(first) == pixel_digest(again)
    difference = ImageStat.Stat(ImageChops.difference(first, other))
    assert max(difference.mean) > 5  # of 255


def test_nothing_is_seen_of_what_no_prompt_names(engine: NewbieEngine) -> None:
    judge = Judge(load_tagger(NANO_FOLDER / "tagger.pt", side=SIDE))
    (trial,) = trials("short", 1, seed=1)
    expected = {"accessory": "none", "arms": "arms_at_sides", "background": "simple_background"}
    prompts = ("1girl, red_hair", "1girl, smile, green_eyes", "1girl, white_shirt", "1boy, angry")
    seen = []
    for picture in make(engine, *(job(prompt, seed=seed) for prompt in prompts for seed in (1, 2, 3))):
        (character,) = judge.characters(picture, character_boxes(trial.scene))
        values = {name: each.value for name, each in (character | judge.picture(picture)).items()}
        seen.append({name: values[name] for name in expected})
    assert seen.count(expected) >= 11, seen


def test_words_have_other_names(engine: NewbieEngine) -> None:
    english, chinese, tags = make(
        engine,
        job("a girl with red hair and blue eyes"),
        job("少女，红发，蓝眼"),
        job("1girl, red_hair, blue_eyes"),
    )
    assert pixel_digest(english) == pixel_digest(chinese) == pixel_digest(tags)


def test_an_unknown_word_is_named_with_the_nearest(engine: NewbieEngine) -> None:
    make(engine, job("1girl, pnik_hair, zeppelin", steps=1))
    notes = "\n".join(engine.remarks())
    assert "made by nano, the small demonstration model of this package" in notes
    assert 'does not know "pnik_hair" and passed over it (p); did you mean "pink_hair"?' in notes
    assert 'does not know "zeppelin"' in notes


def test_other_sizes_are_refused_with_the_nearest(engine: NewbieEngine) -> None:
    assert all(engine.capabilities().size_problem(*size) is None for size in SIZES)
    (refused,) = engine.pictures([job("1girl", size=(384, 512))])
    assert isinstance(refused, PictureError)
    assert refused.code == "E_PICTURE_SIZE"
    assert "the nearest is 192x256" in str(refused)


def test_the_tagger_reads_drawings() -> None:
    rates = validate_judge(NANO_FOLDER / "tagger.pt", 60, seed=78)
    assert rates["hair_colour"].share >= 0.97
    assert rates["expression"].share >= 0.95
    assert rates["hair_colour_probe"].share >= 0.97


def test_the_tagger_is_a_deepdanbooru_file() -> None:
    tagger = load_tagger(NANO_FOLDER / "tagger.pt", side=SIDE)
    Judge(tagger)
    assert {"red_hair", "twintails", "happy"} <= set(tagger.tags)
