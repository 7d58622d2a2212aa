"""How often the small model shows what it was told, judged by the tagger component by component.

The tagger is validated on drawings first: what it gets wrong there bounds what any figure here can mean.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from math import sqrt
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from PIL import Image

from newbie_core.nano.judging import HIDDEN_EYES, Judge, hair_colour_probe, seams, sureness
from newbie_core.nano.scenes import (
    FACE_PARTS,
    character_boxes,
    draw_scene,
    labels,
    touched_scene,
)
from newbie_core.nano.trials import KINDS, Kind, Trial, meant, trial_of, trials
from newbie_core.taggers.deepdanbooru import load_tagger

STEPS, GUIDANCE = 16, 3.0
"""How pictures are made: solver steps and guidance."""

_CHUNK = 8
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a picture shows, held against what was asked.

    Attributes:
        wrong: for each character the asked components that are wrong.
        strict: for each character whether expression and every part of the face agree; none where not asked.
        hair: the hair colours seen, left to right.
        probed: the hair colours that the probe without a network measures.
        picture_wrong: components of the whole picture that are wrong.
        sure: the smallest probability that the tagger gave an answer about a character.
        seams: how visible the borders of the transformer's cells are; see `judging.seams`.
    """

    kind: Kind
    number: int
    wrong: tuple[tuple[str, ...], ...]
    strict: tuple[bool | None, ...]
    hair: tuple[str, ...]
    probed: tuple[str, ...]
    picture_wrong: tuple[str, ...]
    sure: float
    seams: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """What 99 of 100 drawings of a kind reach: the tagger at least so sure, seams at most so strong."""

    sure: float
    seams: float

    def clean(self, verdict: Verdict) -> bool:
        """Whether a picture is as clean as drawings of its kind are."""
        return verdict.sure >= self.sure and verdict.seams <= self.seams


@dataclass(slots=True, kw_only=True)
class Rate:
    """So many of so many."""

    right: int = 0
    of: int = 0

    def add(self, right: bool) -> None:
        """Count one more."""
        self.right += right
        self.of += 1

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.right / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval. Source: Wilson, Journal of the American Statistical Association 22, 1927."""
        if not self.of:
            return 0.0, 1.0
        z, n, p = 1.96, self.of, self.share
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.share:.1f} % ({100 * low:.1f}-{100 * high:.1f})"


@dataclass(slots=True, kw_only=True)
class Result:
    """Rates of one kind of prompts; names are the table's rows."""

    kind: Kind
    rates: dict[str, Rate] = field(default_factory=dict)

    def count(self, name: str, right: bool) -> None:
        """Count one more under a name."""
        self.rates.setdefault(name, Rate()).add(right)


def evaluate(
    model: Path,
    tagger: Path,
    *,
    counts: dict[Kind, int],
    seed: int,
    workers: int,
    report: Callable[[str], None],
    keep: Path | None = None,
    standards: Mapping[Kind, Standard] | None = None,
) -> tuple[list[Result], list[Verdict]]:
    """Make and judge pictures of every kind.

    Args:
        model: the checkpoint's folder.
        counts: how many of each kind.
        workers: processes, one thread each.
        keep: a folder that gets the first pictures of each kind, and all that are wrong.
        standards: what counts as clean; nothing is said of kinds without one.
    """
    clean = standards or {}
    wanted = [trial for kind, count in counts.items() for trial in trials(kind, count, seed=seed)]
    chunks = [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]
    verdicts: list[Verdict] = []
    began = time.monotonic()
    context = get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_open, initargs=(model, tagger, keep)
    ) as pool:
        for found in pool.map(_judge_chunk, chunks):
            verdicts += found
            if len(verdicts) % (10 * _CHUNK) == 0 or len(verdicts) == len(wanted):
                pace = (time.monotonic() - began) / len(verdicts)
                left = (len(wanted) - len(verdicts)) * pace
                report(f"judged {len(verdicts):,} of {len(wanted):,} pictures, {left / 60:.0f} min left")
    return [
        summarise(kind, [each for each in verdicts if each.kind == kind], seed=seed, standard=clean.get(kind))
        for kind in counts
    ], verdicts


_state: dict[str, object] = {}


def _open(model: Path, tagger: Path, keep: Path | None) -> None:
    import torch

    from newbie_core.model import NewBieImagePipeline
    from newbie_core.nano.judging import SIDE

    torch.set_num_threads(1)
    _state["pipeline"] = NewBieImagePipeline.from_pretrained(str(model), device="cpu", dtype="float32")
    _state["judge"] = Judge(load_tagger(tagger, side=SIDE))
    _state["keep"] = keep


