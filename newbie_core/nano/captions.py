"""Prompts for a scene, as many kinds as people write: XML, tags in order, tags shuffled, short ones, none at all."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from newbie_core.nano.scenes import (
    EXPECTED,
    EXPECTED_BACKGROUND,
    EXPECTED_STYLE,
    FRAMING,
    HAIR_STYLES,
    Character,
    Scene,
)
from newbie_core.nano.words import NEGATIVE, QUALITY, TOUCHES

Form = Literal["xml", "ordered", "shuffled"]

EMPTY, ONLY_NEGATIVE = 0.06, 0.03
FORMS: tuple[tuple[Form, int], ...] = (("xml", 72), ("ordered", 14), ("shuffled", 14))
SPARSE = 0.35
"""Share of prompts that tell less than half, mostly as plain tags: what people type who try a model out.

The less is told, the more the model has to decide by itself; undecided, it mixes two things that were left open.
"""

_SPARSE_FORMS: tuple[tuple[Form, int], ...] = (("xml", 28), ("ordered", 36), ("shuffled", 36))
BARE = 0.4
"""Share of framings and simple backgrounds that training does not tell.

Where whole prompts always ended with them, a model read garments from those last words, in which the causal text encoder had
gathered what was said before: of short prompts without them 27 of 58 garments came out right, with one of them all that
were tried.
"""

_UNKNOWN_WORDS = ("zylk", "qorvu", "brimtal", "fenwick", "dolat")
"""Words nobody knows: the model learns to pass over them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a prompt is written.

    Attributes:
        dropped: share of what may be left open that is not told: colours of hair and eyes, garment and expression; and
            of what is expected, see `scenes.EXPECTED`.
        extras: whether agreeing, neutral and unknown words are put in between.
        reverse: XML lists characters from right to left.
        positions: whether positions are told, where there are several characters.
        bare: share of framings and simple backgrounds that are not told, at least.
    """

    form: Form = "xml"
    dropped: float = 0.0
    extras: bool = False
    reverse: bool = False
    positions: bool = True
    bare: float = 0.0


def training_prompt(scene: Scene, rng: random.Random, *, whole: bool = False) -> str:
    """A prompt for training; another one each time.

    Args:
        whole: tell everything, mostly as XML: what a model learns the meaning of words from fastest.
    """
    if whole:
        form: Form = "xml" if rng.random() < 0.85 else "ordered"
        wording = Wording(form=form, reverse=rng.random() < 0.3, positions=rng.random() < 0.8, bare=BARE)
        return prompt_for(scene, wording, rng)
    kind = rng.random()
    if kind < EMPTY:
        return ""
    if kind < EMPTY + ONLY_NEGATIVE:
        return ", ".join(rng.sample(NEGATIVE, rng.randint(1, 6)))
    sparse = rng.random() < SPARSE
    weights = _SPARSE_FORMS if sparse else FORMS
    wording = Wording(
        form=rng.choices([form for form, _ in weights], [weight for _, weight in weights])[0],
        dropped=rng.uniform(0.5, 1) if sparse else 0.0 if rng.random() < 0.65 else rng.uniform(0, 0.35),
        extras=rng.random() < 0.5,
        reverse=rng.random() < 0.3,
        positions=rng.random() < 0.8,
        bare=BARE,
    )
    return prompt_for(scene, wording, rng)


def prompt_for(scene: Scene, wording: Wording, rng: random.Random) -> str:
    """The scene in words."""
    if wording.form == "xml":
        return _xml(scene, wording, rng)
    parts = [count_tag(scene)]
    for character in _in_order(scene, wording):
        told = _told(character, wording, rng)
        tags = [tag for name in ("appearance", "clothing", "expression", "action") for tag in told[name]]
        if wording.form == "ordered":
            tags = [*told["gender"], *tags]
            if len(scene.characters) > 1 and wording.positions:
                tags.append(character.position)
        parts += tags
    parts += [tag for tags in _surroundings(scene, wording, rng).values() for tag in tags]
    if wording.form == "shuffled":
        rng.shuffle(parts)
    return ", ".join(dict.fromkeys(parts) if wording.form == "shuffled" else parts)


def count_tag(scene: Scene) -> str:
    """How many girls and boys, as tags say it."""
    girls = sum(each.gender == "1girl" for each in scene.characters)
    boys = len(scene.characters) - girls
    words = [f"{girls}girl{'s' if girls > 1 else ''}"] if girls else []
    words += [f"{boys}boy{'s' if boys > 1 else ''}"] if boys else []
    return ", ".join(words)


def _in_order(scene: Scene, wording: Wording) -> list[Character]:
    """Left to right, or the other way round where positions say who stands where."""
    turned = wording.reverse and wording.positions
    return list(reversed(scene.characters)) if turned else list(scene.characters)


def _told(character: Character, wording: Wording, rng: random.Random) -> dict[str, list[str]]:
    """What is told of a character, by field.

    What is not expected is never left out: of what no prompt names, nothing is to be seen.
    """

    def says() -> bool:
        return rng.random() >= wording.dropped

    style = HAIR_STYLES[character.hair_style]
    named = style if not wording.extras or rng.random() < 0.5 else (character.hair_style,)
    appearance = [f"{character.hair_colour}_hair"] if says() else []
    expected = character.hair_style == EXPECTED_STYLE[character.gender]
    appearance += list(named) if says() or not expected else []
    appearance += [f"{character.eye_colour}_eyes"] if says() else []
    garment = [f"{character.garment_colour}_{character.garment}"] if says() else []
    if garment and wording.extras and rng.random() < 0.08:
        garment = [character.garment]
    worn = [character.accessory] if character.accessory != EXPECTED["accessory"] else []
    expression = _expression(character, wording, rng) if says() else []
    action = [character.arms]
    if character.arms == EXPECTED["arms"] and rng.random() < max(
        wording.dropped, 0.5 if wording.extras else 0
    ):
        action = []
    clothing = garment
    (appearance if rng.random() < 0.5 else clothing).extend(worn)
    for tags in (appearance, clothing, expression):
        if wording.extras:
            rng.shuffle(tags)
    return {
        "gender": [character.gender] if not wording.extras or rng.random() < 0.85 else [],
        "appearance": appearance,
        "clothing": clothing,
        "expression": expression,
        "action": action,
    }


def _expression(character: Character, wording: Wording, rng: random.Random) -> list[str]:
    main, touches = character.expression, TOUCHES[character.expression]
    if not wording.extras:
        return [main]
    if rng.random() < 0.12 and main not in ("neutral", "smile", "happy"):
        return [touches[0]]  # the touch that no other expression shares comes first
    return [main, *rng.sample(touches, rng.randint(0, len(touches)))]


def _surroundings(scene: Scene, wording: Wording, rng: random.Random) -> dict[str, list[str]]:
    """What is told of the picture as a whole, by field.

    A background is left out only where it is the simple one, and a place only where it is the middle.
    """
    found: dict[str, list[str]] = {"count": [], "background": [], "composition": [], "quality": []}
    untold = max(wording.dropped, wording.bare)
    if scene.background != EXPECTED_BACKGROUND or rng.random() >= untold:
        found["background"].append(scene.background)
    if rng.random() >= untold:
        found["composition"].append(FRAMING)
    if len(scene.characters) == 1 and scene.characters[0].position != "center":
        found["composition"].append(scene.characters[0].position)
    if wording.extras:
        found["quality"] += rng.sample(QUALITY, rng.randint(0, 4))
        if rng.random() < 0.2:
            found["quality"] += rng.sample(_UNKNOWN_WORDS, rng.randint(1, 2))
    return found


def _xml(scene: Scene, wording: Wording, rng: random.Random) -> str:
    lines: list[str] = []
    for number, character in enumerate(_in_order(scene, wording), start=1):
        told = _told(character, wording, rng)
        if wording.extras and rng.random() < 0.4:
            told["pose"] = told.pop("action")
        several = len(scene.characters) > 1
        if (several and wording.positions) or (not several and wording.extras and rng.random() < 0.3):
            told["position"] = [character.position]
        fields = "".join(f"<{name}>{', '.join(tags)}</{name}>\n" for name, tags in told.items() if tags)
        lines.append(f"<character_{number}>\n{fields}</character_{number}>\n")
    around = _surroundings(scene, wording, rng)
    if not wording.extras or rng.random() < 0.7:
        around["count"].append(count_tag(scene))
    if len(scene.characters) > 1 and around["background"] and rng.random() < 0.5:
        lines.append(f"<scene>\n<background>{around.pop('background')[0]}</background>\n</scene>\n")
    fields = "".join(f"<{name}>{', '.join(tags)}</{name}>\n" for name, tags in around.items() if tags)
    return "\n".join([*lines, f"<general_tags>\n{fields}</general_tags>"])
