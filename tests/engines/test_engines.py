"""Engines by name, their options, and the sketch engine's promises."""

import pytest

from newbie_core.engines import ENGINES, load_engine
from newbie_core.engines.sketch import SketchEngine
from newbie_core.errors import EngineError, PictureError
from newbie_core.images import has_picture, pixel_digest
from tests.engines.plugin import StripesEngine
from tests.generation.building import make_job


def refusal(name: str, options: dict | None = None) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load_engine(name, options)
    return caught.value


def test_an_engine_is_loaded_by_its_name():
    assert isinstance(load_engine("sketch"), SketchEngine)


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_is_where_its_entry_says(name):
    module, _, class_name = ENGINES[name].partition(":")
    assert module.startswith("newbie_core.engines")
    assert class_name.endswith("Engine")


def test_an_engine_of_ones_own_is_loaded_by_module_and_class():
    engine = load_engine("tests.engines.plugin:StripesEngine", {"level": 3})
    assert isinstance(engine, StripesEngine)
    assert engine.identity().parts["level"] == "3"


def test_an_unknown_engine_is_named_with_the_nearest():
    assert 'there is no engine "sketsh"; did you mean "sketch"?' in str(refusal("sketsh"))
    assert "known: " in str(refusal("zzz"))


def test_an_engine_whose_module_is_missing_says_which():
    error = refusal("no_such_module.inner:Engine")
    assert error.code == "E_ENGINE_MISSING"
    assert 'needs the module "no_such_module"' in str(error)


def test_a_module_without_the_class_is_named():
    assert 'module "tests.engines.plugin" has no "Absent"' in str(refusal("tests.engines.plugin:Absent"))


def test_an_unknown_option_is_named():
    error = refusal("sketch", {"precision": "bf16"})
    assert error.code == "E_ENGINE_OPTION"
    assert 'engine "sketch" has no option "precision"' in str(error)


# The sketch engine


def sketch(**job):
    return next(iter(load_engine("sketch").pictures([make_job(**job)])))


def test_a_sketch_shows_something_of_the_size_asked_for():
    image = sketch(width=96, height=64)
    assert has_picture(image, width=96, height=64) is None


def test_equal_jobs_give_equal_pixels_whatever_their_neighbours():
    jobs = [make_job(id=str(number), seed=number) for number in range(3)]
    together = [pixel_digest(image) for image in load_engine("sketch").pictures(jobs)]
    alone = [pixel_digest(sketch(id=str(number), seed=number)) for number in (2, 0, 1)]
    assert together == [alone[1], alone[2], alone[0]]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"width": 72},
        {"appearance": "red_hair"},
        {"expression": "crying"},
        {"background": "forest"},
    ],
)
def test_what_decides_pixels_changes_the_sketch(change):
    assert pixel_digest(sketch(**change)) != pixel_digest(sketch())


def test_a_prompt_that_cannot_be_read_is_one_pictures_error():
    good, bad = load_engine("sketch").pictures([make_job(), make_job(id="bad", prompt="<nonsense/>")])
    assert not isinstance(good, PictureError)
    assert isinstance(bad, PictureError)
    assert "sketch could not draw bad" in str(bad)


@pytest.mark.parametrize("side", [64, 2048])
def test_the_sizes_it_promises_can_be_drawn(side):
    capabilities = load_engine("sketch").capabilities()
    assert capabilities.size_problem(side, 64) is None
    assert sketch(width=side, height=64).size == (side, 64)


def test_sketches_are_not_from_a_trained_model():
    assert not load_engine("sketch").capabilities().trained
