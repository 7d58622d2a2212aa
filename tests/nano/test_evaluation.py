"""Evaluation: what is asked, how it is judged, and how it is counted and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from newbie_core.engines.newbie import NANO_FOLDER
from newbie_core.nano import evaluation
from newbie_core.nano.dataset import scene_of
from newbie_core.nano.evaluation import (
    Rate,
    Result,
    Standard,
    Verdict,
    drawn_standards,
    judge_picture,
    mistakes,
    summarise,
    table,
    validate_judge,
)
from newbie_core.nano.evaluation_page import compared_forms, write_page
from newbie_core.nano.judging import HIDDEN_EYES, OF_CHARACTERS, OF_PICTURES, Seen
from newbie_core.nano.scenes import (
    ATTRIBUTES,
    FACE_PARTS,
    FRAMING,
    PLACES,
    SIZES,
    Scene,
    character_boxes,
    draw_scene,
    labels,
)
from newbie_core.nano.trials import KINDS, Kind, Trial, meant, trials

ALL_KINDS = tuple(KINDS)
TWO_FORMS: tuple[Kind, ...] = ("two", "two_ordered", "two_shuffled")


class PerfectJudge:
    """Sees what the scene says, and `lies` of its first character; a picture that is no picture of it is not seen."""

    def __init__(self, scene: Scene, **lies: str) -> None:
        self.scene, self.lies = scene, lies
        self.boxes: Sequence[object] = ()

    def characters(self, _picture: Image.Image, boxes: Sequence[object]) -> list[dict[str, Seen]]:
        self.boxes = boxes
        found = []
        for index, values in enumerate(labels(self.scene)):
            told = values | (self.lies if index == 0 else {})
            found.append(
                {name: Seen(value=told[name], probability=0.9 - 0.1 * index) for name in OF_CHARACTERS}
            )
        return found

    def picture(self, _picture: Image.Image) -> dict[str, Seen]:
        truth = {"background": self.scene.background, "count": str(len(self.scene.characters))} | self.lies  # fmt: skip
        return {name: Seen(value=truth[name], probability=0.8) for name in OF_PICTURES}


def judged(trial: Trial, **lies: str) -> Verdict:
    return judge_picture(PerfectJudge(trial.scene, **lies), draw_scene(trial.scene), trial)  # type: ignore[arg-type]


def first(kind: Kind, *, seed: int = 1) -> Trial:
    return next(trials(kind, 1, seed=seed))


def with_open_eyes(kind: Kind) -> Trial:
    return next(
        trial for trial in trials(kind, 40, seed=2) if labels(trial.scene)[0]["eyes"] not in HIDDEN_EYES
    )


# What is asked.


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_trial_does_not_depend_on_how_many_follow(kind: Kind) -> None:
    assert list(trials(kind, 9, seed=3))[:4] == list(trials(kind, 4, seed=3))
    assert list(trials(kind, 4, seed=3)) != list(trials(kind, 4, seed=4))
    assert [trial.seed for trial in trials(kind, 4, seed=3)] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_no_trial_is_a_training_scene(kind: Kind) -> None:
    def essence(scene: Scene) -> object:
        told = tuple(tuple(getattr(each, name) for name in ATTRIBUTES) for each in scene.characters)
        return told, scene.background, scene.seed

    learnt = {essence(scene_of(1, number)) for number in range(2_000)}
    assert not any(essence(trial.scene) in learnt for trial in trials(kind, 60, seed=1))


@pytest.mark.parametrize(
    ("kind", "people"), [("one", 1), ("two", 2), ("three", 3), ("short", 1), ("held_out", 1)]
)
def test_trials_are_of_sizes_and_people_that_the_model_knows(kind: Kind, people: int) -> None:
    for trial in trials(kind, 60, seed=4):
        assert len(trial.scene.characters) == len(trial.asked) == people
        # Of another size the model makes no picture.
        assert (trial.scene.width, trial.scene.height) in SIZES


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind != "short"])
def test_all_that_is_asked_is_told(kind: Kind) -> None:
    for trial in trials(kind, 20, seed=5):
        for each in trial.scene.characters:
            told = (
                f"{each.hair_colour}_hair", f"{each.eye_colour}_eyes", each.expression, each.arms,
                f"{each.garment_colour}_{each.garment}", each.hair_style.removeprefix("spiky_"),
            )  # fmt: skip
            assert all(tag in trial.prompt for tag in told)
        assert trial.scene.background in trial.prompt
        assert FRAMING in trial.prompt


def test_short_prompts_ask_for_what_they_tell_and_no_more() -> None:
    for trial in trials("short", 80, seed=6):
        (character,), (asked,) = trial.scene.characters, trial.asked
        tags = trial.prompt.split(", ")
        assert tags[0] == character.gender
        assert 2 <= len(tags) <= 4
        assert len(tags) - 1 == len(asked) - ("garment_colour" in asked)
        assert ("garment_colour" in asked) == ("garment" in asked)
        assert "accessory" not in asked or character.accessory in tags


def test_flat_and_xml_prompts_tell_the_same_of_the_same_scene() -> None:
    xml, ordered, shuffled = (next(iter(trials(kind, 1, seed=9))) for kind in TWO_FORMS)
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


def test_everybody_stands_where_the_prompt_can_say() -> None:
    for kind in ALL_KINDS:
        for trial in trials(kind, 20, seed=7):
            scene = trial.scene
            places = tuple(each.x for each in scene.characters)
            usual = PLACES[scene.width, len(places)]
            if len(places) > 1 or scene.characters[0].position == "center":
                assert places == usual
            else:
                assert (places[0] < usual[0]) == (scene.characters[0].position == "left")
                assert scene.characters[0].position in trial.prompt


# How it is judged.


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_perfect_judge_finds_no_fault_in_a_drawing(kind: Kind) -> None:
    for trial in trials(kind, 4, seed=7):
        verdict = judged(trial)
        assert verdict.wrong == ((),) * len(trial.asked)
        assert False not in verdict.strict
        assert verdict.picture_wrong == ()
        assert verdict.hair == tuple(each.hair_colour for each in trial.scene.characters)
        assert (verdict.kind, verdict.number) == (kind, trial.number)


@pytest.mark.parametrize("kind", ["one", "two", "three", "held_out"])
def test_the_probe_agrees_on_drawings(kind: Kind) -> None:
    found = [(judged(trial), trial) for trial in trials(kind, 12, seed=8)]
    agreed = [probed == each.hair_colour for verdict, trial in found
              for probed, each in zip(verdict.probed, trial.scene.characters, strict=True)]  # fmt: skip
    assert sum(agreed) >= 0.9 * len(agreed)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_wrong_attribute_is_named(name: str) -> None:
    assert judged(with_open_eyes("two"), **{name: "another"}).wrong == ((name,), ())


@pytest.mark.parametrize("name", FACE_PARTS)
def test_a_wrong_part_of_the_face_is_no_strict_expression(name: str) -> None:
    verdict = judged(first("two"), **{name: "another"})
    assert verdict.strict == (False, True)
    assert verdict.wrong == ((), ())  # nobody asked for it by name


@pytest.mark.parametrize("name", OF_PICTURES)
def test_a_wrong_picture_is_named(name: str) -> None:
    assert judged(first("one"), **{name: "another"}).picture_wrong == (name,)


def test_eyes_that_show_no_colour_are_not_asked_for_one() -> None:
    trial = first("one")
    laughing = replace(trial.scene.characters[0], expression="laughing")
    hidden = replace(trial, scene=replace(trial.scene, characters=(laughing,)))
    assert labels(hidden.scene)[0]["eyes"] in HIDDEN_EYES
    assert judged(hidden, eye_colour="another").wrong == ((),)


def test_what_a_short_prompt_does_not_tell_cannot_be_wrong() -> None:
    trial = replace(first("short"), asked=(("hair_style",),))
    lies = {name: "another" for name in OF_CHARACTERS if name != "hair_style"} | {"background": "another"}
    verdict = judged(trial, **lies)
    assert (verdict.wrong, verdict.strict, verdict.picture_wrong) == (((),), (None,), ())


def test_the_judge_is_shown_every_characters_place_and_its_least_sure_answer_is_kept() -> None:
    trial = first("three")
    judge = PerfectJudge(trial.scene)
    verdict = judge_picture(judge, draw_scene(trial.scene), trial)  # type: ignore[arg-type]
    assert judge.boxes == character_boxes(trial.scene)
    assert verdict.sure == pytest.approx(0.7)


# How it is counted.


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 1 - 0.1611, 1.0000),
    ],
)
def test_intervals_are_those_of_the_literature(right: int, of: int, low: float, high: float) -> None:
    assert Rate(right=right, of=of).interval == pytest.approx((low, high), abs=6e-5)


def test_nothing_counted_says_nothing() -> None:
    rate = Rate()
    assert isnan(rate.share)
    assert rate.interval == (0.0, 1.0)
    rate.add(True)
    rate.add(False)
    assert (rate.right, rate.of, rate.share) == (1, 2, 0.5)
    assert str(Rate(right=81, of=263)) == "30.8 % (25.5-36.6)"


def test_characters_are_counted_one_by_one() -> None:
    chosen = list(trials("two", 12, seed=9))
    rates = summarise("two", [judged(trial) for trial in chosen], seed=9).rates
    people = [values for trial in chosen for values in labels(trial.scene)]
    for name in ("all attributes", "strict expression", "hair_colour", "garment", "hair colour by the probe"):
        assert rates[name].of == 24
    assert rates["eye_colour"].of == sum(values["eyes"] not in HIDDEN_EYES for values in people)
    for name in (
        "background",
        "count",
        "all attributes of everybody",
        "all hair colours of a picture",
    ):
        assert rates[name].of == 12
    assert all(
        rate.right == rate.of for name, rate in rates.items() if "probe" not in name and "swapped" not in name
    )
    assert rates["hair colours swapped"].right == 0


def test_swapped_hair_is_told_from_hair_that_is_merely_wrong() -> None:
    swapped, wrong, right = (judged(trial) for trial in trials("two", 3, seed=10))
    swapped = replace(swapped, hair=swapped.hair[::-1], wrong=(("hair_colour",), ("hair_colour",)))
    wrong = replace(wrong, hair=(wrong.hair[1], wrong.hair[1]), wrong=(("hair_colour",), ()))
    rates = summarise("two", [swapped, wrong, right], seed=10).rates
    assert (rates["hair colours swapped"].right, rates["hair colours swapped"].of) == (1, 3)
    assert rates["all hair colours of a picture"].right == 1
    assert rates["hair_colour"].right == 3
    assert rates["all attributes of everybody"].right == 1


def test_one_character_has_no_rates_of_company() -> None:
    rates = summarise("one", [judged(trial) for trial in trials("one", 2, seed=1)], seed=1).rates
    assert not {"hair colours swapped", "all attributes of everybody", "all hair colours of a picture"} & set(
        rates
    )


def test_mistakes_are_told_most_frequent_first() -> None:
    one, two = (judged(trial) for trial in trials("one", 2, seed=1))
    spoilt = [replace(one, wrong=(("arms", "garment"),)), replace(two, wrong=(("garment",),))]
    assert list(mistakes(spoilt)) == ["one: garment wrong 2 times", "one: arms wrong 1 times"]


# How it is shown.


def test_the_table_is_markdown_with_a_column_a_kind() -> None:
    short, one = Result(kind="short"), Result(kind="one")
    for right in (True, True, False, True):
        short.count("hair_colour", right)
    short.count("count", True)
    one.count("count", False)
    assert table([short, one]).splitlines() == [
        "| right | short | one |",
        "|---|---|---|",
        "| hair colour | 75.0 % (30.1-95.4) of 4 |  |",
        "| count | 100.0 % (20.7-100.0) of 1 | 0.0 % (0.0-79.3) of 1 |",
        "",
        "- short: two to four tags",
        "- one: one character, XML, everything told",
    ]


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind != "short"])
def test_a_prompt_that_tells_everything_means_its_scene(kind: Kind) -> None:
    assert all(meant(trial) == trial.scene for trial in trials(kind, 20, seed=5))


def test_a_short_prompt_means_what_it_tells_and_else_the_expected() -> None:
    styles = {"1girl": "long_hair", "1boy": "short_hair"}
    expected = {"accessory": "none", "arms": "arms_at_sides"}
    for trial in trials("short", 60, seed=5):
        scene, (own,) = meant(trial), trial.scene.characters
        (character,) = scene.characters
        for name in trial.asked[0]:
            assert getattr(character, name) == getattr(own, name)
        untold = expected | {"hair_style": styles[own.gender]}
        for name in untold.keys() - set(trial.asked[0]):
            assert getattr(character, name) == untold[name]
        assert scene.background == "simple_background"
        assert (character.hair_colour, character.expression) == (own.hair_colour, own.expression)


def test_clean_is_as_sure_as_drawings_and_without_seams() -> None:
    standard = Standard(sure=0.5, seams=1.2)
    chosen = list(trials("short", 3, seed=4))
    verdicts = [
        replace(judged(trial), sure=sure, seams=seam)
        for trial, sure, seam in zip(chosen, (0.9, 0.4, 0.9), (1.1, 1.1, 1.3), strict=True)
    ]
    assert [standard.clean(each) for each in verdicts] == [True, False, False]
    rates = summarise("short", verdicts, seed=4, standard=standard).rates
    assert (rates["clean"].right, rates["clean"].of) == (1, 3)
    assert "clean" not in summarise("short", verdicts, seed=4).rates


def test_the_page_shows_the_table_the_judge_and_marks_what_is_wrong(tmp_path: Path) -> None:
    good, bad = (judged(trial) for trial in trials("one", 2, seed=1))
    bad = replace(bad, wrong=(("hair_colour", "arms"),))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("one-0000.png", "one-0001-wrong.png", "one-0099.png", "two-0000.png", "other.png"):
        Image.new("RGB", (8, 8)).save(pictures / name)
    results = [summarise("one", [good, bad], seed=1)]
    write_page(tmp_path, results, [good, bad], {"hair_colour": Rate(right=9, of=10)})
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2  # one of its kind without a verdict, and other kinds, are left out
    assert "<img class=wrong src='pictures/one-0001-wrong.png'" in page
    assert "<figcaption>arms, hair colour</figcaption>" in page
    assert "<td>hair colour</td><td>90.0 % (59.6-98.2)</td><td>10</td>" in page
    assert "<li>one: hair_colour wrong 1 times</li>" in page
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == table(results) + "\n"


def test_forms_of_a_prompt_are_compared_in_rows(tmp_path: Path) -> None:
    colours = {"two": "red", "two_ordered": "lime", "two_shuffled": "blue"}
    for kind, colour in colours.items():
        for number in (0, 3):
            size = (192, 192) if number == 3 else (288, 192)
            name = f"{kind}-{number:04}{'-wrong' if kind == 'two_shuffled' else ''}.png"
            Image.new("RGB", size, colour).save(tmp_path / name)
    sheet = compared_forms(tmp_path)
    assert sheet is not None
    assert sheet.height == 3 * 192
    assert [sheet.getpixel((sheet.width - 5, 192 * row + 5)) for row in range(3)] == [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
    ]
    (tmp_path / "two_ordered-0003.png").unlink()
    assert compared_forms(tmp_path) is None


class Painter:
    """A pipeline that draws the scene of the trial it is asked for, and remembers how it was asked."""

    def __init__(self, chosen: Sequence[Trial]) -> None:
        self.scenes = {trial.prompt: trial.scene for trial in chosen}
        self.asked: list[dict[str, object]] = []

    def __call__(self, *, prompt: str, **settings: object) -> SimpleNamespace:
        self.asked.append(settings)
        return SimpleNamespace(images=[draw_scene(self.scenes[prompt])])


class JudgeOf:
    """Perfect judges of trials that come in order; every other one sees wrong arms."""

    def __init__(self, chosen: Sequence[Trial]) -> None:
        self._judges = [PerfectJudge(trial.scene, **({"arms": "another"} if index % 2 else {}))
                        for index, trial in enumerate(chosen)]  # fmt: skip

    def characters(self, picture: Image.Image, boxes: Sequence[object]) -> list[dict[str, Seen]]:
        return self._judges[0].characters(picture, boxes)

    def picture(self, picture: Image.Image) -> dict[str, Seen]:
        return self._judges.pop(0).picture(picture)


def test_pictures_are_made_as_asked_and_the_first_and_the_wrong_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = list(trials("one", 28, seed=1))[20:]
    painter = Painter(chosen)
    state = {"pipeline": painter, "judge": JudgeOf(chosen), "keep": tmp_path}
    monkeypatch.setattr(evaluation, "_state", state)
    verdicts = evaluation._judge_chunk(chosen)
    assert [verdict.wrong for verdict in verdicts] == [((),), (("arms",),)] * 4
    assert [each["seed"] for each in painter.asked] == list(range(20, 28))
    assert {(each["num_inference_steps"], each["guidance_scale"]) for each in painter.asked} == {(16, 3.0)}
    assert [(each["width"], each["height"]) for each in painter.asked] == [
        (trial.scene.width, trial.scene.height) for trial in chosen
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "one-0020.png", "one-0021-wrong.png", "one-0022.png", "one-0023-wrong.png",
        "one-0025-wrong.png", "one-0027-wrong.png",
    ]  # fmt: skip


def test_drawings_are_judged_alike_by_one_process_and_by_several() -> None:
    tagger, told = NANO_FOLDER / "tagger.pt", list[str]()
    alone = validate_judge(tagger, 10, seed=3)
    shared = validate_judge(tagger, 10, seed=3, workers=2, report=told.append)
    assert shared == alone
    assert alone["count"].of == 10 and alone["hair_colour"].of >= 10
    assert told == ["judged 10 of 10 drawings, 0 s left"]
    kinds: tuple[Kind, ...] = ("short", "two", "two_shuffled")
    standards = drawn_standards(tagger, kinds, 10, seed=3)
    assert drawn_standards(tagger, kinds, 10, seed=3, workers=2) == standards
    assert tuple(standards) == kinds
    assert standards["two"] is standards["two_shuffled"]
    assert standards["short"] != standards["two"]
