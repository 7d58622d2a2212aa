"""Batches for training: pictures of one size with texts of one length, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tokenizers
import torch
from torch import Tensor

from newbie_core.model.conditioning import system_prompt_for
from newbie_core.nano.attributes import cell_labels
from newbie_core.nano.captions import EMPTY, training_prompt
from newbie_core.nano.dataset import Sample
from newbie_core.nano.latents import BLOCK
from newbie_core.nano.scenes import Scene, importance
from newbie_core.nano.tokenizer import Vocabulary, gemma_json
from newbie_core.nano.words import QUALITY, spelled

BATCH = 16
POOL = 128 * BATCH
"""Samples that are sorted into batches together."""

UNTOLD_EVERY = 16
"""One batch in so many has empty prompts, for guidance."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Pictures with their prompts.

    Attributes:
        latents: `[B, 16, h, w]`.
        importance: what an error counts in each place, `[B, 1, h, w]`.
        gemma_ids, jina_ids: `[B, L]` and `[B, M]`.
        labels: what each cell shows, `[B, 9, h/2 * w/2]` (see `attributes.cell_labels`); none where nobody knows, or
            where the prompts are empty.
    """

    latents: Tensor
    importance: Tensor
    gemma_ids: Tensor
    jina_ids: Tensor
    labels: Tensor | None


_Group = tuple[list[Sample], list[str], list[list[int]]]
"""Samples, their prompts, and the prompts' rows."""


class Writer:
    """Turns prompts into rows of the trained embedding."""

    def __init__(self, words: Vocabulary) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_buffer(gemma_json(words))
        self._tokenizer.encode_special_tokens = True
        self._row = words.row_of()
        place = {text: index for index, text in enumerate(words.tokens, start=4)}
        # Words that change nothing, to make texts of nearly equal length equal.
        self.neutral = [place[spelled(word)] for word in QUALITY]

    def rows(self, text: str) -> list[int]:
        """The text's rows, without anything around it."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [self._row[each] for each in ids]

    def system(self, prompt: str) -> list[int]:
        """Rows of what is put before such a prompt for Gemma."""
        return self.rows(system_prompt_for(prompt))


def pool_batches(
    samples: Sequence[Sample],
    writer: Writer,
    *,
    seed: int,
    pool: int,
    batch: int = BATCH,
    whole: bool = False,
) -> Iterator[Batch]:
    """All batches of pool number `pool`; a pool is a share of one shuffled pass over the samples.

    Args:
        whole: whether prompts leave nothing out.
    """
    size = min(POOL, len(samples))
    per_pass = max(1, len(samples) // size)
    order = list(range(len(samples)))
    random.Random(f"{seed}:pass:{pool // per_pass}").shuffle(order)
    place = pool % per_pass * size
    rng = random.Random(f"{seed}:pool:{pool}")
    groups: dict[tuple[int, ...], list[Sample]] = {}
    for index in order[place : place + size]:
        groups.setdefault(tuple(samples[index].latents.shape), []).append(samples[index])
    batches: list[_Group] = []
    for members in groups.values():
        batches += _group_batches(members, writer, rng, batch, whole=whole)
    rng.shuffle(batches)
    for chosen, prompts, rows in batches:
        yield _batch(chosen, prompts, rows, writer, rng)


def _group_batches(
    members: list[Sample], writer: Writer, rng: random.Random, batch: int, *, whole: bool
) -> list[_Group]:
    """Samples of one size in batches of texts about equally long; what fills no batch waits for another pass.

    Fewer samples than a batch takes are used more than once.
    """
    if len(members) < batch:
        members = [*members, *rng.choices(members, k=batch - len(members))]
    untold = len(members) // (UNTOLD_EVERY * batch) * batch
    if untold < batch and rng.random() < len(members) / (UNTOLD_EVERY * batch):
        untold = batch if len(members) >= batch else 0
    found: list[_Group] = [
        (members[i : i + batch], [""] * batch, [[]] * batch) for i in range(0, untold, batch)
    ]
    told: list[tuple[int, int, Sample, str, list[int]]] = []
    for sample in members[untold:]:
        prompt = _prompt(sample, rng, whole=whole)
        told.append((len(rows := writer.rows(prompt)), len(told), sample, prompt, rows))
    told.sort(key=lambda each: each[:2])
    for start in range(0, len(told) - batch + 1, batch):
        part = told[start : start + batch]
        found.append(([each[2] for each in part], [each[3] for each in part], [each[4] for each in part]))
    return found


def _prompt(sample: Sample, rng: random.Random, *, whole: bool) -> str:
    caption = sample.caption
    if isinstance(caption, Scene):
        return training_prompt(caption, rng, whole=whole)
    if whole:
        return caption
    tags = [tag.strip() for tag in caption.split(",") if tag.strip()]
    if rng.random() < EMPTY or caption.lstrip().startswith("<"):
        return "" if rng.random() < EMPTY else caption
    kept = [tag for tag in tags[1:] if rng.random() > 0.1]
    rng.shuffle(kept)
    return ", ".join([*tags[:1], *kept])


def _batch(
    chosen: list[Sample],
    prompts: list[str],
    rows: list[list[int]],
    writer: Writer,
    rng: random.Random,
) -> Batch:
    longest = max(len(each) for each in rows)
    gemma, jina = [], []
    for prompt, each in zip(prompts, rows, strict=True):
        # Neutral words fill up shorter texts, so that no mask is needed.
        text = [*each, *(rng.choice(writer.neutral) for _ in range(longest - len(each)))]
        gemma.append([2, *(writer.system(prompt) or ([4] if longest else [])), *text])
        jina.append([0, *text, 2])
    latents = torch.stack([sample.latents for sample in chosen]).float()
    return Batch(
        latents=latents,
        importance=torch.stack([_importance(sample) for sample in chosen]),
        gemma_ids=torch.tensor(gemma),
        jina_ids=torch.tensor(jina),
        labels=_labels(chosen) if longest else None,
    )


def _labels(chosen: list[Sample]) -> Tensor | None:
    """`[B, 9, cells]`; nobody knows where a user's picture shows what."""
    scenes = [sample.caption for sample in chosen if isinstance(sample.caption, Scene)]
    if len(scenes) < len(chosen):
        return None
    return torch.stack([cell_labels(scene).flatten(1) for scene in scenes])


def _importance(sample: Sample) -> Tensor:
    """`[1, h, w]`; nothing is known of a user's picture, so all of it counts the same."""
    if isinstance(sample.caption, Scene):
        return torch.from_numpy(importance(sample.caption, BLOCK))[None]
    return torch.ones(1, *sample.latents.shape[1:])
