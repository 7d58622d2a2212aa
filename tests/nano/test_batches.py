"""Batches: one size each, texts of one length, every sample in its turn, and nothing but the seed decides."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
import torch

from newbie_core.nano import batches, captions
from newbie_core.nano.batches import Batch, Writer, pool_batches
from newbie_core.nano.dataset import Sample
from newbie_core.nano.scenes import SIZES, random_scene
from newbie_core.nano.tokenizer import UNKNOWN, vocabulary


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer(vocabulary())


def make_samples(
    number: int, *, caption: str | None = None, size: tuple[int, int] | None = None
) -> list[Sample]:
    """Samples whose latents hold their own number, so that they are known again in a batch."""
    rng = random.Random(1)
    found = []
    for index in range(number):
        scene = random_scene(rng)
        width, height = size or (scene.width, scene.height)
        latents = torch.full((16, height // 8, width // 8), float(index), dtype=torch.float16)
        told = replace(scene, width=width, height=height) if caption is None else caption
        found.append(Sample(caption=told, latents=latents))
    return found


def numbers(batch: Batch) -> list[int]:
    return [int(each) for each in batch.latents[:, 0, 0, 0]]


def same(one: Batch, other: Batch) -> bool:
    pairs = ((one.latents, other.latents), (one.gemma_ids, other.gemma_ids), (one.jina_ids, other.jina_ids))
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_batch_has_one_size_and_one_length(writer: Writer) -> None:
    sizes = {(height // 8, width // 8) for width, height in SIZES}
    made = list(pool_batches(make_samples(96), writer, seed=1, pool=0, batch=4))
    assert {tuple(each.latents.shape[2:]) for each in made} == sizes
    for each in made:
        assert each.latents.dtype == torch.float32
        assert each.latents.shape[:2] == (4, 16)
        assert each.gemma_ids.shape[0] == each.jina_ids.shape[0] == 4


def test_both_encoders_are_given_the_same_text(writer: Writer) -> None:
    for each in pool_batches(make_samples(96), writer, seed=1, pool=0, batch=4):
        if each.jina_ids.shape[1] == 2:  # an empty prompt: nothing is put before it
            assert each.gemma_ids.tolist() == [[2]] * 4
            continue
        # Gemma: <bos>, the system prompt, the text; Jina: <s>, the text, </s>.
        assert torch.equal(each.gemma_ids[:, 2:], each.jina_ids[:, 1:-1])
        assert set(each.gemma_ids[:, 1].tolist()) <= {4, 5}
        assert int(each.gemma_ids.max()) < vocabulary().own_rows


def test_a_row_of_words_that_change_nothing_fills_up_shorter_texts(writer: Writer) -> None:
    samples = make_samples(3, caption="1girl", size=SIZES[0]) + make_samples(
        1,
        caption="<character_1><gender>1girl</gender><expression>smile</expression></character_1>",
        size=SIZES[0],
    )
    filled = 0
    for seed in range(6):
        for each in pool_batches(samples, writer, seed=seed, pool=0, batch=4):
            for row in each.jina_ids[:, 1:-1].tolist():
                behind = row[1:] if row and row[0] == writer.rows("1girl")[0] else []
                assert set(behind) <= set(writer.neutral)
                filled += len(behind)
    assert filled
    assert UNKNOWN not in writer.neutral


def test_a_pass_uses_every_sample_at_most_once_and_nearly_all(writer: Writer) -> None:
    samples = make_samples(128, size=SIZES[0])
    used = Counter(index for each in pool_batches(samples, writer, seed=1, pool=0, batch=4)
                   for index in numbers(each))  # fmt: skip
    assert max(used.values()) == 1
    assert len(used) >= 128 - 2 * 3  # told and untold samples each leave less than a batch


def test_pools_of_a_pass_share_no_sample(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "POOL", 32)
    samples = make_samples(96, size=SIZES[0])
    pools = [
        {
            index
            for each in pool_batches(samples, writer, seed=1, pool=pool, batch=4)
            for index in numbers(each)
        }
        for pool in range(6)
    ]
    assert not pools[0] & pools[1] and not pools[1] & pools[2] and not pools[0] & pools[2]
    assert pools[0] != pools[3]  # the next pass is shuffled anew


def test_a_pool_can_be_made_without_those_before_it(writer: Writer) -> None:
    samples = make_samples(48)
    one, two = (list(pool_batches(samples, writer, seed=5, pool=7, batch=4)) for _ in range(2))
    assert all(same(a, b) for a, b in zip(one, two, strict=True))
    other = list(pool_batches(samples, writer, seed=5, pool=8, batch=4))
    assert any(not same(a, b) for a, b in zip(one, other, strict=False))


@pytest.mark.parametrize("number", [1, 3, 5])
def test_few_samples_still_make_whole_batches(writer: Writer, number: int) -> None:
    samples = make_samples(number, size=SIZES[1])
    for pool in range(20):
        made = list(pool_batches(samples, writer, seed=1, pool=pool, batch=4))
        assert made  # or training would wait for ever
        assert all(len(each.latents) == 4 for each in made)
        assert {index for each in made for index in numbers(each)} <= set(range(number))


def test_one_batch_in_sixteen_tells_nothing(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions, "EMPTY", 0.0)  # prompts that are empty by themselves come on top
    samples = make_samples(256, size=SIZES[0])
    made = [each for pool in range(3) for each in pool_batches(samples, writer, seed=1, pool=pool, batch=4)]
    untold = [each for each in made if each.jina_ids.shape[1] == 2]
    assert len(untold) == len(made) / 16
    # Guidance compares with exactly this: <bos> alone for Gemma, <s></s> for Jina.
    assert all(
        each.gemma_ids.tolist() == [[2]] * 4 and each.jina_ids.tolist() == [[0, 2]] * 4 for each in untold
    )


def test_captions_keep_their_first_tag_and_xml_is_kept_whole(writer: Writer) -> None:
    first = writer.rows("1girl")[0]
    samples = make_samples(64, caption=" 1girl , smile, red_hair,, beach", size=SIZES[0])
    texts: set[tuple[int, ...]] = set()
    for pool in range(4):
        for each in pool_batches(samples, writer, seed=1, pool=pool, batch=4):
            for row in each.jina_ids[:, 1:-1].tolist():
                known = [word for word in row if word not in writer.neutral]
                assert not known or known[0] == first
                texts.add(tuple(known))
    assert len(texts) > 3
    told = "<general_tags><style>beach</style></general_tags>"
    for each in pool_batches(make_samples(16, caption=told, size=SIZES[0]), writer, seed=1, pool=0, batch=4):
        for row in each.jina_ids[:, 1:-1].tolist():
            assert [word for word in row if word not in writer.neutral] in ([], writer.rows(told))
