"""What the small model is asked in an evaluation: prompts it has never seen, of every kind people write."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from newbie_core.nano.captions import Wording, prompt_for
from newbie_core.nano.scenes import ATTRIBUTES, PLACES, Scene, plain, random_scene

Kind = Literal["one", "two", "three", "short", "held_out", "two_ordered", "two_shuffled"]

KINDS: dict[Kind, str] = {
    "one": "one character, XML, everything told",
    "two": "two characters, XML, everything told",
    "two_ordered": "the same two characters as tags, one character after the other",
    "two_shuffled": "the same two characters as shuffled tags",
    "three": "three characters, XML, everything told",
    "short": "two to four tags",
    "held_out": "one character with a pair of attributes that training never showed together",
}
"""Kinds of prompts, as the table names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One picture to make and what it must show.

    Attributes:
        asked: for each character, left to right, the components that the prompt tells.
        picture: components of the picture as a whole that it tells.
    """

    kind: Kind
    number: int
    prompt: str
    scene: Scene
    seed: int
    asked: tuple[tuple[str, ...], ...]
    picture: tuple[str, ...]


def trials(kind: Kind, count: int, *, seed: int) -> Iterator[Trial]:
    """`count` trials of a kind. Kinds of two characters share their scenes, so that they can be compared."""
    for number in range(count):
        yield trial_of(kind, number, seed=seed)


def trial_of(kind: Kind, number: int, *, seed: int | str) -> Trial:
    """One of them, whatever the others are."""
    family = "two" if kind.startswith("two") else kind
    rng = random.Random(f"{seed}:evaluation:{family}:{number}")
    people = {"two": 2, "three": 3}.get(family, 1)
    scene = random_scene(rng, count=people, held_out=kind == "held_out")
    if kind == "short":
        return _short(scene, number, rng)
    form = {"two_ordered": "ordered", "two_shuffled": "shuffled"}.get(kind, "xml")
    wording = Wording(form=form)  # type: ignore[arg-type]  # one of the forms
    return Trial(
        kind=kind,
        number=number,
        prompt=prompt_for(scene, wording, rng),
        scene=scene,
        seed=number,
        asked=(ATTRIBUTES,) * people,
        picture=("background", "count"),
    )


def meant(trial: Trial) -> Scene:
    """The scene that its prompt describes: what it tells, and else the expected."""
    scene = plain(trial.scene)
    characters = [
        replace(nothing_told, **{name: getattr(own, name) for name in told})
        for nothing_told, own, told in zip(scene.characters, trial.scene.characters, trial.asked, strict=True)
    ]
    background = trial.scene.background if "background" in trial.picture else scene.background
    return replace(scene, characters=tuple(characters), background=background)


def _short(scene: Scene, number: int, rng: random.Random) -> Trial:
    """Tags as a newcomer types them: who, and one to three things about them."""
    character = replace(scene.characters[0], position="center", x=PLACES[192, 1][0])
    tags = {
        "hair_colour": f"{character.hair_colour}_hair",
        "hair_style": character.hair_style,
        "eye_colour": f"{character.eye_colour}_eyes",
        "expression": character.expression,
        "garment": f"{character.garment_colour}_{character.garment}",
        "arms": character.arms,
    }
    if character.accessory != "none":
        tags["accessory"] = character.accessory
    asked = rng.sample(list(tags), rng.randint(1, 3))
    told = [*asked, "garment_colour"] if "garment" in asked else asked
    return Trial(
        kind="short",
        number=number,
        prompt=", ".join([character.gender, *(tags[name] for name in asked)]),
        scene=replace(scene, characters=(character,), width=192, height=192),
        seed=number,
        asked=(tuple(told),),
        picture=("count",),
    )