def _judge_chunk(chunk: Sequence[Trial]) -> list[Verdict]:
    pipeline, judge, keep = _state["pipeline"], _state["judge"], _state["keep"]
    found = []
    for trial in chunk:
        picture = pipeline(  # type: ignore[operator]  # set by _open
            prompt=trial.prompt,
            negative_prompt="",
            width=trial.scene.width,
            height=trial.scene.height,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            seed=trial.seed,
        ).images[0]
        verdict = judge_picture(judge, picture, trial)  # type: ignore[arg-type]
        if isinstance(keep, Path):
            _keep(keep, picture, trial, verdict)
        found.append(verdict)
    return found


def _keep(folder: Path, picture: Image.Image, trial: Trial, verdict: Verdict) -> None:
    failed = any(verdict.wrong) or False in verdict.strict
    if failed or trial.number < 24:
        name = f"{trial.kind}-{trial.number:04}{'-wrong' if failed else ''}.png"
        picture.save(folder / name)


def judge_picture(judge: Judge, picture: Image.Image, trial: Trial) -> Verdict:
    """What is wrong with a picture."""
    boxes = character_boxes(trial.scene)
    seen = judge.characters(picture, boxes)
    whole = judge.picture(picture)
    wrong, strict = [], []
    for answers, truth, asked in zip(seen, labels(trial.scene), trial.asked, strict=True):
        visible = [name for name in asked if name != "eye_colour" or truth["eyes"] not in HIDDEN_EYES]
        wrong.append(tuple(name for name in visible if answers[name].value != truth[name]))
        face = ("expression", *FACE_PARTS)
        agrees = all(answers[name].value == truth[name] for name in face)
        strict.append(agrees if "expression" in asked else None)
    expected = {
        "background": trial.scene.background,
        "count": str(len(trial.scene.characters)),
    }
    return Verdict(
        kind=trial.kind,
        number=trial.number,
        wrong=tuple(wrong),
        strict=tuple(strict),
        hair=tuple(answers["hair_colour"].value for answers in seen),
        probed=tuple(hair_colour_probe(picture, box) for box in boxes),
        picture_wrong=tuple(name for name in trial.picture if whole[name].value != expected[name]),
        sure=min(sureness(answers) for answers in seen),
        seams=seams(picture),
    )


def summarise(
    kind: Kind, verdicts: Sequence[Verdict], *, seed: int, standard: Standard | None = None
) -> Result:
    """Rates over verdicts; characters are counted one by one, hair of several characters by picture."""
    result = Result(kind=kind)
    asked = {trial.number: trial for trial in trials(kind, len(verdicts), seed=seed)}
    for verdict in verdicts:
        trial = asked[verdict.number]
        truth = labels(trial.scene)
        several = len(truth) > 1
        for index, names in enumerate(trial.asked):
            result.count("all attributes", not verdict.wrong[index])
            if verdict.strict[index] is not None:
                result.count("strict expression", bool(verdict.strict[index]))
            for name in names:
                if name == "eye_colour" and truth[index]["eyes"] in HIDDEN_EYES:
                    continue
                result.count(name, name not in verdict.wrong[index])
                if name == "hair_colour":
                    result.count("hair colour by the probe", verdict.probed[index] == truth[index][name])
        if several:
            colours = [each["hair_colour"] for each in truth]
            result.count("all hair colours of a picture", list(verdict.hair) == colours)
            result.count(
                "hair colours swapped",
                sorted(verdict.hair) == sorted(colours) if list(verdict.hair) != colours else False,
            )
            result.count("all attributes of everybody", not any(verdict.wrong))
        if standard is not None:
            result.count("clean", standard.clean(verdict))
        for name in trial.picture:
            result.count(name, name not in verdict.picture_wrong)
    return result


def validate_judge(
    tagger: Path, count: int, *, seed: int, workers: int = 1, report: Callable[[str], None] | None = None
) -> dict[str, Rate]:
    """The tagger on `count` fresh drawings: how often each component is right."""
    rates: dict[str, Rate] = {}
    for answers in _of_drawings(_held_against, tagger, count, seed, workers, report):
        for name, right in answers:
            rates.setdefault(name, Rate()).add(right)
    return rates


