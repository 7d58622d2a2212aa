"""The decoder's last lesson: what is learnt from, stopped anywhere it goes on the same, and what an error counts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from newbie_core.model.autoencoder import build_autoencoder
from newbie_core.nano import polishing
from newbie_core.nano.batches import Writer
from newbie_core.nano.dataset import scene_of, to_tensor
from newbie_core.nano.judging import CELL
from newbie_core.nano.latents import BLOCK, LatentBasis, fit_latents
from newbie_core.nano.network import AUTOENCODER, Network
from newbie_core.nano.polishing import VARIANTS, Lesson, Polishing, load_lessons, make_lessons, polish_loss
from newbie_core.nano.scenes import draw_scene
from newbie_core.nano.tokenizer import vocabulary

SCENES = 3


def quiet(_text: str) -> None:
    pass


@pytest.fixture(scope="module")
def basis() -> LatentBasis:
    return fit_latents([to_tensor(draw_scene(scene_of(5, number)))[None] for number in range(4)])


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(1)
    return Network(vocabulary())


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """A file a scene, and steps of milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polishing, "SHARD", 1)
        patch.setattr(polishing, "CROPS", ((32, 3), (48, 2)))
        yield


@pytest.fixture(scope="module")
def lessons(network: Network, basis: LatentBasis, tmp_path_factory: pytest.TempPathFactory) -> list[Lesson]:
    folder = tmp_path_factory.mktemp("lessons")
    assert make_lessons(folder, network, Writer(vocabulary()), basis, seed=1, scenes=SCENES, report=quiet)
    return load_lessons(folder)


def same(one: Lesson, other: Lesson) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in Lesson.__slots__)


def test_a_lesson_is_a_drawing_and_nearly_its_latents(lessons: list[Lesson], basis: LatentBasis) -> None:
    assert len(lessons) == SCENES * VARIANTS
    for lesson in lessons:
        _, height, width = lesson.picture.shape
        assert lesson.latents.shape == (16, height // BLOCK, width // BLOCK)
        assert lesson.weights.shape == (height // BLOCK, width // BLOCK)
        true = basis.encode(lesson.picture[None].float() / 127.5 - 1)[0]
        errors = (lesson.latents.float() - true).square().mean() / true.square().mean()
        assert 0 < errors < 1  # of an untrained network, which leaves the noise in
    assert len({lesson.latents.numpy().tobytes() for lesson in lessons}) == len(lessons)


def test_lessons_that_were_stopped_go_on_the_same(
    lessons: list[Lesson], network: Network, basis: LatentBasis, tmp_path: Path
) -> None:
    asked = iter((False, True))

    def go(stop=lambda: False) -> bool:
        return make_lessons(
            tmp_path, network, Writer(vocabulary()), basis, seed=1, scenes=SCENES, report=quiet, stop=stop
        )

    assert not go(lambda: next(asked))
    assert len(load_lessons(tmp_path)) < len(lessons)
    assert go()
    assert all(same(one, other) for one, other in zip(load_lessons(tmp_path), lessons, strict=True))


def start(folder: Path, steps: int = 3) -> Polishing:
    torch.manual_seed(2)
    return Polishing(folder, build_autoencoder(AUTOENCODER), seed=1, steps=steps)


def test_it_goes_on_the_same_and_trains_the_decoder_only(lessons: list[Lesson], tmp_path: Path) -> None:
    through = start(tmp_path / "a")
    before = {name: each.clone() for name, each in through.module.state_dict().items()}
    through.run(lessons, quiet)
    for until in (1, 3):
        start(tmp_path / "b").run(lessons, quiet, until=until)
    one, other = through.finished().state_dict(), start(tmp_path / "b").finished().state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    changed = {name.split(".")[0] for name in one if not torch.equal(one[name], before[name])}
    assert changed == {"decoder"}


def test_it_learns(lessons: list[Lesson], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polishing, "WARM_UP", 1)
    run = start(tmp_path, steps=40)
    losses = [run._train(lessons[:1]) for _ in range(40)]
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])


def test_crops_are_the_lessons_own(lessons: list[Lesson], tmp_path: Path) -> None:
    latents, pixels, weights = start(tmp_path)._crops(lessons[:1], random.Random(1))
    assert pixels.shape[-2:] == weights.shape[-2:] == (BLOCK * latents.shape[-2], BLOCK * latents.shape[-1])
    lesson = lessons[0]
    _, height, width = lesson.picture.shape
    places = [
        (top, left)
        for top in range(0, height - pixels.shape[2] + 1, CELL)
        for left in range(0, width - pixels.shape[3] + 1, CELL)
    ]
    whole = lesson.picture.float() / 127.5 - 1
    found = [
        (top, left)
        for top, left in places
        if torch.equal(whole[:, top : top + pixels.shape[2], left : left + pixels.shape[3]], pixels[0])
    ]
    assert any(
        torch.equal(
            lesson.latents[
                :,
                top // BLOCK : top // BLOCK + latents.shape[2],
                left // BLOCK : left // BLOCK + latents.shape[3],
            ].float(),
            latents[0],
        )
        for top, left in found
    )


def test_steps_at_borders_count_more_and_so_do_faces() -> None:
    target, plain = torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    at_border, within = target.clone(), target.clone()
    at_border[..., CELL : 3 * CELL] = 0.5
    within[..., CELL + 4 : 3 * CELL + 4] = 0.5  # as much, and as many steps
    assert polish_loss(at_border, target, plain) > polish_loss(within, target, plain)
    weights = plain.clone()
    weights[..., :16, :16] = 4
    face, behind = target.clone(), target.clone()
    face[..., :16, :16], behind[..., 32:48, 32:48] = 0.1, 0.1
    assert polish_loss(face, target, weights) > polish_loss(behind, target, weights)
