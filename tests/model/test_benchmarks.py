"""The model's benchmarks run, and compare two networks that compute the same."""

from __future__ import annotations

import pytest
import torch

from benchmarks.lumina import (
    TINY,
    apart,
    inputs,
    our_forward,
    our_loop,
    our_network,
    their_forward,
    their_loop,
    their_network,
    their_pipeline,
)
from benchmarks.model_counts import PARTS, encodings, our_calls, our_work, their_calls
from benchmarks.model_forward import rows
from benchmarks.model_gpu import measure, rehearse
from benchmarks.model_memory import forecasts

STEPS = 28


@pytest.mark.parametrize("batch", [1, 2])
def test_both_networks_of_the_benchmarks_compute_the_same(batch):
    model = our_network(TINY.config, device="cpu", dtype=torch.float32)
    given = inputs(TINY, device="cpu", dtype=torch.float32)
    with torch.no_grad():
        found = our_forward(model, given, batch)
        expected = their_forward(their_network(model), given, batch)
    # Sums in another order, nothing else.
    assert apart(found, expected) < 1e-4


def test_both_loops_of_the_benchmarks_end_at_the_same_latents():
    model = our_network(TINY.config, device="cpu", dtype=torch.float32)
    given = inputs(TINY, device="cpu", dtype=torch.float32)
    expected = their_loop(their_pipeline(their_network(model)), given, steps=5)
    assert apart(our_loop(model, given, steps=5), expected) < 1e-3


def test_a_picture_prepares_once_and_never_waits():
    layers, refiners = TINY.config.n_layers, TINY.config.n_refiner_layers
    found = our_calls(TINY)
    assert [found[name] for name in PARTS] == [1, refiners, 1, layers + refiners + 1]
    assert found["waits"] == 0


def test_diffusers_prepares_at_every_call_and_waits_at_each():
    layers, refiners = TINY.config.n_layers, TINY.config.n_refiner_layers
    found = their_calls(TINY)
    calls = 2 * STEPS
    assert [found[name] for name in PARTS] == [
        calls,
        calls * refiners,
        calls,
        calls * (layers + refiners + 1),
    ]
    assert found["waits"] >= calls


def test_floating_point_operations_are_those_of_the_shapes():
    config, images = TINY.config, TINY.image_tokens
    linear = config.dim * (2 * config.dim + 2 * config.kv_heads * config.head_dim + 3 * config.hidden_dim)
    lengths = [length + images for length in TINY.texts]
    joint = sum(2 * length * linear + 4 * length**2 * config.dim for length in lengths)
    alone = 2 * (2 * images * linear + 4 * images**2 * config.dim)
    step = our_work(TINY).step
    assert step.blocks == config.n_layers * joint + config.n_refiner_layers * alone
    assert 0 < step.total - step.blocks < 0.05 * step.total


def test_a_text_is_encoded_once_however_many_pictures_want_it(tmp_path):
    assert encodings(tmp_path) == 3


def test_the_forward_benchmark_measures_every_comparison():
    found = list(rows(TINY, "float32", steps=2, pairs=2))
    assert len(found) == 4
    assert all(float(row["speed"]) > 0 for row in found)


def test_the_memory_benchmark_forecasts_every_plan_in_both_storages():
    found = list(forecasts(1024))
    assert [row["plan"] for row in found] == [
        "resident",
        "resident",
        "staged",
        "staged",
        "offload",
        "offload",
    ]


def test_the_gpu_benchmark_rehearses_on_a_cpu():
    report = rehearse()
    assert report.verdicts[-1].startswith("met: ")
    assert {"picture, ours, compiled blocks", "decoder", "plan, offload"} <= {
        row["what"] for row in report.rows
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_gpu_benchmark_says_so_when_there_is_no_gpu():
    assert "no CUDA device" in str(measure().rows[0]["what"])