def drawn_standards(
    tagger: Path,
    kinds: Sequence[Kind],
    count: int,
    *,
    seed: int,
    workers: int = 1,
    report: Callable[[str], None] | None = None,
) -> dict[Kind, Standard]:
    """What 99 of 100 of `count` fresh drawings reach, for each kind of prompts: drawings of what they describe.

    Kinds have standards of their own, for plain grounds and bare heads are other drawings than full ones: of plain
    drawings 11 in 100 have stronger seams than 99 in 100 of all.
    """
    import numpy as np

    standards: dict[Kind, Standard] = {}
    for kind in kinds:
        # What two characters are told in another order is the same drawings.
        family: Kind = "two" if kind.startswith("two") else kind
        if family not in standards:
            look = partial(_cleanness, family)
            found = np.array(list(_of_drawings(look, tagger, count, seed, workers, report)))
            standards[family] = Standard(
                sure=float(np.quantile(found[:, 0], 0.01)), seams=float(np.quantile(found[:, 1], 0.99))
            )
        standards[kind] = standards[family]
    return standards


def _of_drawings(
    look: Callable[[int, int], _Found],
    tagger: Path,
    count: int,
    seed: int,
    workers: int,
    report: Callable[[str], None] | None,
) -> Iterator[_Found]:
    """What `look` finds in each of `count` drawings, in order; by one worker in this process, by more in others.

    Each worker is one thread, for what a tagger's sums round to may depend on the number of threads.
    """
    if workers == 1:
        import torch

        threads = torch.get_num_threads()
        _open_judge(tagger, 1)
        try:
            yield from (look(seed, number) for number in range(count))
        finally:
            torch.set_num_threads(threads)
        return
    began = time.monotonic()
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_open_judge, initargs=(tagger, 1)
    ) as pool:
        for done, found in enumerate(pool.map(look, repeat(seed), range(count), chunksize=_CHUNK), start=1):
            yield found
            if report is not None and (done % (10 * _CHUNK) == 0 or done == count):
                left = (time.monotonic() - began) / done * (count - done)
                report(f"judged {done:,} of {count:,} drawings, {left:.0f} s left")


def _open_judge(tagger: Path, threads: int) -> None:
    import torch

    from newbie_core.nano.judging import SIDE

    torch.set_num_threads(threads)
    _state["judge"] = Judge(load_tagger(tagger, side=SIDE))


def _held_against(seed: int, number: int) -> list[tuple[str, bool]]:
    """For everything in a drawing whether the judge names it; half of the drawings are by unknown hands."""
    judge: Judge = _state["judge"]  # type: ignore[assignment]  # set by _open_judge
    scene = touched_scene(random.Random(f"{seed}:validation:{number}"))
    picture, boxes = draw_scene(scene), character_boxes(scene)
    found: list[tuple[str, bool]] = []
    for truth, answers, box in zip(labels(scene), judge.characters(picture, boxes), boxes, strict=True):
        found += [
            (name, answers[name].value == truth[name])
            for name in truth
            if name in answers and (name != "eye_colour" or truth["eyes"] not in HIDDEN_EYES)
        ]
        found.append(("hair_colour_probe", hair_colour_probe(picture, box) == truth["hair_colour"]))
    whole = judge.picture(picture)
    expected = {"background": scene.background, "count": str(len(scene.characters))}
    return [*found, *((name, whole[name].value == value) for name, value in expected.items())]


def _cleanness(kind: Kind, seed: int, number: int) -> tuple[float, float]:
    """How sure the judge is of a drawing, and its seams."""
    judge: Judge = _state["judge"]  # type: ignore[assignment]  # set by _open_judge
    scene = meant(trial_of(kind, number, seed=f"{seed}:standard"))
    picture = draw_scene(scene)
    sure = min(sureness(each) for each in judge.characters(picture, character_boxes(scene)))
    return sure, seams(picture)


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table: a column a kind; the share, its 95 % interval, and of how many."""
    names = list(dict.fromkeys(name for result in results for name in result.rates))
    lines = [
        "| right | " + " | ".join(result.kind for result in results) + " |",
        "|---|" + "---|" * len(results),
    ]
    for name in names:
        cells = [f"{rate} of {rate.of:,}" if (rate := each.rates.get(name)) else "" for each in results]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {each.kind}: {KINDS[each.kind]}" for each in results)])


def mistakes(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What is wrong most often, for people who train."""
    counted = Counter((each.kind, name) for each in verdicts for wrong in each.wrong for name in wrong)
    for (kind, name), count in counted.most_common():
        yield f"{kind}: {name} wrong {count} times"
