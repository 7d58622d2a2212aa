"""Forecasts: what fits on which card, and that weights are foreseen to the byte."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from newbie_core.model.memory import PLANS, Forecast, MemoryPlan, ModelSizes, choose_plan, forecast
from newbie_core.model.tiny import tiny_sizes
from tests.model.conftest import MakePipeline

GB = 1_000_000_000


def released(plan: MemoryPlan, **options: Any) -> Forecast:
    return forecast(ModelSizes(), plan, **{"width": 1024, "height": 1024} | options)


def nbytes(module: nn.Module) -> int:
    return sum(value.nbytes for value in module.parameters())


@pytest.mark.parametrize(
    ("plan", "fp8", "least", "most"),
    [
        ("staged", False, 7.2, 10.0),
        ("resident", False, 14.6, 17.5),
        ("staged", True, 6.3, 7.0),
        ("offload", False, 1.2, 4.0),
    ],
)
def test_the_released_model_at_1024_squared_fits_where_it_should(
    plan: MemoryPlan, fp8: bool, least: float, most: float
) -> None:
    # No less than its weights: 7.0 GB, 6.2 GB without Gemma's embedding, 1.1 GB, 0.1 GB.
    assert least * GB < released(plan, fp8=fp8).peak <= most * GB


def test_fp8_leaves_the_encoders_as_they_are() -> None:
    plain, fp8 = released("staged"), released("staged", fp8=True)
    assert fp8.stages["text"] == plain.stages["text"]
    # Attention's and the feed-forward's matrices of forty blocks, a byte saved each.
    matrices = 40 * (3840 * 2304 + 2304 * 2304 + 3 * 9216 * 2304)
    assert plain.stages["denoise"] - fp8.stages["denoise"] == matrices


def test_each_plan_takes_less_than_the_one_before() -> None:
    peaks = [released(plan).peak for plan in PLANS]
    assert all(first > second for first, second in pairwise(peaks))


@pytest.mark.parametrize("plan", PLANS)
def test_larger_pictures_take_more(plan: MemoryPlan) -> None:
    small, large = released(plan, width=512, height=512), released(plan, width=1536)
    assert small.stages["denoise"] < released(plan).stages["denoise"] < large.stages["denoise"]
    assert small.stages["decode"] < released(plan).stages["decode"] < large.stages["decode"]
    assert small.stages["text"] == large.stages["text"]


def test_tiling_bounds_what_decoding_takes() -> None:
    tiled = released("staged", tiling=True)
    assert tiled.stages["decode"] < released("staged").stages["decode"]
    assert tiled.stages["decode"] == released("staged", tiling=True, width=2048).stages["decode"]


def test_the_peak_is_the_largest_stage() -> None:
    assert Forecast(plan="staged", stages={"text": 3, "denoise": 9, "decode": 4}).peak == 9


def test_float32_takes_twice_the_weights_of_bf16() -> None:
    half, full = released("resident", item=2), released("resident", item=4)
    assert full.stages["denoise"] - half.stages["denoise"] > 14 * GB


@pytest.mark.parametrize(("dtype", "item"), [("float32", 4), ("bfloat16", 2)])
def test_foreseen_weights_are_the_loaded_modules_to_the_byte(
    make_pipeline: MakePipeline, dtype: str, item: int
) -> None:
    stages = make_pipeline(dtype=dtype, plan="resident").stages
    gemma = nbytes(stages.texts.gemma._model) + nbytes(stages.texts.gemma._embedding)  # type: ignore[attr-defined]
    jina = nbytes(stages.texts.jina._model)  # type: ignore[attr-defined]
    transformer, decoder = nbytes(stages.transformer), nbytes(stages.autoencoder.module)

    def foreseen(plan: MemoryPlan) -> dict[str, int]:
        options = {"width": 64, "height": 64, "item": item, "embedding_on_device": True}
        return dict(forecast(stages.sizes, plan, **options).stages)  # type: ignore[arg-type]

    resident, staged = foreseen("resident"), foreseen("staged")
    # What the same stage takes besides weights is the same in both plans.
    assert resident["denoise"] - staged["denoise"] == gemma + jina
    assert resident["decode"] - staged["decode"] == gemma + jina
    assert resident["text"] - staged["text"] == transformer + decoder + min(gemma, jina)


def test_gemmas_embedding_may_stay_in_main_memory() -> None:
    sizes = tiny_sizes().text_encoder
    options = {"width": 64, "height": 64, "item": 2}
    parts = ModelSizes(text_encoder=sizes)
    there, away = (
        forecast(parts, "resident", embedding_on_device=on_device, **options)  # type: ignore[arg-type]
        for on_device in (True, False)
    )
    assert there.peak - away.peak == sizes.vocab_size * sizes.hidden_size * 2


def test_fp8_storage_is_foreseen_to_the_byte(make_pipeline: MakePipeline) -> None:
    full = nbytes(make_pipeline(dtype="bfloat16").stages.transformer)
    fp8 = nbytes(make_pipeline(dtype="bfloat16", storage="fp8").stages.transformer)
    sizes = make_pipeline().stages.sizes

    def denoise(*, fp8: bool) -> int:
        return forecast(sizes, "staged", width=64, height=64, item=2, fp8=fp8).stages["denoise"]

    assert full - fp8 == denoise(fp8=False) - denoise(fp8=True)
    assert fp8 < 0.8 * full


# Choice

PEAKS: dict[MemoryPlan, Forecast] = {
    plan: Forecast(plan=plan, stages={"text": 1, "denoise": peak * GB, "decode": 2})
    for plan, peak in zip(PLANS, (17, 10, 5), strict=True)
}


@pytest.mark.parametrize(
    ("free", "plan"),
    [
        (None, "resident"),
        (24 * GB, "resident"),
        (17 * GB, "resident"),
        (17 * GB - 1, "staged"),
        (10 * GB, "staged"),
        (8 * GB, "offload"),
        (1 * GB, "offload"),
    ],
)
def test_the_fastest_plan_that_fits_is_chosen(free: int | None, plan: MemoryPlan) -> None:
    assert choose_plan(free, PEAKS) == plan


@pytest.mark.parametrize(("card", "plan"), [(24, "resident"), (12, "staged"), (8, "offload")])
def test_common_cards_get_their_plan(card: int, plan: MemoryPlan) -> None:
    foreseen = {each: released(each) for each in PLANS}
    # A desktop takes half a gigabyte.
    assert choose_plan(card * 1024**3 - GB // 2, foreseen) == plan


def test_a_pipeline_foresees_with_its_own_sizes_and_settings(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline(plan="staged", dtype="bfloat16")
    found = pipeline.forecast(64, 48)
    assert found.plan == "staged"
    expected = forecast(
        pipeline.stages.sizes, "staged", width=64, height=48, item=2, embedding_on_device=True
    )
    assert found == expected
    assert pipeline.forecast().peak > found.peak
    assert torch.device("cpu") == pipeline.hosting.device
