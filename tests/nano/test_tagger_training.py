"""Training of the small tagger."""

import random

import numpy as np
import pytest
import torch

from newbie_core.nano import tagger_training
from newbie_core.nano.judging import OF_CHARACTERS, OF_PICTURES, SIDE, components, spans, tag_list
from newbie_core.nano.scenes import character_boxes, draw_scene, labels, random_scene
from newbie_core.nano.tagger_training import SMALL, TaggerTraining, character_example, whole_example
from newbie_core.taggers.deepdanbooru import load_tagger, save_tagger


@pytest.fixture(scope="module")
def examples():
    rng = random.Random(8)
    scenes = [random_scene(rng, count=count) for count in (1, 2, 3)]
    return [(scene, draw_scene(scene)) for scene in scenes]


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(tagger_training, "CROPS", 2)
    monkeypatch.setattr(tagger_training, "WHOLE", 1)


def trained(folder, examples, *, until=0):
    run = TaggerTraining(folder, seed=4, steps=4)
    run.run(examples, lambda line: None, until=until)
    return run


def values_of(wanted, component):
    span = spans()[component]
    return {value for value, on in zip(components()[component], wanted[span].tolist(), strict=True) if on}


def test_a_cut_out_character_has_one_value_of_each_component_of_its_own(examples):
    scene, picture = examples[1]
    for index, truth in enumerate(labels(scene)):
        pixels, wanted, known = character_example(scene, picture, random.Random(0), index=index)
        assert pixels.shape == (SIDE, SIDE, 3)
        for name in OF_CHARACTERS:
            if known[spans()[name]].all():
                assert values_of(wanted, name) == {truth[name]}
        assert not known[spans()["count"]].any()


def test_eyes_that_show_no_colour_are_not_asked_for_it():
    rng = random.Random(0)
    scene = random_scene(rng, count=1)
    while labels(scene)[0]["eyes"] != "happy_closed":
        scene = random_scene(rng, count=1)
    known = character_example(scene, draw_scene(scene), rng)[2]
    assert not known[spans()["eye_colour"]].any()
    assert known[spans()["hair_colour"]].all()


def test_a_whole_picture_has_the_values_of_everybody_in_it(examples):
    scene, picture = examples[2]
    _, wanted, known = whole_example(scene, picture, random.Random(0))
    assert values_of(wanted, "hair_colour") == {each.hair_colour for each in scene.characters}
    assert values_of(wanted, "count") == {"3"}
    assert all(known[spans()[name]].all() for name in OF_PICTURES)


def test_unspoilt_examples_are_what_a_judge_looks_at(examples):
    scene, picture = examples[0]
    one = character_example(scene, picture, random.Random(1), index=0, spoil=False)[0]
    other = character_example(scene, picture, random.Random(2), index=0, spoil=False)[0]
    assert np.array_equal(one, other)
    assert len(character_boxes(scene)) == 1
    for make in (character_example, whole_example):
        assert make(scene, picture, random.Random(1), side=SMALL)[0].shape == (SMALL, SMALL, 3)


def test_a_run_stopped_and_gone_on_with_learns_the_same(tmp_path, examples, small_batches):
    whole = trained(tmp_path / "whole", examples)
    trained(tmp_path / "parts", examples, until=2)
    parts = trained(tmp_path / "parts", examples)
    assert (whole.step, parts.step) == (4, 4)
    for (name, one), other in zip(
        whole.module.state_dict().items(), parts.module.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
    for name, one in whole.average.values.items():
        assert torch.equal(one, parts.average.values[name]), name


def test_a_run_that_is_told_to_stop_keeps_what_it_has(tmp_path, examples, small_batches):
    run = TaggerTraining(tmp_path, seed=4, steps=4)
    run.run(examples, lambda line: None, stop=lambda: True)
    assert TaggerTraining(tmp_path, seed=4, steps=4).step == 1


def test_folding_the_norms_changes_nothing(tmp_path, examples, small_batches):
    run = trained(tmp_path, examples, until=2)
    normed = run.module.eval()
    with torch.no_grad():
        for norm in normed.norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
        pictures = torch.rand(2, 96, 96, 3)
        plain, wanted = normed.folded().logits(pictures), normed.logits(pictures)
    # Folding only reorders sums: float32 leaves about six digits.
    assert torch.allclose(plain, wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


def test_the_finished_tagger_goes_through_its_file(tmp_path, examples, small_batches):
    network = trained(tmp_path, examples, until=1).finished()
    save_tagger(tmp_path / "made.pt", network, tag_list(), dtype=torch.float16)
    loaded = load_tagger(tmp_path / "made.pt", side=SIDE)
    assert loaded.tags == tuple(tag_list())
    assert (tmp_path / "made.pt").stat().st_size < 4_000_000
    found = loaded.probabilities([picture for _, picture in examples])
    pixels = torch.from_numpy(
        np.stack([tagger_training.fit_square(picture, SIDE) for _, picture in examples])
    ).float()
    with torch.no_grad():
        # Half precision keeps three digits of each weight.
        assert torch.allclose(found, network(pixels / 255), atol=0.02)


def test_every_tag_belongs_to_one_value_only():
    assert len(set(tag_list())) == len(tag_list())
    assert max(span.stop for span in spans().values()) == len(tag_list())
