"""What cells show, and the heads that name it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from newbie_core.nano.attributes import ASKED, NOT_ASKED, AttributeHeads, cell_labels, values_of
from newbie_core.nano.judging import CELL
from newbie_core.nano.scenes import ATTRIBUTES, HEAD, Scene, choices_of, draw_scene, random_scene


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_cell_says_what_its_character_has(count: int) -> None:
    for number in range(12):
        scene = random_scene(random.Random(f"cells {number}"), count=count)
        labels = cell_labels(scene)
        assert labels.shape == (len(ASKED), scene.height // CELL, scene.width // CELL)
        for each in scene.characters:
            face = (HEAD // CELL, each.x // CELL)
            chest = ((HEAD + 60) // CELL, each.x // CELL)
            for name in ATTRIBUTES:
                place = chest if name in ("garment", "garment_colour", "arms") else face
                value = int(labels[ASKED.index(name)][place])
                assert values_of(name)[value] == getattr(each, name)
            assert labels[ASKED.index("background")][face] == NOT_ASKED
        assert values_of("background")[int(labels[ASKED.index("background")].max())] == scene.background
        for name in ATTRIBUTES:  # nothing that nobody has
            found = {
                values_of(name)[value] for value in labels[ASKED.index(name)].unique() if value != NOT_ASKED
            }
            assert found == {getattr(each, name) for each in scene.characters}


@pytest.mark.parametrize("name", ["hair_colour", "eye_colour", "garment_colour", "accessory"])
def test_a_change_is_drawn_where_the_label_is(name: str) -> None:
    """Most of what changes in the picture lies in cells that ask for it."""
    scene = random_scene(random.Random("drawn"), count=2)
    first = replace(
        scene.characters[0], expression="smile", hair_style="short_hair", accessory="none", unseen=()
    )
    scene = replace(scene, characters=(first, *scene.characters[1:]))
    value = next(each for each in choices_of(name) if each not in (getattr(first, name), "none"))
    other = replace(scene, characters=(replace(first, **{name: value}), *scene.characters[1:]))
    pixels = [np.asarray(draw_scene(each), dtype=np.float32) for each in (scene, other)]
    changed = np.abs(pixels[0] - pixels[1]).sum(axis=2)
    cells = changed.reshape(scene.height // CELL, CELL, scene.width // CELL, CELL).sum(axis=(1, 3))
    asked = (cell_labels(scene)[ASKED.index(name)] != cell_labels(other)[ASKED.index(name)]).numpy()
    assert cells.sum() > 0
    assert cells[asked].sum() > 0.9 * cells.sum()


def test_heads_learn_what_features_tell() -> None:
    torch.manual_seed(1)
    scenes = [_square(number) for number in range(8)]
    labels = torch.stack([cell_labels(scene).flatten(1) for scene in scenes])
    features = _telling(scenes, labels)
    heads = AttributeHeads(features.shape[-1])
    optimiser = torch.optim.Adam(heads.parameters(), lr=0.05)
    times = torch.full((len(scenes),), 0.1)
    first, guessed = heads(features, labels, times)
    for _ in range(80):
        loss, right = heads(features, labels, times)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert loss < 0.2 * first
    assert guessed is not None and right is not None
    assert guessed < 0.5 < 0.95 < right


def test_late_answers_count_less_and_are_not_counted() -> None:
    labels = cell_labels(_square(0)).flatten(1)[None]
    heads = AttributeHeads(8)
    features = torch.randn(1, labels.shape[-1], 8, generator=torch.Generator().manual_seed(1))
    early, some = heads(features, labels, torch.tensor([0.2]))
    late, none = heads(features, labels, torch.tensor([0.7]))
    assert late.item() == pytest.approx(early.item() / 2)
    assert some is not None and 0 <= some <= 1
    assert none is None


def _square(number: int) -> Scene:
    """A scene of two at 192x192."""
    rng = random.Random(f"square {number}")
    while (scene := random_scene(rng, count=2)).width != scene.height:
        pass
    return scene


def _telling(scenes: Sequence[Scene], labels: torch.Tensor) -> torch.Tensor:
    """Features that hold every label as a number of its own."""
    parts = []
    for place, name in enumerate(ASKED):
        wanted = labels[:, place].clamp(min=0)
        parts.append(torch.nn.functional.one_hot(wanted, len(values_of(name))))
    return torch.cat(parts, dim=-1).float()
